DROP INDEX dim.audit_reference;
DROP INDEX dim.audit_subject;
DROP INDEX dim.audit_action;
DROP INDEX dim.audit_actor;
DROP TABLE dim.audit_daily;
DROP TABLE dim.audit_anchor;
DROP TRIGGER audit_row ON dim.audit;
DROP FUNCTION dim.await_seal();
DROP TABLE dim.audit_unsealed;
DROP TABLE dim.audit_seals;
DROP TABLE dim.webhook_messages;
DROP TABLE dim.access_requests;
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
DROP TABLE dim.grants;
