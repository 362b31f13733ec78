CREATE TRIGGER dim.user_roles_deleted AFTER DELETE ON user_roles BEGIN
    DELETE FROM bindings WHERE email = lower(OLD.email) AND NOT EXISTS (
        SELECT 1 FROM user_roles WHERE lower(user_roles.email) = lower(OLD.email));
END;
CREATE TRIGGER dim.user_roles_renamed AFTER UPDATE OF email ON user_roles BEGIN
    DELETE FROM bindings WHERE email = lower(OLD.email) AND NOT EXISTS (
        SELECT 1 FROM user_roles WHERE lower(user_roles.email) = lower(OLD.email));
END;
