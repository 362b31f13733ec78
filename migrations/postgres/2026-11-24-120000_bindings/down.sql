CREATE OR REPLACE FUNCTION dim.announce_role_change() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog AS $$
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
ALTER TABLE dim.sessions DROP COLUMN address, DROP COLUMN agent;
DROP TABLE dim.bindings;
DROP FUNCTION dim.announce_binding_change();
