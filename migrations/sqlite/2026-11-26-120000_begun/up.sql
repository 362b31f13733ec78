-- A publication is written down as well before it begins. What it replaces keeps a second name until it is over.
ALTER TABLE dim.moves_begun ADD COLUMN aside TEXT;
ALTER TABLE dim.moves_begun ADD COLUMN done_at BIGINT NOT NULL DEFAULT 0;   -- 0: not known to be made
