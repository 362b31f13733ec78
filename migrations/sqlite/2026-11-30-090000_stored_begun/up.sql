-- Publications and deletions in object storage that have begun and are not known to be finished.
CREATE TABLE dim.stored_begun (
    id         TEXT PRIMARY KEY,
    path       TEXT NOT NULL,
    change     TEXT NOT NULL,     -- JSON: what is done, and by whom
    begun_at   BIGINT NOT NULL,   -- microseconds since 1970 UTC, as is the next
    busy_until BIGINT NOT NULL    -- nobody else looks after it before that
);
