DROP TABLE dim.folder_people;
DROP TABLE dim.folder_rules;
