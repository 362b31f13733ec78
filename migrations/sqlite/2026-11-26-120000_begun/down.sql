ALTER TABLE dim.moves_begun DROP COLUMN done_at;
ALTER TABLE dim.moves_begun DROP COLUMN aside;
