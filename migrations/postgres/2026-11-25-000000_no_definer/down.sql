DROP TRIGGER session_end ON dim.sessions;
CREATE OR REPLACE FUNCTION dim.announce_session_end() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    PERFORM pg_notify('portcullis', NEW.email);
    RETURN NULL;
END $$;
CREATE TRIGGER session_end AFTER UPDATE OF ended_at ON dim.sessions
    FOR EACH ROW EXECUTE FUNCTION dim.announce_session_end();

-- The function before ran with its owner's rights. It comes back with what it did, and nobody else may use it.
CREATE OR REPLACE FUNCTION dim.announce_role_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM dim.bindings;
        PERFORM pg_notify('portcullis', '*');
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' AND octet_length(OLD.email::text) <= 254 THEN
        DELETE FROM dim.bindings b WHERE b.email = lower(OLD.email::text COLLATE "C") AND NOT EXISTS (
            SELECT FROM dim.user_roles r WHERE lower(r.email::text COLLATE "C") = b.email);
        PERFORM pg_notify('portcullis', lower(OLD.email::text COLLATE "C"));
    END IF;
    IF TG_OP <> 'DELETE' AND octet_length(NEW.email::text) <= 254 THEN
        PERFORM pg_notify('portcullis', lower(NEW.email::text COLLATE "C"));
    END IF;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION dim.announce_role_change() FROM PUBLIC;
