DROP TABLE dim.folder_people;
DROP TABLE dim.folder_rules;
DROP FUNCTION dim.announce_folder_rules();
