-- A publication is written down as well before it begins. What it replaces keeps a second name until it is over.
ALTER TABLE dim.moves_begun ADD COLUMN aside TEXT;
ALTER TABLE dim.moves_begun ADD COLUMN done_at BIGINT NOT NULL DEFAULT 0;   -- 0: not known to be made

-- As long as a folder is being renamed its rules are in force for both names. Publications and the trash have a hidden one.
CREATE TRIGGER moves_begun_rules AFTER INSERT ON dim.moves_begun
    FOR EACH ROW WHEN (position('.portcullis' IN NEW.source) = 0 AND position('.portcullis' IN NEW.target) = 0)
    EXECUTE FUNCTION dim.announce_folder_rules();
CREATE TRIGGER moves_ended_rules AFTER DELETE ON dim.moves_begun
    FOR EACH ROW WHEN (position('.portcullis' IN OLD.source) = 0 AND position('.portcullis' IN OLD.target) = 0)
    EXECUTE FUNCTION dim.announce_folder_rules();
