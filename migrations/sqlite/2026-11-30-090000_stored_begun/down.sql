DROP TABLE dim.stored_begun;
