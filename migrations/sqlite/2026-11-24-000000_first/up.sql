-- The same tables as on Postgres. All times are microseconds since 1970, UTC.
CREATE TABLE IF NOT EXISTS dim.user_roles (
    email TEXT PRIMARY KEY NOT NULL,
    role TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS dim.user_roles_email_key ON user_roles (lower(email));

CREATE TABLE dim.sessions (
    id TEXT PRIMARY KEY NOT NULL,
    email TEXT NOT NULL,
    name TEXT,
    tid TEXT NOT NULL,
    oid TEXT NOT NULL,
    sid TEXT,
    logout_hint TEXT,
    started_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX dim.sessions_email ON sessions (email);
CREATE INDEX dim.sessions_sid ON sessions (sid);
CREATE INDEX dim.sessions_started_at ON sessions (started_at);

CREATE TABLE dim.identities (
    tid TEXT NOT NULL,
    oid TEXT NOT NULL,
    email TEXT NOT NULL,
    name TEXT,
    first_sign_in_at BIGINT NOT NULL,
    last_sign_in_at BIGINT NOT NULL,
    PRIMARY KEY (tid, oid)
);
CREATE INDEX dim.identities_email ON identities (email);

CREATE TABLE dim.items (
    path TEXT PRIMARY KEY NOT NULL,
    title TEXT,
    owner TEXT NOT NULL,
    size BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    published_at BIGINT NOT NULL
);

CREATE TABLE dim.audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
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
CREATE INDEX dim.audit_at ON audit (at);
