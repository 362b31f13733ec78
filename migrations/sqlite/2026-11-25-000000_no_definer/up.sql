-- The portal forgets bindings itself, after the change was committed: a program that rewrites the role table in one
-- transaction takes nobody's account away.
DROP TRIGGER dim.user_roles_deleted;
DROP TRIGGER dim.user_roles_renamed;
