//! Reads the lines of a list as spreadsheets write them.

use crate::cells;

/// Lines that a list may have.
const MOST_LINES: usize = 200_000;

/// A line that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// From 1.
    pub line: u64,
    /// Its address, as far as there is one.
    pub email: String,
    /// What to write instead.
    pub sentence: String,
}

/// One line, understood as far as it can be without the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// From 1.
    pub number: u64,
    /// Address and role as they stand: a row of another program may be written so.
    pub spelled: (String, String),
    /// What a person means by them.
    pub email: String,
    pub role: String,
    /// `None` where the list has no such column: what is there stays.
    pub until: Option<String>,
    pub note: Option<String>,
}

/// With one kind of line end: the reader counts a line that ends in two signs only when it meets the next.
pub(super) fn one_kind_of_end(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// The lines of a list, and those that are none.
pub(super) fn read(text: &str) -> (Vec<Line>, Vec<Wrong>) {
    let text = one_kind_of_end(text);
    let text = text.trim_start_matches('\u{FEFF}');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(text))
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut columns = Columns::plain();
    let (mut lines, mut wrong) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(1, csv::Position::line);
                let sentence = "This line is no CSV: a quotation mark is missing or misplaced.";
                wrong.push(Wrong::new(line, "", sentence));
                break;
            }
        };
        let number = record.position().map_or(1, csv::Position::line);
        if lines.is_empty()
            && wrong.is_empty()
            && let Some(heading) = Columns::of_heading(&record)
        {
            columns = heading;
            continue;
        }
        if lines.len() + wrong.len() >= MOST_LINES {
            let sentence = format!("A list has at most {MOST_LINES} lines. Import it in parts.");
            wrong.push(Wrong::new(number, "", &sentence));
            break;
        }
        lines.push(columns.line(number, &record));
    }
    if lines.is_empty() && wrong.is_empty() {
        wrong.push(Wrong::new(1, "", "There is no line in it."));
    }
    (lines, wrong)
}

impl Line {
    /// The address as the table's key would have it, were it a row.
    pub fn key(&self) -> String {
        self.spelled.0.to_ascii_lowercase()
    }
}

impl Wrong {
    /// What is wrong with a line.
    pub fn new(line: u64, email: &str, sentence: &str) -> Self {
        Self {
            line,
            email: email.to_owned(),
            sentence: sentence.to_owned(),
        }
    }
}

/// What parts the first line: commas, the semicolons of some countries' spreadsheets, or the tabs of a paste.
fn delimiter(text: &str) -> u8 {
    let first = text.lines().next().unwrap_or("");
    let count = |delimiter: u8| first.bytes().filter(|byte| *byte == delimiter).count();
    let by_count = [b',', b';', b'\t'].map(|delimiter| (count(delimiter), delimiter));
    let most = by_count.into_iter().max_by_key(|(count, _)| *count);
    most.filter(|(count, _)| *count > 0)
        .map_or(b',', |(_, delimiter)| delimiter)
}

/// Where each column stands.
struct Columns {
    email: usize,
    role: usize,
    until: Option<usize>,
    note: Option<usize>,
}

impl Columns {
    /// Without a heading: address and role, then perhaps the last day and a note.
    fn plain() -> Self {
        Self {
            email: 0,
            role: 1,
            until: Some(2),
            note: Some(3),
        }
    }

    fn of_heading(record: &csv::StringRecord) -> Option<Self> {
        let place = |name: &str| {
            record
                .iter()
                .position(|cell| cell.trim().eq_ignore_ascii_case(name))
        };
        Some(Self {
            email: place("email").or_else(|| place("e-mail"))?,
            role: place("role")?,
            until: place("until"),
            note: place("note"),
        })
    }

    fn line(&self, number: u64, record: &csv::StringRecord) -> Line {
        let cell = |place: usize| record.get(place).map(cells::original);
        let trimmed = |place: Option<usize>| Some(cell(place?)?.trim().to_owned());
        let spelled = (
            cell(self.email).unwrap_or_default(),
            cell(self.role).unwrap_or_default(),
        );
        Line {
            number,
            email: spelled.0.trim().to_ascii_lowercase(),
            role: spelled.1.trim().to_ascii_lowercase(),
            until: trimmed(self.until),
            note: trimmed(self.note),
            spelled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Line> {
        let (lines, wrong) = read(text);
        assert!(wrong.is_empty(), "{wrong:?}");
        lines
    }

    fn wrong(text: &str) -> Vec<(u64, String)> {
        let (_, wrong) = read(text);
        wrong.into_iter().map(|w| (w.line, w.sentence)).collect()
    }

    #[test]
    fn a_list_is_read_as_spreadsheets_write_it() {
        for text in [
            "email,role\nAda@x.example,Admin\n",
            "\u{FEFF}email;role\r\nada@x.example;admin\r\n",
            "ada@x.example\tadmin",
            "Role, E-Mail \nadmin, ada@x.example ",
            "email,role,department\nada@x.example,admin,sales",
        ] {
            let found = lines(text);
            assert_eq!(
                (found[0].email.as_str(), found[0].role.as_str()),
                ("ada@x.example", "admin"),
                "{text}"
            );
            assert_eq!((found.len(), &found[0].until), (1, &None), "{text}");
        }
        let full =
            lines("email,role,until,note\n'+a@x.example,reader,2999-12-31,\"'=1, \"\"so\"\"\"\n");
        assert_eq!(full[0].email, "+a@x.example");
        assert_eq!(full[0].note.as_deref(), Some("=1, \"so\""));
        assert_eq!(
            lines("a@x.example,reader,2999-12-31")[0].until.as_deref(),
            Some("2999-12-31")
        );
    }

    #[test]
    fn a_line_keeps_how_it_is_written_and_its_number() {
        let text = "email,role\r\n Spaced@x.example, Owner\r\n\"two\r\nlines\",reader\r\nA@x.example,editor\r\n";
        let found = lines(text);
        let spelled = |index: usize| {
            let line: &Line = &found[index];
            (line.spelled.0.as_str(), line.spelled.1.as_str())
        };
        assert_eq!(spelled(0), (" Spaced@x.example", " Owner"));
        assert_eq!(
            (found[0].email.as_str(), found[0].role.as_str()),
            ("spaced@x.example", "owner")
        );
        assert_eq!(spelled(1), ("two\nlines", "reader"));
        assert_eq!(
            [found[0].number, found[1].number, found[2].number],
            [2, 3, 5]
        );
    }

    #[test]
    fn a_list_without_lines_is_told() {
        assert_eq!(wrong("")[0].0, 1);
        assert_eq!(wrong("email,role\n")[0].0, 1);
    }
}
