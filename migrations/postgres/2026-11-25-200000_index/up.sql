-- dim.items becomes the index of FILES_DIR: a row for every file that was seen there, published through the portal or not.
-- Paths and keys compare byte by byte (collation C), which is the order of code points in UTF-8 and the same on SQLite.
ALTER TABLE dim.items DROP CONSTRAINT items_pkey;
ALTER TABLE dim.items
    ALTER COLUMN path TYPE TEXT COLLATE "C",
    ALTER COLUMN owner TYPE TEXT COLLATE "C",
    ALTER COLUMN owner DROP NOT NULL,          -- NULL: nobody published it through the portal
    ALTER COLUMN sha256 DROP NOT NULL,         -- NULL: not computed yet
    ALTER COLUMN published_at DROP NOT NULL,
    ADD COLUMN id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ADD COLUMN folder TEXT COLLATE "C" NOT NULL DEFAULT '',    -- '' is the root
    ADD COLUMN name TEXT COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN sort_key TEXT COLLATE "C" NOT NULL DEFAULT '',  -- the path, folded so that the order is what people expect
    ADD COLUMN words TEXT COLLATE "C" NOT NULL DEFAULT '',     -- name and title, folded, for the search
    ADD COLUMN real_folder TEXT COLLATE "C",   -- of a link: the folder of the file that it leads to
    ADD COLUMN crc32 BIGINT,                   -- NULL: not computed yet
    ADD COLUMN downloads BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN missing_since BIGINT NOT NULL DEFAULT 0;        -- 0: it is there

-- The portal folds the keys anew when it next sees the file; until then this order has to do.
UPDATE dim.items SET
    folder = CASE WHEN position('/' IN path) = 0 THEN '' ELSE regexp_replace(path, '/[^/]*$', '') END,
    name = regexp_replace(path, '^.*/', ''),
    sort_key = left(lower(path), 200),
    words = left(lower(regexp_replace(path, '^.*/', '') || E'\n' || coalesce(title, '')), 300)
WHERE octet_length(path) <= 1024;
-- Longer paths are served, but not listed: they would not fit into the indexes below.
UPDATE dim.items SET missing_since = (extract(epoch FROM now()) * 1000000)::bigint WHERE octet_length(path) > 1024;

CREATE UNIQUE INDEX items_path ON dim.items (path);
-- One for each column that a folder's page is sorted by, and one that a search reads from end to end.
CREATE INDEX items_by_name ON dim.items (folder, missing_since, sort_key, id);
CREATE INDEX items_by_size ON dim.items (folder, missing_since, size, sort_key, id);
CREATE INDEX items_by_modified ON dim.items (folder, missing_since, modified_at, sort_key, id);
CREATE INDEX items_by_owner ON dim.items (folder, missing_since, owner NULLS FIRST, sort_key, id);
CREATE INDEX items_by_downloads ON dim.items (folder, missing_since, downloads, sort_key, id);
CREATE INDEX items_words ON dim.items (missing_since, sort_key, id, words);
CREATE INDEX items_unhashed ON dim.items (id) WHERE crc32 IS NULL AND missing_since = 0;

CREATE TABLE dim.folders (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    path TEXT COLLATE "C" NOT NULL UNIQUE,     -- '' is the root
    parent TEXT COLLATE "C",                   -- NULL for the root
    name TEXT COLLATE "C" NOT NULL,
    sort_key TEXT COLLATE "C" NOT NULL,
    words TEXT COLLATE "C" NOT NULL,
    modified_at BIGINT NOT NULL,
    target TEXT COLLATE "C",                   -- of a link: the folder that it leads to
    read_at BIGINT,                            -- its modified_at when its names were last read; NULL: read them again
    entries BIGINT NOT NULL DEFAULT 0          -- how many names it held then
);
CREATE INDEX folders_by_name ON dim.folders (parent, sort_key, id);
CREATE INDEX folders_by_modified ON dim.folders (parent, modified_at, sort_key, id);

-- One row: which folder the index was made of, when it was last read whole, and what is wrong with it.
CREATE TABLE dim.index_state (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    root TEXT,
    scanned_at BIGINT,
    warning TEXT
);
INSERT INTO dim.index_state (id) VALUES (1);
