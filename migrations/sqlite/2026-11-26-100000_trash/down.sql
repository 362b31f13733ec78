-- What lies in the trash stays on the disk, in .portcullis/trash of FILES_DIR.
DROP TABLE dim.moves_begun;
DROP TABLE dim.trash;
