DROP TRIGGER moves_ended_rules ON dim.moves_begun;
DROP TRIGGER moves_begun_rules ON dim.moves_begun;
ALTER TABLE dim.moves_begun DROP COLUMN done_at;
ALTER TABLE dim.moves_begun DROP COLUMN aside;
