-- Who may see a folder and what is below. Without a rule: everybody with a role.
CREATE TABLE dim.folder_rules (
    folder TEXT COLLATE "C" PRIMARY KEY,       -- '' is the root
    role TEXT NOT NULL,                        -- the least role that sees it
    set_by TEXT NOT NULL,
    set_at BIGINT NOT NULL
);
-- People who see it whatever their role, by their address in lower case.
CREATE TABLE dim.folder_people (
    folder TEXT COLLATE "C" NOT NULL REFERENCES dim.folder_rules (folder) ON DELETE CASCADE,
    email TEXT NOT NULL,
    PRIMARY KEY (folder, email)
);

-- Tells every instance. The payload cannot be an address: it has no @.
CREATE FUNCTION dim.announce_folder_rules() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('portcullis', '/folders');
    RETURN NULL;
END $$;
CREATE TRIGGER folder_rules_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON dim.folder_rules
    FOR EACH STATEMENT EXECUTE FUNCTION dim.announce_folder_rules();
CREATE TRIGGER folder_people_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON dim.folder_people
    FOR EACH STATEMENT EXECUTE FUNCTION dim.announce_folder_rules();
