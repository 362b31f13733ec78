//! `/admin`: what happened in the last weeks, in pictures and numbers, and what needs somebody.

use actix_web::{HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::charts::{self, Chart};
use super::{Section, sections};
use crate::app::State;
use crate::audit::daily::{self, Daily, Top};
use crate::audit::words::{self, Line};
use crate::audit::{self, seal};
use crate::auth::user::Admin;
use crate::clock;
use crate::error::AppResult;
use crate::page::{Page, html};
use crate::radar;
use crate::roles::{Role, bindings, holdings, store};

const EVENTS: i64 = 8;
const TOP: i64 = 8;
const RENAMED: i64 = 20;
const ENDING: i64 = 10;
const DAY: i64 = 86_400 * clock::SECOND;

/// How far to look back.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Query {
    days: Option<i64>,
}

#[derive(Template)]
#[template(path = "admin/overview.html")]
struct OverviewPage {
    page: Page,
    sections: Vec<Section>,
    days: i64,
    roles: Vec<RoleCount>,
    charts: Vec<Chart>,
    first_day: String,
    numbers: Vec<DayRow>,
    files: Vec<TopRow>,
    people: Vec<TopRow>,
    ending: Vec<(String, String, String)>,
    renamed: Vec<(String, String)>,
    credentials: Vec<(&'static str, String)>,
    head: Option<(i64, String)>,
    lines: Vec<Line>,
}

struct RoleCount {
    role: String,
    people: String,
    is_one: bool,
    known: bool,
}

/// The numbers of the pictures, one day a row.
struct DayRow {
    day: String,
    sign_ins: String,
    refusals: String,
    downloads: String,
    bytes: String,
}

struct TopRow {
    name: String,
    downloads: String,
    bytes: String,
}

/// `GET /admin`: the overview. Admins.
///
/// # Errors
/// 503 without a database.
pub async fn show(
    _: Admin,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let days = match query.and_then(|query| query.days) {
        Some(90) => 90,
        _ => 30,
    };
    let now = clock::now();
    let first = clock::day(now) - days + 1;
    let mut conn = state.db.conn().await?;
    let sections = sections(&mut conn, "/admin").await?;
    let mut counts = store::counts(&mut conn).await?;
    // Admins first, and what is no role last.
    counts.sort_by_key(|(role, _)| std::cmp::Reverse(role.parse::<Role>().ok()));
    let daily = daily::actions(&mut conn, first).await?;
    let ending = holdings::ending(&mut conn, now + 30 * DAY, ENDING).await?;
    let renamed = bindings::renamed(&mut conn, RENAMED).await?;
    let events = audit::store::newest(&mut conn, EVENTS).await?;
    let head = seal::head(&mut conn).await?;
    drop(conn);
    let span = (clock::day(now), days);
    let files = state.tops.of(&state.db, daily::FILE, span, TOP).await?;
    let people = state.tops.of(&state.db, daily::PERSON, span, TOP).await?;

    let figures = Figures::of(&daily, first, days);
    html(&OverviewPage {
        page,
        sections,
        days,
        roles: counts.into_iter().map(role_count).collect(),
        first_day: clock::day_in_words(first),
        charts: figures.charts(first),
        numbers: figures.rows(first),
        files: files.into_iter().map(top).collect(),
        people: people.into_iter().map(top).collect(),
        ending: ending
            .into_iter()
            .map(|(email, role, end)| (email, role, clock::last_day(end)))
            .collect(),
        renamed,
        credentials: credentials(&state, now),
        head: (head.seq > 0).then_some((head.seq, head.hash)),
        lines: words::lines(events, now),
    })
}

/// Numbers by day, one list each.
struct Figures {
    sign_ins: Vec<i64>,
    refusals: Vec<i64>,
    downloads: Vec<i64>,
    bytes: Vec<i64>,
}

impl Figures {
    fn of(daily: &[Daily], first: i64, days: i64) -> Self {
        let length = usize::try_from(days).unwrap_or(0);
        let mut figures = Self {
            sign_ins: vec![0; length],
            refusals: vec![0; length],
            downloads: vec![0; length],
            bytes: vec![0; length],
        };
        for row in daily {
            // Clocks differ: what another instance wrote a moment after our midnight has no place in the list yet.
            let Some(index) = usize::try_from(row.day - first)
                .ok()
                .filter(|i| *i < length)
            else {
                continue;
            };
            match row.name.as_str() {
                "signed_in" => figures.sign_ins[index] += row.events,
                "sign_in_refused" | "access_refused" => figures.refusals[index] += row.events,
                "downloaded" => {
                    figures.downloads[index] += row.events;
                    figures.bytes[index] += row.bytes;
                }
                _ => {}
            }
        }
        figures
    }

    fn charts(&self, first: i64) -> Vec<Chart> {
        use charts::{count, draw, size};
        vec![
            draw("downloads", "Downloads", first, &self.downloads, count),
            draw("bytes", "Bytes sent", first, &self.bytes, size),
            draw("sign-ins", "Sign-ins", first, &self.sign_ins, count),
            draw("refusals", "Refusals", first, &self.refusals, count),
        ]
    }

    /// The newest day first.
    fn rows(&self, first: i64) -> Vec<DayRow> {
        let row = |(index, day): (usize, i64)| DayRow {
            day: clock::day_in_words(day),
            sign_ins: charts::count(self.sign_ins[index]),
            refusals: charts::count(self.refusals[index]),
            downloads: charts::count(self.downloads[index]),
            bytes: charts::size(self.bytes[index]),
        };
        let mut rows: Vec<DayRow> = (0..self.sign_ins.len()).zip(first..).map(row).collect();
        rows.reverse();
        rows
    }
}

fn role_count((role, people): (String, i64)) -> RoleCount {
    RoleCount {
        known: role.parse::<Role>().is_ok(),
        is_one: people == 1,
        people: charts::count(people),
        role,
    }
}

fn top(top: Top) -> TopRow {
    TopRow {
        name: top.name,
        downloads: charts::count(top.events),
        bytes: charts::size(top.bytes),
    }
}

/// The last days of secret and certificates, where they are known and far: what is near stands on every page.
fn credentials(state: &State, now: i64) -> Vec<(&'static str, String)> {
    let endings = radar::endings(state.entra.as_deref(), state.certificate.as_deref());
    let far = endings.iter().filter(|ending| ending.notice(now).is_none());
    far.filter_map(|ending| {
        let end = ending.ends_at?.saturating_mul(clock::SECOND);
        Some((ending.variable, clock::last_day(end)))
    })
    .collect()
}
