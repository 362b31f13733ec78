-- Addresses compare byte by byte (collation C) with the key of the role table. Columns of another collation do too, but
-- their indexes are not used for it.
ALTER TABLE dim.identities ALTER COLUMN email TYPE TEXT COLLATE "C";
ALTER TABLE dim.grants ALTER COLUMN email TYPE TEXT COLLATE "C";
ALTER TABLE dim.bindings ALTER COLUMN email TYPE TEXT COLLATE "C";

-- The orders in which people are listed: by last sign-in and by end.
DROP INDEX dim.identities_email;
CREATE INDEX identities_email ON dim.identities (email, last_sign_in_at);
CREATE INDEX identities_last_sign_in_at ON dim.identities (last_sign_in_at, email);
DROP INDEX dim.grants_ends_at;
CREATE INDEX grants_ends_at ON dim.grants (ends_at, email) WHERE ends_at IS NOT NULL;

-- As before, with the indexes that the list of people is read by.
CREATE OR REPLACE FUNCTION dim.attach_user_roles() RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    missing text := '';
BEGIN
    BEGIN
        IF to_regclass('dim.user_roles_email_key') IS NULL THEN
            CREATE INDEX user_roles_email_key ON dim.user_roles (lower(email::text COLLATE "C"));
        END IF;
    EXCEPTION WHEN insufficient_privilege OR wrong_object_type THEN
        missing := missing || format(E'%I does not own dim.user_roles, so there is no index for look-ups by address; '
            'as its owner: CREATE INDEX user_roles_email_key ON dim.user_roles (lower(email::text COLLATE "C"))\n', current_user);
    END;
    -- The portal does without these two, whatever kind of table it is. Other programs write there, so an entry may be no
    -- longer than the primary key's: a row that fits there has to fit here.
    BEGIN
        IF to_regclass('dim.user_roles_beyond_reader') IS NULL THEN
            CREATE INDEX user_roles_beyond_reader ON dim.user_roles (lower(email::text COLLATE "C")) WHERE role <> 'reader';
        END IF;
        IF to_regclass('dim.user_roles_odd') IS NULL THEN
            CREATE INDEX user_roles_odd ON dim.user_roles (lower(email::text COLLATE "C"))
                WHERE role NOT IN ('reader', 'editor', 'admin') OR email <> lower(email::text COLLATE "C");
        END IF;
    EXCEPTION WHEN OTHERS THEN
        missing := missing || format(E'the list of very many people is slower (%s); as the owner of dim.user_roles: '
            'CREATE INDEX user_roles_beyond_reader ON dim.user_roles (lower(email::text COLLATE "C")) WHERE role <> ''reader''; '
            'CREATE INDEX user_roles_odd ON dim.user_roles (lower(email::text COLLATE "C")) '
            'WHERE role NOT IN (''reader'', ''editor'', ''admin'') OR email <> lower(email::text COLLATE "C")\n', SQLERRM);
    END;
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'dim.user_roles'::regclass AND tgname = 'portcullis_role_change') THEN
            CREATE TRIGGER portcullis_role_change AFTER INSERT OR UPDATE OR DELETE ON dim.user_roles
                FOR EACH ROW EXECUTE FUNCTION dim.announce_role_change();
        END IF;
        IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'dim.user_roles'::regclass AND tgname = 'portcullis_role_truncate') THEN
            CREATE TRIGGER portcullis_role_truncate AFTER TRUNCATE ON dim.user_roles
                FOR EACH STATEMENT EXECUTE FUNCTION dim.announce_role_change();
        END IF;
    EXCEPTION WHEN insufficient_privilege OR wrong_object_type THEN
        missing := missing || format(E'role changes written by other programs take effect only within ROLE_CACHE_TTL; '
            'as the table''s owner: GRANT TRIGGER ON dim.user_roles TO %I\n', current_user);
    END;
    RETURN missing;
END $$;
