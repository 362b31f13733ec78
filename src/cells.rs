//! CSV, whose cells spreadsheets must not take for formulas (OWASP: "CSV Injection"): a cell that begins like one gets
//! an apostrophe in front, and loses it again when the list comes back.

const BEGINNINGS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A cell that no spreadsheet computes.
pub fn harmless(text: &str) -> String {
    // One that begins with apostrophes before such a character gets one more, so that `original` takes off the right one.
    match text.trim_start_matches('\'').starts_with(BEGINNINGS) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

/// What [`harmless`] was given.
pub fn original(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.trim_start_matches('\'').starts_with(BEGINNINGS) => rest,
        _ => cell,
    }
}

/// One record as a line.
///
/// # Errors
/// Never for a record in memory; the text of the library's error.
pub fn line<I: AsRef<str>>(cells: impl IntoIterator<Item = I>) -> Result<Vec<u8>, String> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    let cells = cells.into_iter().map(|cell| harmless(cell.as_ref()));
    writer
        .write_record(cells)
        .map_err(|error| error.to_string())?;
    writer.into_inner().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_begins_like_a_formula() {
        for text in [
            "=1+1", "+49", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''@x",
        ] {
            assert!(harmless(text).starts_with('\''), "{text}");
            assert_eq!(original(&harmless(text)), text);
        }
        for text in ["", "ada@x.example", "it's", "'quoted'", "2-1"] {
            assert_eq!(harmless(text), text);
            assert_eq!(original(text), text);
        }
        assert_eq!(
            line(["=a", "b,c\n\"d\""]).unwrap(),
            b"'=a,\"b,c\n\"\"d\"\"\"\r\n"
        );
    }

    proptest! {
        #[test]
        fn a_cell_comes_back_as_it_went(text in "['=+@a\\-]{0,6}.*") {
            let cell = harmless(&text);
            prop_assert_eq!(original(&cell), text);
        }
    }
}
