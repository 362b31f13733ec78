//! The lines of a list that say what is there, row for row, however odd: a portal's own export comes back as it went, with
//! addresses in several spellings and with such as nobody can sign in under.

use std::collections::{BTreeMap, HashMap};

use super::lines::{Line, one_kind_of_end};
use crate::clock;
use crate::roles::Holding;

/// What is left to look at.
pub(super) struct SetAside {
    /// The other lines.
    pub rest: Vec<Line>,
    /// The addresses of those that were set aside, with the number of a line.
    pub seen: HashMap<String, u64>,
}

/// Takes out of `left` every address of which the lines say what it holds.
pub(super) fn set_aside(lines: Vec<Line>, left: &mut BTreeMap<String, Holding>) -> SetAside {
    // An address that holds ends of lines itself comes out of a list with others.
    let bent: HashMap<String, String> = left
        .keys()
        .filter(|key| key.contains('\r'))
        .map(|key| (one_kind_of_end(key), key.clone()))
        .collect();
    let mut groups: HashMap<String, Vec<Line>> = HashMap::new();
    for line in lines {
        groups.entry(line.key()).or_default().push(line);
    }
    let (mut rest, mut seen) = (Vec::new(), HashMap::new());
    for (key, lines) in groups {
        let place = bent.get(&key).unwrap_or(&key);
        match left.get(place) {
            Some(held) if say_all(&lines, held) => {
                left.remove(place);
                seen.insert(key, lines[0].number);
            }
            _ => rest.extend(lines),
        }
    }
    rest.sort_by_key(|line| line.number);
    SetAside { rest, seen }
}

fn say_all(lines: &[Line], held: &Holding) -> bool {
    let until = held.ends_at().map(clock::last_day).unwrap_or_default();
    let note = held.grant.as_ref().and_then(|grant| grant.note.as_deref());
    let note = one_kind_of_end(note.unwrap_or("").trim());
    let keep_the_rest = lines.iter().all(|line| {
        line.until.as_ref().is_none_or(|told| *told == until)
            && line.note.as_ref().is_none_or(|told| *told == note)
    });
    let mut told: Vec<(String, String)> = lines.iter().map(|line| line.spelled.clone()).collect();
    let rows = held.rows.iter();
    let mut rows: Vec<(String, String)> = rows
        .map(|row| (one_kind_of_end(&row.email), one_kind_of_end(&row.role)))
        .collect();
    told.sort();
    rows.sort();
    keep_the_rest && told == rows
}
