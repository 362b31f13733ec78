//! Reads the lines of a list as spreadsheets write them.

use std::collections::HashMap;

use crate::auth::entra::is_plain_address;
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

/// One line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub email: String,
    pub role: String,
    /// `None` where the list has no such column: what is there stays.
    pub until: Option<String>,
    pub note: Option<String>,
}

/// The lines of a list with their numbers, and those that cannot be taken.
pub(super) fn read(text: &str) -> (Vec<(u64, Line)>, Vec<Wrong>) {
    // One kind of line end: the reader counts a line that ends in two signs only when it meets the next.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let text = text.trim_start_matches('\u{FEFF}');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(text))
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut columns = Columns::plain();
    let (mut lines, mut wrong) = (Vec::new(), Vec::new());
    let mut seen: HashMap<String, u64> = HashMap::new();
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
        match columns.line(&record) {
            Err((email, sentence)) => wrong.push(Wrong::new(number, &email, sentence)),
            Ok(line) => match seen.insert(line.email.clone(), number) {
                Some(before) => {
                    let sentence = format!("Line {before} names the same address already.");
                    wrong.push(Wrong::new(number, &line.email, &sentence));
                }
                None => lines.push((number, line)),
            },
        }
    }
    if lines.is_empty() && wrong.is_empty() {
        wrong.push(Wrong::new(1, "", "There is no line in it."));
    }
    (lines, wrong)
}

impl Wrong {
    fn new(line: u64, email: &str, sentence: &str) -> Self {
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
                .position(|cell| cell.eq_ignore_ascii_case(name))
        };
        Some(Self {
            email: place("email").or_else(|| place("e-mail"))?,
            role: place("role")?,
            until: place("until"),
            note: place("note"),
        })
    }

    fn line(&self, record: &csv::StringRecord) -> Result<Line, (String, &'static str)> {
        let cell = |place: usize| record.get(place).map(|cell| cells::original(cell).trim());
        let email = cell(self.email).unwrap_or("").to_ascii_lowercase();
        if !is_plain_address(&email) {
            return Err((email, "This is no e-mail address, such as ada@contoso.com."));
        }
        let optional = |place: Option<usize>| place.and_then(cell).map(str::to_owned);
        Ok(Line {
            role: cell(self.role).unwrap_or("").to_ascii_lowercase(),
            until: optional(self.until),
            note: optional(self.note),
            email,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Line> {
        let (lines, wrong) = read(text);
        assert!(wrong.is_empty(), "{wrong:?}");
        lines.into_iter().map(|(_, line)| line).collect()
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
    fn each_wrong_line_is_told_by_its_number() {
        assert_eq!(wrong("")[0].0, 1);
        assert_eq!(wrong("email,role\n")[0].0, 1);
        let told =
            wrong("email,role\r\na@x.example,reader\r\nnobody,reader\r\nA@x.example,editor\r\n");
        assert_eq!(told.len(), 2);
        assert_eq!(told[0].0, 3);
        assert!(told[1].0 == 4 && told[1].1.contains("Line 2"), "{told:?}");
    }
}
