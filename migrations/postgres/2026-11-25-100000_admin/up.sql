-- What the portal knows of a role beyond the role table, which may belong to somebody else and stays as it is:
-- when it ends, why it was given, by whom. Keyed by the address in lower case; it goes with the address's last row.
CREATE TABLE dim.grants (
    email TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    ends_at BIGINT,
    note TEXT,
    granted_by TEXT NOT NULL,
    granted_at BIGINT NOT NULL
);
CREATE INDEX grants_ends_at ON dim.grants (ends_at) WHERE ends_at IS NOT NULL;

-- An end that moves changes what a person may do, so it is announced like a role.
CREATE TRIGGER grant_change AFTER INSERT OR UPDATE OR DELETE ON dim.grants
    FOR EACH ROW EXECUTE FUNCTION dim.announce_binding_change();

-- Who asked for access, and what became of it. One open request an address.
CREATE TABLE dim.access_requests (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
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
CREATE UNIQUE INDEX access_requests_open ON dim.access_requests (email) WHERE state = 'open';
CREATE INDEX access_requests_email ON dim.access_requests (email, asked_at);
CREATE INDEX access_requests_state ON dim.access_requests (state, asked_at);
CREATE INDEX access_requests_asked_at ON dim.access_requests (asked_at);

-- Messages on their way to the webhook. A row goes when its message has arrived, or was given up.
CREATE TABLE dim.webhook_messages (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    body TEXT NOT NULL,
    written_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    due_at BIGINT NOT NULL
);
CREATE INDEX webhook_messages_due_at ON dim.webhook_messages (due_at);

-- The chain over the audit: a place without gaps for each row, and the hash that ties it to the one before.
-- Rows wait in audit_unsealed for the sealer, so that nobody who writes one waits for the chain.
CREATE TABLE dim.audit_seals (
    seq BIGINT PRIMARY KEY,
    id BIGINT NOT NULL UNIQUE,
    hash TEXT NOT NULL
);
CREATE TABLE dim.audit_unsealed (
    id BIGINT PRIMARY KEY
);
CREATE FUNCTION dim.await_seal() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO dim.audit_unsealed (id) VALUES (NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_row AFTER INSERT ON dim.audit
    FOR EACH ROW EXECUTE FUNCTION dim.await_seal();
INSERT INTO dim.audit_unsealed (id) SELECT id FROM dim.audit;

-- Where the chain begins once retention has removed its first rows: their last place and hash. At most one row.
CREATE TABLE dim.audit_anchor (
    seq BIGINT PRIMARY KEY,
    hash TEXT NOT NULL
);

-- Counts a day, filled by the sealer: of each action, of each file and of each person that downloaded.
CREATE TABLE dim.audit_daily (
    fact TEXT NOT NULL,
    day BIGINT NOT NULL,
    name TEXT NOT NULL,
    events BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (fact, day, name)
);

-- One index a filter of the audit's page. Subjects may be longer than an index entry, so their beginning serves.
CREATE INDEX audit_actor ON dim.audit (actor, at);
CREATE INDEX audit_action ON dim.audit (action, at);
CREATE INDEX audit_subject ON dim.audit (substr(subject, 1, 200) COLLATE "C", at);
CREATE INDEX audit_reference ON dim.audit (reference) WHERE reference IS NOT NULL;
