//! The few pages a person sees: the account picker, a problem, the signed-out note. They work without
//! JavaScript. Apart because HTML reads badly between protocol rules.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};

use super::accounts::Account;
use super::authorize::PICKED;
use super::encoding::escape;
use super::state::Form;

const STYLE: &str = "
:root {
  color-scheme: light dark;
  --back: #f3f2f1; --card: #fff; --text: #1b1a19; --soft: #605e5c; --line: #e1dfdd; --hover: #f3f2f1; --mark: #0f6cbd;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #11100f; --card: #1f1e1d; --text: #f3f2f1; --soft: #b3b0ad; --line: #3b3a39; --hover: #2d2c2b; --mark: #62abf5;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem;
  background: var(--back); color: var(--text); font: 1rem/1.45 system-ui, sans-serif;
}
main {
  width: 100%; max-width: 27rem; padding: clamp(1rem, 6vw, 2rem);
  background: var(--card); border: 1px solid var(--line); border-radius: 8px;
}
h1 { margin: 0 0 .25rem; font-size: 1.35rem; line-height: 1.25; }
p { margin: 0 0 1rem; color: var(--soft); overflow-wrap: anywhere; }
form, ul { margin: 0; padding: 0; }
li { list-style: none; border-bottom: 1px solid var(--line); }
button { font: inherit; color: inherit; cursor: pointer; border: 0; border-radius: 4px; background: none; }
button:focus-visible { outline: 2px solid var(--mark); outline-offset: 1px; }
button:hover { background: var(--hover); }
.account { display: flex; gap: .75rem; align-items: center; width: 100%; padding: .6rem .5rem; text-align: left; }
.account b { display: block; font-weight: 600; }
.account small { color: var(--soft); overflow-wrap: anywhere; }
.initials {
  flex: none; width: 2.5rem; height: 2.5rem; display: grid; place-items: center; border-radius: 50%;
  background: var(--mark); color: var(--card); font-weight: 600;
}
.cancel, .go { margin-top: 1rem; padding: .45rem 1.1rem; border: 1px solid var(--line); }
";

/// An HTML answer that nobody keeps.
pub fn send(status: StatusCode, page: String) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type("text/html; charset=utf-8")
        .body(page)
}

/// A redirect as Entra sends it.
pub fn redirect(to: &str) -> HttpResponse {
    HttpResponse::Found()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::LOCATION, to))
        .finish()
}

/// One button per person; the rest of the request travels along in hidden fields.
pub fn picker(asked: &Form, people: &[Account]) -> String {
    let hint = asked.get("login_hint").map_or("", String::as_str);
    let kept: String = asked
        .iter()
        .filter(|(name, _)| *name != PICKED)
        .map(|(name, value)| hidden(name, value))
        .collect();
    let buttons: String = people
        .iter()
        .map(|account| button(account, account.answers_to(hint)))
        .collect();
    layout(
        "Pick an account (Entra emulator)",
        &format!(
            "<p>No password is asked for: this is a stand-in for Microsoft’s sign-in page.</p>\
             <form method=\"post\" action=\"?\">{kept}<ul>{buttons}</ul>\
             <button class=\"cancel\" name=\"{PICKED}\" value=\"cancel\">Cancel</button></form>"
        ),
    )
}

fn button(account: &Account, hinted: bool) -> String {
    let initials: String = account
        .name
        .split(' ')
        .filter_map(|word| word.chars().next())
        .take(2)
        .collect();
    let note = if account.note.is_empty() {
        String::new()
    } else {
        format!(" · {}", account.note)
    };
    format!(
        "<li><button class=\"account\" name=\"{PICKED}\" value=\"{username}\"{focus}>\
         <span class=\"initials\" aria-hidden=\"true\">{initials}</span>\
         <span><b>{name}</b><small>{username}{note}</small></span></button></li>",
        username = escape(&account.username),
        focus = if hinted { " autofocus" } else { "" },
        initials = escape(&initials),
        name = escape(&account.name),
        note = escape(&note),
    )
}

fn hidden(name: &str, value: &str) -> String {
    format!(
        "<input type=\"hidden\" name=\"{}\" value=\"{}\">",
        escape(name),
        escape(value)
    )
}

/// The refusal that must not be sent back by redirect.
pub fn problem(description: &str) -> String {
    layout(
        "Sorry, but we’re having trouble signing you in (Entra emulator)",
        &format!("<p>{}</p>", escape(description)),
    )
}

/// What is left to say when no address to go on to was given.
pub fn signed_out() -> String {
    layout(
        "You signed out of your account (Entra emulator)",
        "<p>It’s a good idea to close all browser windows.</p>",
    )
}

/// Any other address.
pub fn nothing_here() -> String {
    layout(
        "Entra emulator",
        "<p>Nothing to see at this address. Start at the portal: it sends you here to sign in.</p>",
    )
}

/// `response_mode=form_post`: a form that sends itself, or waits for its button where scripts do not run.
pub fn form_post(target: &str, told: &[(&str, String)]) -> String {
    let kept: String = told
        .iter()
        .map(|(name, value)| hidden(name, value))
        .collect();
    layout(
        "Going back (Entra emulator)",
        &format!(
            "<form method=\"post\" action=\"{}\">{kept}<button class=\"go\">Continue</button></form>\
             <script>document.forms[0].submit()</script>",
            escape(target)
        ),
    )
}

fn layout(heading: &str, body: &str) -> String {
    let heading = escape(heading);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{heading}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><link rel=\"icon\" href=\"data:,\">\
         <style>{STYLE}</style></head><body><main><h1>{heading}</h1>{body}</main></body></html>\n"
    )
}
