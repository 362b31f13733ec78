-- Which account of the tenant an address belongs to. An address can change hands; the account (tid, oid) cannot.
CREATE TABLE dim.bindings (
    email TEXT PRIMARY KEY NOT NULL,
    tid TEXT NOT NULL,
    oid TEXT NOT NULL,
    bound_at BIGINT NOT NULL
);

-- Where a session was begun, for the person's own list.
ALTER TABLE dim.sessions ADD COLUMN address TEXT;
ALTER TABLE dim.sessions ADD COLUMN agent TEXT;

-- When the last row of an address goes, its binding goes with it.
CREATE TRIGGER dim.user_roles_deleted AFTER DELETE ON user_roles BEGIN
    DELETE FROM bindings WHERE email = lower(OLD.email) AND NOT EXISTS (
        SELECT 1 FROM user_roles WHERE lower(user_roles.email) = lower(OLD.email));
END;
CREATE TRIGGER dim.user_roles_renamed AFTER UPDATE OF email ON user_roles BEGIN
    DELETE FROM bindings WHERE email = lower(OLD.email) AND NOT EXISTS (
        SELECT 1 FROM user_roles WHERE lower(user_roles.email) = lower(OLD.email));
END;
