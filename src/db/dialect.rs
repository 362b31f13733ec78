//! SQL that the two databases write differently.

use super::Conn;

impl Conn {
    /// SQL for text that compares byte by byte on both databases, whatever the database's language.
    pub fn bytewise(&self, text: &str) -> String {
        match self {
            Self::Postgres(_) => format!("{text} COLLATE \"C\""),
            Self::Sqlite(_) => text.to_owned(),
        }
    }

    /// SQL for a table `x` made of a JSON array of objects, the first bound value. Columns are (name, type): many rows
    /// travel as one value, the same way on both databases.
    pub fn rows_of_json(&self, columns: &[(&str, &str)]) -> String {
        let columns = columns.iter();
        match self {
            Self::Postgres(_) => {
                let columns: Vec<String> = columns
                    .map(|(name, kind)| format!("{name} {kind}"))
                    .collect();
                format!("json_to_recordset($1::json) AS x({})", columns.join(", "))
            }
            Self::Sqlite(_) => {
                let columns: Vec<String> = columns
                    .map(|(name, _)| format!("value ->> '{name}' AS {name}"))
                    .collect();
                format!("(SELECT {} FROM json_each($1)) AS x", columns.join(", "))
            }
        }
    }
}
