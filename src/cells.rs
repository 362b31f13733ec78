//! CSV, whose cells spreadsheets must not take for formulas (OWASP: "CSV Injection"): what begins like one, or would where
//! a spreadsheet parts cells by other signs than commas, gets an apostrophe in front, and loses it again when the list
//! comes back.

const BEGINNINGS: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];
/// Where another cell begins for a spreadsheet that parts by semicolons or tabs: it does not even see our quotation marks.
const PARTING: [char; 4] = [';', '\t', '\n', '\r'];

/// Whether a cell that begins here is a formula, by what follows such signs as spreadsheets pass over. Apostrophes are
/// passed over as well, so that `original` takes off the very one that `harmless` put there.
fn is_formula(rest: &str) -> bool {
    let passed_over = ['\'', '"', ' '];
    rest.trim_start_matches(passed_over).starts_with(BEGINNINGS)
}

/// A cell that no spreadsheet computes, wherever it parts it.
pub fn harmless(text: &str) -> String {
    let mut cell = String::with_capacity(text.len() + 1);
    let mut rest = text;
    loop {
        if is_formula(rest) {
            cell.push('\'');
        }
        let Some(end) = rest.find(PARTING) else {
            cell.push_str(rest);
            return cell;
        };
        // All of them are one byte long.
        cell.push_str(&rest[..=end]);
        rest = &rest[end + 1..];
    }
}

/// What [`harmless`] was given.
pub fn original(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    let mut rest = cell;
    loop {
        if let Some(bare) = rest.strip_prefix('\'').filter(|bare| is_formula(bare)) {
            rest = bare;
        }
        let Some(end) = rest.find(PARTING) else {
            text.push_str(rest);
            return text;
        };
        text.push_str(&rest[..=end]);
        rest = &rest[end + 1..];
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
            "=1+1", "+49", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''@x", " =1", "\"=1", "＝1",
        ] {
            assert!(harmless(text).starts_with('\''), "{text}");
            assert_eq!(original(&harmless(text)), text);
        }
        for text in ["", "ada@x.example", "it's", "'quoted'", "2-1", "a; b; c"] {
            assert_eq!(harmless(text), text);
            assert_eq!(original(text), text);
        }
        assert_eq!(
            line(["=a", "b,c\n\"d\""]).unwrap(),
            b"'=a,\"b,c\n\"\"d\"\"\"\r\n"
        );
    }

    #[test]
    fn nothing_begins_like_one_where_cells_are_parted_otherwise() {
        for (text, cell) in [
            ("x;=1+1", "x;'=1+1"),
            ("x\n=1", "x\n'=1"),
            ("x\t@a;-1", "x\t'@a;'-1"),
            ("x;\"=1\"", "x;'\"=1\""),
            ("x; '+1", "x;' '+1"),
        ] {
            assert_eq!(harmless(text), cell);
            assert_eq!(original(cell), text);
        }
    }

    proptest! {
        #[test]
        fn a_cell_comes_back_as_it_went(text in "['\"=+@a;,\t\r\n \\-]{0,12}.*") {
            let cell = harmless(&text);
            prop_assert_eq!(original(&cell), text);
        }

        #[test]
        fn no_part_of_a_cell_is_a_formula(text in "['\"=+@a;,\t\r\n \\-]{0,12}") {
            let cell = harmless(&text);
            for part in cell.split([';', '\t', '\r', '\n']) {
                let begins = part.trim_start_matches(['"', ' ']);
                prop_assert!(!begins.starts_with(['=', '+', '-', '@']), "{:?} of {:?}", part, cell);
            }
        }
    }
}
