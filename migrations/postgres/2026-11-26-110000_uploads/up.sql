-- Files that arrive in pieces. Their bytes lie below FILES_DIR in .portcullis/uploads, under the id.
CREATE TABLE dim.uploads (
    id TEXT COLLATE "C" PRIMARY KEY,
    email TEXT NOT NULL,                       -- who began it, in lower case, with the account where Entra told one
    tid TEXT,
    oid TEXT,
    metadata TEXT NOT NULL,                    -- Upload-Metadata as it was sent
    size BIGINT NOT NULL,                      -- bytes of the whole file
    received BIGINT NOT NULL,                  -- bytes that are on the disk, synced
    expires_at BIGINT NOT NULL,
    lease TEXT NOT NULL,                       -- who wrote last; nobody else writes before the lease ends
    leased_until BIGINT NOT NULL,
    path TEXT COLLATE "C"                      -- where it was published
);
CREATE INDEX uploads_email ON dim.uploads (email);
CREATE INDEX uploads_expires_at ON dim.uploads (expires_at);
