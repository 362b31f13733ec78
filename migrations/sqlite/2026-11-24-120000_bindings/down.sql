DROP TRIGGER dim.user_roles_deleted;
DROP TRIGGER dim.user_roles_renamed;
ALTER TABLE dim.sessions DROP COLUMN address;
ALTER TABLE dim.sessions DROP COLUMN agent;
DROP TABLE dim.bindings;
