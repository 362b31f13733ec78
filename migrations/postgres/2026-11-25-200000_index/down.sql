DROP TABLE dim.index_state;
DROP TABLE dim.folders;
DROP INDEX dim.items_by_name, dim.items_by_size, dim.items_by_modified, dim.items_by_owner, dim.items_by_downloads, dim.items_words, dim.items_unhashed, dim.items_path;
-- What was published stays. A checksum that is not known is told for no file, because none is of that size.
DELETE FROM dim.items WHERE owner IS NULL;
UPDATE dim.items SET sha256 = '', size = -1 WHERE sha256 IS NULL;
UPDATE dim.items SET published_at = modified_at WHERE published_at IS NULL;
ALTER TABLE dim.items
    DROP COLUMN id, DROP COLUMN folder, DROP COLUMN name, DROP COLUMN sort_key, DROP COLUMN words, DROP COLUMN real_folder,
    DROP COLUMN crc32, DROP COLUMN downloads, DROP COLUMN missing_since,
    ALTER COLUMN path TYPE TEXT COLLATE "default",
    ALTER COLUMN owner TYPE TEXT COLLATE "default",
    ALTER COLUMN owner SET NOT NULL,
    ALTER COLUMN sha256 SET NOT NULL,
    ALTER COLUMN published_at SET NOT NULL;
ALTER TABLE dim.items ADD PRIMARY KEY (path);
