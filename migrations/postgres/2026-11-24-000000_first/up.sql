-- The role table may be there already, with rows, and with another program reading and writing it.
-- It is taken as it is: nothing here alters it. All times are microseconds since 1970, UTC.
CREATE TABLE IF NOT EXISTS dim.user_roles (
    email TEXT PRIMARY KEY,
    role TEXT NOT NULL
);

CREATE TABLE dim.sessions (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL,
    name TEXT,
    tid TEXT NOT NULL,
    oid TEXT NOT NULL,
    sid TEXT,
    logout_hint TEXT,
    started_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX sessions_email ON dim.sessions (email);
CREATE INDEX sessions_sid ON dim.sessions (sid);
CREATE INDEX sessions_started_at ON dim.sessions (started_at);

CREATE TABLE dim.identities (
    tid TEXT NOT NULL,
    oid TEXT NOT NULL,
    email TEXT NOT NULL,
    name TEXT,
    first_sign_in_at BIGINT NOT NULL,
    last_sign_in_at BIGINT NOT NULL,
    PRIMARY KEY (tid, oid)
);
CREATE INDEX identities_email ON dim.identities (email);

CREATE TABLE dim.items (
    path TEXT PRIMARY KEY,
    title TEXT,
    owner TEXT NOT NULL,
    size BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    published_at BIGINT NOT NULL
);

CREATE TABLE dim.audit (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    outcome TEXT NOT NULL,
    bytes BIGINT,
    reference TEXT,
    address TEXT,
    detail TEXT NOT NULL
);
CREATE INDEX audit_at ON dim.audit (at);

-- Tells every instance whose role changed. It runs inside the writer's transaction, whoever that is,
-- so it must never fail: addresses too long to sign in with are not announced.
CREATE FUNCTION dim.announce_role_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
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

CREATE FUNCTION dim.announce_session_end() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    PERFORM pg_notify('portcullis', NEW.email);
    RETURN NULL;
END $$;
CREATE TRIGGER session_end AFTER UPDATE OF ended_at ON dim.sessions
    FOR EACH ROW EXECUTE FUNCTION dim.announce_session_end();

-- Puts index and triggers on the role table where the rights allow it, and returns what is missing,
-- one sentence a line. Called here and at every start, so that a later GRANT is noticed.
CREATE FUNCTION dim.attach_user_roles() RETURNS text
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

SELECT dim.attach_user_roles();
