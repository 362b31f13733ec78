//! The list in its order, cut into stretches that each have an index: first those with an end, say, then all others.

use super::choice::{Column, Show, Sort, UNKNOWN_ROLE};

/// A part of the list whose rows follow each other in one index, before or after all rows of the next.
#[derive(Clone)]
pub(super) struct Stretch {
    /// Joined to the role table `r`.
    pub join: String,
    /// Which rows of it.
    pub condition: String,
    /// What is sorted by before the address.
    value: Option<&'static str>,
    /// The address in lower case, as the index of `value` has it.
    address: String,
    descending: bool,
    narrow: bool,
}

impl Stretch {
    /// The stretches of a list, the first one first. `key` is SQL for the address in lower case. Of a `narrow` list, which
    /// admits few rows, those are looked up and sorted: walking an index to find them could mean walking all of it.
    pub fn of(sort: Sort, narrow: bool, key: &str) -> Vec<Self> {
        let descending = sort.is_descending();
        let mut stretches = match sort.column() {
            Column::Person => vec![Self::everybody(key)],
            Column::Role => Self::by_role(key),
            Column::Until => Self::by_end(key),
            Column::Seen => Self::by_last_sign_in(key),
        };
        // Whoever has no end comes last either way.
        if descending && sort.column() != Column::Until {
            stretches.reverse();
        }
        for stretch in &mut stretches {
            let turns = stretch.value.is_some() || sort.column() == Column::Person;
            stretch.descending = descending && turns;
            stretch.narrow = narrow;
        }
        stretches
    }

    /// All of it, by address.
    pub fn everybody(key: &str) -> Self {
        Self::only("true", key)
    }

    /// What opens most comes first, and what the portal does not know last.
    fn by_role(key: &str) -> Vec<Self> {
        let known = [Show::Admins, Show::Editors, Show::Readers];
        let mut stretches = known
            .map(|show| Self::only(&show.condition(key), key))
            .to_vec();
        stretches.push(Self::only(UNKNOWN_ROLE, key));
        stretches
    }

    fn by_end(key: &str) -> Vec<Self> {
        let with_end = "g.ends_at IS NOT NULL";
        let without =
            format!("NOT EXISTS (SELECT 1 FROM dim.grants g WHERE g.email = {key} AND {with_end})");
        let ending = Self {
            join: format!("JOIN dim.grants g ON g.email = {key}"),
            value: Some("g.ends_at"),
            address: "g.email".to_owned(),
            ..Self::only(with_end, key)
        };
        vec![ending, Self::only(&without, key)]
    }

    fn by_last_sign_in(key: &str) -> Vec<Self> {
        // Of several accounts that came under the address, the last one counts.
        let last = "NOT EXISTS (SELECT 1 FROM dim.identities l WHERE l.email = s.email
            AND (l.last_sign_in_at, l.tid, l.oid) > (s.last_sign_in_at, s.tid, s.oid))";
        let seen = Self {
            join: format!("JOIN dim.identities s ON s.email = {key}"),
            value: Some("s.last_sign_in_at"),
            address: "s.email".to_owned(),
            ..Self::only(last, key)
        };
        vec![Self::only(&Show::Never.condition(key), key), seen]
    }

    /// Those that meet the condition, by their addresses.
    fn only(condition: &str, key: &str) -> Self {
        Self {
            join: String::new(),
            condition: condition.to_owned(),
            value: None,
            address: key.to_owned(),
            descending: false,
            narrow: false,
        }
    }

    /// What it is sorted by, for the column `value` of the chosen rows.
    pub fn value(&self) -> &'static str {
        self.value.unwrap_or("0")
    }

    /// SQL of the order in which rows are chosen.
    pub fn order(&self) -> String {
        // The sum is in no index, so the rows come first and their order afterwards.
        let value = self.value.map(|value| match self.narrow {
            true => format!("{value} + 0"),
            false => value.to_owned(),
        });
        self.order_by(value.as_deref(), &self.address, "r.email")
    }

    /// The same for the rows that were chosen, `p`.
    pub fn order_of_chosen(&self) -> String {
        self.order_by(self.value.and(Some("p.value")), "p.key", "p.email")
    }

    fn order_by(&self, value: Option<&str>, address: &str, email: &str) -> String {
        let way = if self.descending { "DESC" } else { "ASC" };
        let value = value
            .map(|value| format!("{value} {way}, "))
            .unwrap_or_default();
        format!("{value}{address} {way}, {email} {way}")
    }
}

/// The same list from its end.
pub(super) fn reversed(mut stretches: Vec<Stretch>) -> Vec<Stretch> {
    stretches.reverse();
    for stretch in &mut stretches {
        stretch.descending = !stretch.descending;
    }
    stretches
}
