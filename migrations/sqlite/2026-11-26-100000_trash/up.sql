-- What was deleted through the portal. It lies in a hidden folder of FILES_DIR until it is brought back or removed.
CREATE TABLE dim.trash (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    place TEXT NOT NULL UNIQUE,                -- where it lies, relative to FILES_DIR
    origin TEXT NOT NULL,                      -- where it came from; the rules of that place decide who sees the row
    kind TEXT NOT NULL,                        -- 'file' or 'folder'
    files BIGINT NOT NULL,
    size BIGINT NOT NULL,
    inode TEXT NOT NULL,
    deleted_by TEXT NOT NULL,
    deleted_at BIGINT NOT NULL,
    removed_at BIGINT NOT NULL DEFAULT 0       -- 0: it can be brought back
);
CREATE INDEX dim.trash_by_age ON trash (removed_at, deleted_at);
CREATE INDEX dim.trash_by_origin ON trash (origin);

-- Renames that have begun. A row that stands is of one that was not made, or is being made at this moment.
CREATE TABLE dim.moves_begun (
    id TEXT PRIMARY KEY NOT NULL,              -- random
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    inode TEXT NOT NULL,
    begun_at BIGINT NOT NULL
);
