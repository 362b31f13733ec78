-- The role table stays: it may have been there before, and its rows are not ours to lose.
DROP TRIGGER IF EXISTS portcullis_role_change ON dim.user_roles;
DROP TRIGGER IF EXISTS portcullis_role_truncate ON dim.user_roles;
DROP INDEX IF EXISTS dim.user_roles_email_key;
DROP FUNCTION dim.attach_user_roles();
DROP FUNCTION dim.announce_role_change();
DROP TABLE dim.audit;
DROP TABLE dim.items;
DROP TABLE dim.identities;
DROP TABLE dim.sessions;
DROP FUNCTION dim.announce_session_end();
