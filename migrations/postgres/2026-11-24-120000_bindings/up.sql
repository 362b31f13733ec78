-- Which account of the tenant an address belongs to. An address can change hands; the account (tid, oid) cannot.
CREATE TABLE dim.bindings (
    email TEXT PRIMARY KEY,
    tid TEXT NOT NULL,
    oid TEXT NOT NULL,
    bound_at BIGINT NOT NULL
);

-- Where a session was begun, for the person's own list.
ALTER TABLE dim.sessions ADD COLUMN address TEXT, ADD COLUMN agent TEXT;

-- As before, and besides: when the last row of an address goes, its binding goes with it. The function runs with
-- its owner's rights, because the program that deletes the row need not know the table of bindings.
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

CREATE FUNCTION dim.announce_binding_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('portcullis', coalesce(NEW.email, OLD.email));
    RETURN NULL;
END $$;
CREATE TRIGGER binding_change AFTER INSERT OR UPDATE OR DELETE ON dim.bindings
    FOR EACH ROW EXECUTE FUNCTION dim.announce_binding_change();
