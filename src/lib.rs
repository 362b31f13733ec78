//! Portcullis: people sign in with Microsoft Entra ID, and from then on plain download links work.
//!
//! To put the sign-in into a program of your own, read [`embed`]: it is all that such a program may use. The other modules are
//! public for the portal's binary and tests, are left out of this documentation, and change without notice.
//!
//! # The map
//!
//! A URL tells you the folder, and the folder's name tells you the template's: `/admin` is
//! `src/admin/overview.rs` with `templates/admin/overview.html`. Read `app`, then `routes`, and you know the house.
//!
//! | where | what |
//! |---|---|
//! | `main` → [`cli`] | command line, logger, exit code; `serve`, `migrate`, `roles`, `people`, `requests`, `folders`, `index`, `audit`, `doctor`, `health`, `secret` |
//! | [`app`] | the shared `State` and the complete application, with the middleware that every address has |
//! | [`routes`] | every address on one screen: public, signed in, admin |
//! | [`embed`] | sign-in, gate and roles for other programs: the only module that is stable |
//! | [`starting`] | opens and migrates the database before the first request |
//! | [`settings`] | environment, `.env` and TOML made into types; every problem at once; the only reader of the environment |
//! | [`error`], [`error_pages`] | what can go wrong for a visitor, and how it looks as a page or as problem+json |
//! | [`page`], [`message`], [`assets`] | the frame of every page; one sentence and the ways on; the public files inside the binary |
//! | [`observe`], [`headers`], [`fake_user`] | middleware: reference number and access log; security headers; development stays on this machine |
//! | [`tls`] | TLS of the portal's own, with a certificate that may change |
//! | [`connections`] | ends those that begin a request and never finish it |
//! | [`auth`] | `gate` (who may pass), `handlers` (`/login`, `/callback`, `/logout`), `session`, `flow`, `user` (the extractors) |
//! | [`auth::entra`] | discovery, keys, credentials, ID tokens: the only files that know Microsoft |
//! | [`roles`] | `Role`, the look-up and its cache, changes noticed by notification and heartbeat |
//! | [`rules`] | who may see which folder; every list and every door asks its `Sight` |
//! | [`index`] | what lies in FILES_DIR, or (`bucket`) in object storage, kept up to date in the background; lists and searches ask it, downloads never do |
//! | [`items`] | the catalogue as page and JSON; `shared` lets those who ask for a list together have one reading; publishing: `form` reads, `place` says where to, `publish` puts it there; `uploads` takes files in pieces |
//! | [`preview`] | a page that shows a file before it is downloaded |
//! | [`files`] | `open(person, path)`, the one door to a file; receiving; sending (`asked` decides, `source` reads, `sending` sends, `told` tells); several at once as `zip` |
//! | [`files::storage`] | object storage in the place of FILES_DIR; `files::from_storage` sends from it, `items::stored` publishes into it |
//! | [`step`] | the one step that changes disk and rows together: renames and publications, and `mender`, which settles what was killed |
//! | [`changing`] | renaming, moving, titles, replacing, new folders; a file for each subject in `pages` and `api` |
//! | [`trash`] | what was deleted, bringing back, removing for good, and the background task behind it |
//! | [`account`], [`access`] | one's own sessions; asking for access |
//! | [`cells`] | CSV that spreadsheets take for data, not for formulas |
//! | [`admin`] | the admin portal |
//! | [`audit`] | who did what: in the transaction of the change, or by the queue when a download ends |
//! | [`db`] | Postgres or SQLite behind one type, migrations, TLS |
//! | [`health`], [`metrics`] | for whatever restarts, balances and measures |
//! | [`openapi`] | the JSON API described: `/openapi.json` and `/docs`, from the notes at the handlers |
//! | [`radar`] | secrets and certificates near their end |
//! | [`doctor`] | everything around the portal that can be wrong, looked at beforehand |
//! | [`clock`], [`mod@reference`] | time; the number that a person quotes |
//!
//! # Who may import whom: downwards only
//!
//! `main → {cli, embed} → starting, app → routes → {changing → trash, items, preview, admin, auth::handlers} → page → step → auth::{user, session} → files::{send, zip} → index → files → rules → roles → db`.
//! Everybody may use `error`, `settings` (types), `clock` and `audit`. A feature never imports another feature's handlers.
//! Stores know diesel and no actix; `auth::entra` knows neither.

#[doc(hidden)]
pub mod access;
#[doc(hidden)]
pub mod account;
#[doc(hidden)]
pub mod admin;
#[doc(hidden)]
pub mod app;
#[doc(hidden)]
pub mod assets;
#[doc(hidden)]
pub mod audit;
#[doc(hidden)]
pub mod auth;
#[doc(hidden)]
pub mod cells;
#[doc(hidden)]
pub mod changing;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod clock;
#[doc(hidden)]
pub mod connections;
#[doc(hidden)]
pub mod db;
#[doc(hidden)]
pub mod doctor;
pub mod embed;
#[doc(hidden)]
pub mod error;
#[doc(hidden)]
pub mod error_pages;
#[doc(hidden)]
pub mod fake_user;
#[doc(hidden)]
pub mod files;
#[doc(hidden)]
pub mod headers;
#[doc(hidden)]
pub mod health;
#[doc(hidden)]
pub mod index;
#[doc(hidden)]
pub mod items;
#[doc(hidden)]
pub mod message;
#[doc(hidden)]
pub mod metrics;
#[doc(hidden)]
pub mod observe;
#[doc(hidden)]
pub mod openapi;
#[doc(hidden)]
pub mod page;
#[doc(hidden)]
pub mod preview;
#[doc(hidden)]
pub mod radar;
#[doc(hidden)]
pub mod reference;
#[doc(hidden)]
pub mod roles;
#[doc(hidden)]
pub mod routes;
#[doc(hidden)]
pub mod rules;
#[doc(hidden)]
pub mod settings;
#[doc(hidden)]
pub mod starting;
#[doc(hidden)]
pub mod step;
#[doc(hidden)]
pub mod tls;
#[doc(hidden)]
pub mod trash;
