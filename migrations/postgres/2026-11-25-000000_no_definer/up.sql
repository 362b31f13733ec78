-- A function that runs with its owner's rights can be hung on anybody's table and made to do anybody's work. So the one
-- behind the role table only announces again; the portal itself forgets bindings, after the change was committed.
CREATE OR REPLACE FUNCTION dim.announce_role_change() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM pg_notify('portcullis', '*');
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' AND octet_length(OLD.email::text) <= 254 THEN
        PERFORM pg_notify('portcullis', lower(OLD.email::text COLLATE "C"));
    END IF;
    IF TG_OP <> 'DELETE' AND octet_length(NEW.email::text) <= 254 THEN
        PERFORM pg_notify('portcullis', lower(NEW.email::text COLLATE "C"));
    END IF;
    RETURN NULL;
END $$;

-- A session's row that is deleted by hand ends the session as well.
DROP TRIGGER session_end ON dim.sessions;
CREATE OR REPLACE FUNCTION dim.announce_session_end() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('portcullis', OLD.email);
    RETURN NULL;
END $$;
CREATE TRIGGER session_end AFTER UPDATE OF ended_at OR DELETE ON dim.sessions
    FOR EACH ROW EXECUTE FUNCTION dim.announce_session_end();
