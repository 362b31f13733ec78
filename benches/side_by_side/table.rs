//! Collects what was measured and prints it as Markdown: medians, and ratios to nginx.

use std::collections::BTreeMap;

use super::servers::Kind;

/// Values by row and server, in the order in which rows were first measured.
#[derive(Default)]
pub struct Table {
    rows: Vec<&'static str>,
    values: BTreeMap<(&'static str, Kind), Vec<f64>>,
}

impl Table {
    pub fn add(&mut self, row: &'static str, kind: Kind, value: f64) {
        if !self.rows.contains(&row) {
            self.rows.push(row);
        }
        self.values.entry((row, kind)).or_default().push(value);
    }

    /// Each cell: the median, and in parentheses its ratio to nginx's.
    pub fn markdown(&self) -> String {
        let mut lines = vec![header(), "|---".repeat(Kind::ALL.len() + 1) + "|"];
        for row in &self.rows {
            let reference = self.median(row, Kind::Nginx);
            let cells = Kind::ALL.map(|kind| {
                let value = self.median(row, kind)?;
                let ratio = reference.map(|reference| format!(" ({:.2})", value / reference));
                Some(figures(value) + &ratio.unwrap_or_default())
            });
            let cells = cells.map(|cell| cell.unwrap_or_else(|| "–".to_owned()));
            lines.push(format!("| {row} | {} |", cells.join(" | ")));
        }
        lines.join("\n")
    }

    fn median(&self, row: &'static str, kind: Kind) -> Option<f64> {
        let mut values = self.values.get(&(row, kind))?.clone();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() % 2 {
            0 => Some((values[middle - 1] + values[middle]) / 2.0),
            _ => Some(values[middle]),
        }
    }
}

fn header() -> String {
    let names = Kind::ALL.map(|kind| kind.name());
    format!("| | {} |", names.join(" | "))
}

fn figures(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
