//! Bar charts, drawn on the server as SVG: geometry in attributes, colours from the stylesheet, and every number beside
//! it in a table.

use super::people::grouped;
use crate::clock;

/// Width of the drawing, in its own units.
pub const WIDTH: i64 = 720;
/// Height of the drawing.
pub const HEIGHT: i64 = 120;

/// One picture; see `templates/admin/chart.html`.
pub struct Chart {
    /// Key in the page.
    pub id: &'static str,
    /// What is counted.
    pub title: &'static str,
    /// Of all days together.
    pub total: String,
    /// Of the day with most.
    pub peak: String,
    /// One a day; days without anything have none.
    pub bars: Vec<Bar>,
}

/// A day's bar.
pub struct Bar {
    /// From the left.
    pub x: i64,
    /// From the top.
    pub y: i64,
    /// Of all bars alike.
    pub width: i64,
    /// By the day's number.
    pub height: i64,
    /// `24 Nov 2026: 1,204`.
    pub label: String,
}

/// Draws numbers by day, beginning at day `first` (since 1970, UTC). `shown` writes a number for people.
pub fn draw(
    id: &'static str,
    title: &'static str,
    first: i64,
    numbers: &[i64],
    shown: fn(i64) -> String,
) -> Chart {
    let peak = numbers.iter().copied().max().unwrap_or(0);
    let step = WIDTH / i64::try_from(numbers.len().max(1)).unwrap_or(WIDTH);
    let mut bars = Vec::new();
    for (index, number) in (0_i64..).zip(numbers) {
        if *number <= 0 {
            continue;
        }
        // Something is never drawn as nothing.
        let share = i128::from(*number) * i128::from(HEIGHT) / i128::from(peak);
        let height = i64::try_from(share).unwrap_or(HEIGHT).max(2);
        bars.push(Bar {
            x: index * step,
            y: HEIGHT - height,
            width: (step - 2).max(1),
            height,
            label: format!("{}: {}", clock::day_in_words(first + index), shown(*number)),
        });
    }
    Chart {
        id,
        title,
        total: shown(numbers.iter().sum()),
        peak: shown(peak),
        bars,
    }
}

/// A count: `1,204`.
pub fn count(number: i64) -> String {
    grouped(number)
}

/// A size: `3.1 MiB`.
pub fn size(number: i64) -> String {
    crate::files::incoming::human_size(u64::try_from(number).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stand_on_the_ground_and_keep_inside_the_picture() {
        let chart = draw("x", "X", 0, &[0, 1, 1000, i64::MAX / 4], count);
        assert_eq!(chart.bars.len(), 3);
        for bar in &chart.bars {
            assert_eq!(bar.y + bar.height, HEIGHT);
            assert!(bar.height >= 2 && bar.x + bar.width <= WIDTH);
        }
        assert_eq!(chart.bars[2].height, HEIGHT);
        assert!(chart.bars[0].label.starts_with("2 Jan 1970: 1"));
        assert!(draw("x", "X", 0, &[], count).bars.is_empty());
        assert_eq!(draw("x", "X", 0, &[0; 90], count).peak, "0");
    }
}
