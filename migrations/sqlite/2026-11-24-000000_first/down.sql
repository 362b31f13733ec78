-- The role table stays: it may have been there before, and its rows are not ours to lose.
DROP INDEX IF EXISTS dim.user_roles_email_key;
DROP TABLE dim.audit;
DROP TABLE dim.items;
DROP TABLE dim.identities;
DROP TABLE dim.sessions;
