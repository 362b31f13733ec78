-- The orders in which people are listed: by last sign-in, by end, by role; and the odd rows.
DROP INDEX dim.identities_email;
CREATE INDEX dim.identities_email ON identities (email, last_sign_in_at);
CREATE INDEX dim.identities_last_sign_in_at ON identities (last_sign_in_at, email);
DROP INDEX dim.grants_ends_at;
CREATE INDEX dim.grants_ends_at ON grants (ends_at, email) WHERE ends_at IS NOT NULL;
CREATE INDEX dim.user_roles_by_role ON user_roles (role, lower(email), email);
CREATE INDEX dim.user_roles_odd ON user_roles (lower(email), email)
    WHERE role NOT IN ('reader', 'editor', 'admin') OR email <> lower(email);
