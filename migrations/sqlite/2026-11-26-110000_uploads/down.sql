DROP TABLE dim.uploads;
