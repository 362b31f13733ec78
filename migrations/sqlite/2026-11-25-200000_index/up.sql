-- dim.items becomes the index of FILES_DIR: a row for every file that was seen there, published through the portal or not.
-- Text compares byte by byte (collation BINARY), which is the order of code points in UTF-8 and the same on Postgres.
CREATE TABLE dim.items_new (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    path TEXT NOT NULL,
    title TEXT,
    owner TEXT,                                -- NULL: nobody published it through the portal
    size BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    sha256 TEXT,                               -- NULL: not computed yet
    published_at BIGINT,
    folder TEXT NOT NULL DEFAULT '',           -- '' is the root
    name TEXT NOT NULL DEFAULT '',
    sort_key TEXT NOT NULL DEFAULT '',         -- the path, folded so that the order is what people expect
    words TEXT NOT NULL DEFAULT '',            -- name and title, folded, for the search
    real_folder TEXT,                          -- of a link: the folder of the file that it leads to
    crc32 BIGINT,                              -- NULL: not computed yet
    downloads BIGINT NOT NULL DEFAULT 0,
    missing_since BIGINT NOT NULL DEFAULT 0    -- 0: it is there
);
-- The portal folds the keys anew when it next sees the file; until then this order has to do.
-- (The path without its last name: what remains when every character but the slash is trimmed from its end.)
INSERT INTO dim.items_new (path, title, owner, size, modified_at, sha256, published_at, folder, name, sort_key, words)
SELECT path, title, owner, size, modified_at, sha256, published_at,
       rtrim(rtrim(path, replace(path, '/', '')), '/'),
       substr(path, length(rtrim(path, replace(path, '/', ''))) + 1),
       substr(lower(path), 1, 200),
       substr(lower(substr(path, length(rtrim(path, replace(path, '/', ''))) + 1) || char(10) || coalesce(title, '')), 1, 300)
FROM dim.items;
DROP TABLE dim.items;
ALTER TABLE dim.items_new RENAME TO items;
-- Longer paths are served, but not listed.
UPDATE dim.items SET folder = '', sort_key = '', missing_since = CAST(strftime('%s', 'now') AS INTEGER) * 1000000
WHERE length(CAST(path AS BLOB)) > 1024;

CREATE UNIQUE INDEX dim.items_path ON items (path);
-- One for each column that a folder's page is sorted by, and one that a search reads from end to end.
CREATE INDEX dim.items_by_name ON items (folder, missing_since, sort_key, id);
CREATE INDEX dim.items_by_size ON items (folder, missing_since, size, sort_key, id);
CREATE INDEX dim.items_by_modified ON items (folder, missing_since, modified_at, sort_key, id);
CREATE INDEX dim.items_by_owner ON items (folder, missing_since, owner, sort_key, id);
CREATE INDEX dim.items_by_downloads ON items (folder, missing_since, downloads, sort_key, id);
CREATE INDEX dim.items_words ON items (missing_since, sort_key, id, words);
CREATE INDEX dim.items_unhashed ON items (id) WHERE crc32 IS NULL AND missing_since = 0;

CREATE TABLE dim.folders (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    path TEXT NOT NULL UNIQUE,                 -- '' is the root
    parent TEXT,                               -- NULL for the root
    name TEXT NOT NULL,
    sort_key TEXT NOT NULL,
    words TEXT NOT NULL,
    modified_at BIGINT NOT NULL,
    target TEXT,                               -- of a link: the folder that it leads to
    read_at BIGINT,                            -- its modified_at when its names were last read; NULL: read them again
    entries BIGINT NOT NULL DEFAULT 0          -- how many names it held then
);
CREATE INDEX dim.folders_by_name ON folders (parent, sort_key, id);
CREATE INDEX dim.folders_by_modified ON folders (parent, modified_at, sort_key, id);

-- One row: which folder the index was made of, when it was last read whole, and what is wrong with it.
CREATE TABLE dim.index_state (
    id BIGINT PRIMARY KEY NOT NULL CHECK (id = 1),
    root TEXT,
    scanned_at BIGINT,
    warning TEXT
);
INSERT INTO dim.index_state (id) VALUES (1);
