DROP INDEX dim.user_roles_odd;
DROP INDEX dim.user_roles_by_role;
DROP INDEX dim.grants_ends_at;
CREATE INDEX dim.grants_ends_at ON grants (ends_at) WHERE ends_at IS NOT NULL;
DROP INDEX dim.identities_last_sign_in_at;
DROP INDEX dim.identities_email;
CREATE INDEX dim.identities_email ON identities (email);
