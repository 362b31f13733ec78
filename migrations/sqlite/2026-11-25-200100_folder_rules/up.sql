-- Who may see a folder and what is below. Without a rule: everybody with a role.
CREATE TABLE dim.folder_rules (
    folder TEXT PRIMARY KEY NOT NULL,          -- '' is the root
    role TEXT NOT NULL,                        -- the least role that sees it
    set_by TEXT NOT NULL,
    set_at BIGINT NOT NULL
);
-- People who see it whatever their role, by their address in lower case.
CREATE TABLE dim.folder_people (
    folder TEXT NOT NULL REFERENCES folder_rules (folder) ON DELETE CASCADE,
    email TEXT NOT NULL,
    PRIMARY KEY (folder, email)
);
