//! The list of everybody's role as CSV: written for a spreadsheet, read back from one.

use std::collections::{BTreeMap, HashMap};

use super::change::Change;
use super::plan::Plan;
use super::wanted::{Mistake, Wanted};
use super::{Holding, store};
use crate::audit::Actor;
use crate::auth::entra::is_plain_address;
use crate::db::{Conn, DbResult};
use crate::{cells, clock};

/// Lines that a list may have.
const MOST_LINES: usize = 200_000;
/// Wrong lines told one by one.
const MOST_WRONG: usize = 200;
const HEADING: [&str; 4] = ["email", "role", "until", "note"];

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
struct Line {
    email: String,
    role: String,
    /// `None` where the list has no such column: what is there stays.
    until: Option<String>,
    note: Option<String>,
}

/// The list as CSV, one row of `dim.user_roles` a line.
///
/// # Errors
/// The database's.
pub async fn write(conn: &mut Conn) -> DbResult<Vec<u8>> {
    let mut text = cells::line(HEADING).unwrap_or_default();
    for holding in store::holdings(conn).await?.values() {
        let until = holding.ends_at().map(clock::last_day).unwrap_or_default();
        let note = holding
            .grant
            .as_ref()
            .and_then(|grant| grant.note.as_deref());
        for row in &holding.rows {
            let cells = [&row.email, &row.role, &until, note.unwrap_or("")];
            text.extend(cells::line(cells).unwrap_or_default());
        }
    }
    Ok(text)
}

/// What the list in `text` would change. With `complete`, whoever is not in it loses their role.
/// The inner error holds the lines that cannot be taken, the first two hundred of them.
///
/// # Errors
/// The database's.
pub async fn plan(
    conn: &mut Conn,
    text: &str,
    complete: bool,
    actor: &Actor,
) -> DbResult<Result<Plan, Vec<Wrong>>> {
    let (lines, mut wrong) = read(text);
    let mut holdings = store::holdings(conn).await?;
    let admins = |holdings: &BTreeMap<String, Holding>| {
        holdings
            .iter()
            .any(|(email, held)| held.is_lasting_admin(email))
    };
    let had_admin = admins(&holdings);
    let mut plan = Plan::default();
    let mut left = holdings.clone();
    for (number, line) in lines {
        let before = left.remove(&line.email).unwrap_or_default();
        match line.wanted(&before) {
            Ok(wanted) if is_so(&line.email, &before, &wanted) => plan.unchanged += 1,
            Ok(wanted) => {
                let change = Change::grant(&line.email, before, &wanted, actor);
                plan.changes.push(change);
            }
            // A role that nobody knows and that is there already is no mistake of the list's.
            Err(_) if line.says(&before) => plan.unchanged += 1,
            Err(mistake) => wrong.push(Wrong {
                line: number,
                email: line.email,
                sentence: mistake.sentence,
            }),
        }
    }
    if !wrong.is_empty() {
        wrong.sort_by_key(|wrong| wrong.line);
        wrong.truncate(MOST_WRONG);
        return Ok(Err(wrong));
    }
    match complete {
        true => {
            let removed = left.into_iter();
            plan.changes
                .extend(removed.map(|(email, before)| Change::revoke(&email, before)));
        }
        false => plan.unchanged += left.len(),
    }
    plan.changes.sort_by(|a, b| a.email.cmp(&b.email));
    for change in &plan.changes {
        holdings.insert(change.email.clone(), change.after.clone());
    }
    plan.leaves_no_admin = had_admin && !admins(&holdings);
    Ok(Ok(plan))
}

fn is_so(email: &str, before: &Holding, wanted: &Wanted) -> bool {
    let note = before.grant.as_ref().and_then(|grant| grant.note.as_ref());
    super::decide(email, &before.rows).0 == Some(wanted.role)
        && before
            .rows
            .iter()
            .all(|row| row.role == wanted.role.as_str())
        && before.ends_at() == wanted.ends_at
        && note == wanted.note.as_ref()
}

impl Line {
    fn says(&self, before: &Holding) -> bool {
        let mut roles = before.rows.iter().map(|row| &row.role);
        !before.rows.is_empty() && roles.all(|role| role.eq_ignore_ascii_case(&self.role))
    }

    fn wanted(&self, before: &Holding) -> Result<Wanted, Mistake> {
        let until = self.until.as_deref().unwrap_or("");
        let note = self.note.as_deref().unwrap_or("");
        // The list is written with the ends that are there; one of today must not make it wrong.
        let is_kept = before
            .ends_at()
            .is_some_and(|end| clock::last_day(end) == until.trim());
        let mut wanted = Wanted::read(&self.role, if is_kept { "" } else { until }, note)?;
        if is_kept || self.until.is_none() {
            wanted.ends_at = before.ends_at();
        }
        if self.note.is_none() {
            wanted.note = before.grant.as_ref().and_then(|grant| grant.note.clone());
        }
        Ok(wanted)
    }
}

/// The lines of a list with their numbers, and those that cannot be taken.
fn read(text: &str) -> (Vec<(u64, Line)>, Vec<Wrong>) {
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
