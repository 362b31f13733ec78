//! Collects what was measured and prints it as Markdown: medians, and ratios to the recipe.

use std::collections::BTreeMap;

use super::servers::Kind;

/// What is measured, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    Me,
    Items,
    Page,
    Unauthorized,
    Redirect,
    Slowest,
    Failed,
    IdleMemory,
    Memory,
    Start,
}

impl Row {
    pub const ALL: [Self; 10] = [
        Self::Me,
        Self::Items,
        Self::Page,
        Self::Unauthorized,
        Self::Redirect,
        Self::Slowest,
        Self::Failed,
        Self::IdleMemory,
        Self::Memory,
        Self::Start,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Me => "`GET /api/me`, requests/s",
            Self::Items => "`GET /api/items`, 20 rows, requests/s",
            Self::Page => "the catalogue page, 20 files, requests/s",
            Self::Unauthorized => "401 without a cookie, requests/s",
            Self::Redirect => "to the sign-in without a cookie, requests/s",
            Self::Slowest => "p99 of `/api/me` over 256 connections, ms",
            Self::Failed => "requests that failed meanwhile",
            Self::IdleMemory => "memory at rest, MiB",
            Self::Memory => "memory at most, under 256 connections, MiB",
            Self::Start => "start to the first 200, ms",
        }
    }
}

/// Values by row and server.
#[derive(Default)]
pub struct Figures(BTreeMap<(Row, Kind), Vec<f64>>);

impl Figures {
    pub fn add(&mut self, row: Row, kind: Kind, value: f64) {
        self.0.entry((row, kind)).or_default().push(value);
    }

    pub fn median(&self, row: Row, kind: Kind) -> Option<f64> {
        let mut values = self.0.get(&(row, kind))?.clone();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() % 2 {
            0 => Some((values[middle - 1] + values[middle]) / 2.0),
            _ => Some(values[middle]),
        }
    }

    /// How many times the recipe's median.
    pub fn ratio(&self, row: Row, kind: Kind) -> Option<f64> {
        let reference = self.median(row, Kind::Recipe)?;
        (reference > 0.0).then_some(self.median(row, kind)? / reference)
    }

    /// Each cell: the median, and in parentheses its ratio to the recipe's.
    pub fn markdown(&self) -> String {
        let names = Kind::ALL.map(Kind::name);
        let mut lines = vec![
            format!("| | {} |", names.join(" | ")),
            "|---".repeat(names.len() + 1) + "|",
        ];
        for row in Row::ALL {
            let cells = Kind::ALL.map(|kind| match self.median(row, kind) {
                None => "–".to_owned(),
                Some(value) if row == Row::Failed => format!("{value:.0}"),
                Some(value) => {
                    let ratio = self.ratio(row, kind);
                    let ratio = ratio.map(|ratio| format!(" ({})", short(ratio)));
                    short(value) + &ratio.unwrap_or_default()
                }
            });
            lines.push(format!("| {} | {} |", row.name(), cells.join(" | ")));
        }
        lines.join("\n")
    }
}

/// Three figures.
pub fn short(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
