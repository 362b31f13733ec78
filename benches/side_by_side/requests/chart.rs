//! The chart: for each row a bar a server, as long as its ratio to the recipe on a scale of powers of ten.

use std::fmt::Write;

use super::figures::{Figures, Row, short};
use super::servers::Kind;

const ROWS: [Row; 5] = [
    Row::Me,
    Row::Items,
    Row::Page,
    Row::Unauthorized,
    Row::Redirect,
];
const LEFT: f64 = 200.0;
const WIDE: f64 = 420.0;
const BAR: f64 = 14.0;

/// An SVG of its own, readable on light and dark.
pub fn draw(figures: &Figures) -> String {
    let most = ROWS
        .iter()
        .flat_map(|row| Kind::ALL.map(|kind| figures.ratio(*row, kind).unwrap_or(1.0)))
        .fold(10.0, f64::max);
    let scale = WIDE / most.log10();
    let mut body = String::new();
    let mut y = 8.0;
    for row in ROWS {
        y += 20.0;
        let _ = writeln!(
            body,
            "<text class=\"row\" x=\"8\" y=\"{y:.0}\">{}</text>",
            row.name().replace('`', "").replace(", requests/s", "")
        );
        y += 8.0;
        for kind in Kind::ALL {
            let Some(ratio) = figures.ratio(row, kind) else {
                continue;
            };
            let wide = (ratio.max(1.0).log10() * scale).max(2.0);
            let class = if kind == Kind::Portal {
                "ours"
            } else {
                "theirs"
            };
            let middle = y + BAR - 3.5;
            let name = kind.name().replace('`', "");
            let _ = writeln!(
                body,
                "<text class=\"name\" x=\"{:.0}\" y=\"{middle:.1}\">{name}</text><rect class=\"{class}\" x=\"{LEFT:.0}\" y=\"{y:.0}\" width=\"{wide:.1}\" height=\"{BAR:.0}\" rx=\"2\"/><text x=\"{:.1}\" y=\"{middle:.1}\">{} ×</text>",
                LEFT - 8.0,
                LEFT + wide + 6.0,
                short(ratio)
            );
            y += BAR + 4.0;
        }
    }
    let (width, height) = (LEFT + WIDE + 70.0, y + 12.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" aria-label=\"Requests a second as multiples of the FastAPI recipe, on a logarithmic scale; the table has the numbers\">
<style>svg{{background:#fdfcfa}}text{{font:12px system-ui,sans-serif;fill:#3d4249}}.row{{font-weight:600;fill:#16191d}}.name{{text-anchor:end}}.ours{{fill:#0f6b5f}}.theirs{{fill:#b9b4aa}}@media(prefers-color-scheme:dark){{svg{{background:#16191d}}text{{fill:#c3c7cc}}.row{{fill:#f2f0ec}}.ours{{fill:#4cc2ae}}.theirs{{fill:#5c6068}}}}</style>
{body}</svg>
"
    )
}
