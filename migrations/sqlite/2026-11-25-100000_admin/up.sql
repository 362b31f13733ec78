-- The same tables as on Postgres; see there for what they are.
CREATE TABLE dim.grants (
    email TEXT PRIMARY KEY NOT NULL,
    role TEXT NOT NULL,
    ends_at BIGINT,
    note TEXT,
    granted_by TEXT NOT NULL,
    granted_at BIGINT NOT NULL
);
CREATE INDEX dim.grants_ends_at ON grants (ends_at) WHERE ends_at IS NOT NULL;

CREATE TABLE dim.access_requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    email TEXT NOT NULL,
    name TEXT,
    tid TEXT,
    oid TEXT,
    asked_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    decided_by TEXT,
    decided_at BIGINT,
    answer TEXT
);
CREATE UNIQUE INDEX dim.access_requests_open ON access_requests (email) WHERE state = 'open';
CREATE INDEX dim.access_requests_email ON access_requests (email, asked_at);
CREATE INDEX dim.access_requests_state ON access_requests (state, asked_at);
CREATE INDEX dim.access_requests_asked_at ON access_requests (asked_at);

CREATE TABLE dim.webhook_messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    body TEXT NOT NULL,
    written_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    due_at BIGINT NOT NULL
);
CREATE INDEX dim.webhook_messages_due_at ON webhook_messages (due_at);

CREATE TABLE dim.audit_seals (
    seq INTEGER PRIMARY KEY NOT NULL,
    id BIGINT NOT NULL UNIQUE,
    hash TEXT NOT NULL
);
CREATE TABLE dim.audit_unsealed (
    id INTEGER PRIMARY KEY NOT NULL
);
CREATE TRIGGER dim.audit_row AFTER INSERT ON audit BEGIN
    INSERT INTO audit_unsealed (id) VALUES (NEW.id);
END;
INSERT INTO dim.audit_unsealed (id) SELECT id FROM dim.audit;

CREATE TABLE dim.audit_anchor (
    seq INTEGER PRIMARY KEY NOT NULL,
    hash TEXT NOT NULL
);

CREATE TABLE dim.audit_daily (
    fact TEXT NOT NULL,
    day BIGINT NOT NULL,
    name TEXT NOT NULL,
    events BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (fact, day, name)
) WITHOUT ROWID;

CREATE INDEX dim.audit_actor ON audit (actor, at);
CREATE INDEX dim.audit_action ON audit (action, at);
CREATE INDEX dim.audit_subject ON audit (substr(subject, 1, 200), at);
CREATE INDEX dim.audit_reference ON audit (reference) WHERE reference IS NOT NULL;
