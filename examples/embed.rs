//! Portcullis inside somebody else's program: a board of notes with a page that is open, one for people with a role, and a
//! change that only admins may make. Its table lies beside ours, in whichever database `DATABASE_URL` names, and what we
//! have to say (refusals, errors, "you are signed out") is shown in the program's own look.
//!
//! ```sh
//! cargo run --example embed      # with a fake admin: open http://localhost:8000
//! ```
//!
//! `cargo run --example entra_emulator` prints the variables that bring the real sign-in.

#![expect(missing_docs, reason = "diesel's macro writes none")]

use actix_web::{App, HttpServer, web};
use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;
use portcullis::embed::{Admin, AppResult, Message, Portcullis, Reader, Setup, either};

diesel::table! { dim.notes (text) { text -> Text, author -> Text, } }

async fn read(reader: Reader, portcullis: Portcullis) -> AppResult<String> {
    let mut conn = portcullis.db().conn().await?;
    let texts = notes::table.select(notes::text);
    let texts: Vec<String> = either!(&mut conn, |c| texts.load(c).await)?;
    Ok(format!("{} reads:\n{}", reader.email(), texts.join("\n")))
}

async fn add(admin: Admin, portcullis: Portcullis, text: String) -> AppResult<&'static str> {
    let note = (notes::text.eq(text), notes::author.eq(admin.email()));
    let insert = diesel::insert_into(notes::table).values(note);
    let mut conn = portcullis.db().conn().await?;
    either!(&mut conn, |c| insert.execute(c).await)?;
    Ok("noted")
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::init();
    let own_look = |message: &Message| format!("<title>Notes</title>{}", message.html());
    let portcullis = Setup::from_env().frame(own_look).start().await?;
    let table = "CREATE TABLE IF NOT EXISTS dim.notes (text TEXT, author TEXT)";
    let mut conn = portcullis.db().conn().await?;
    either!(&mut conn, |c| diesel::sql_query(table).execute(c).await)?;
    let (address, gate) = (portcullis.address(), portcullis.clone());
    let app = move || {
        let front = async || web::Html::new("<h1>Notes</h1><a href=/notes>Read</a>");
        let notes = web::resource("/notes").get(read).post(add);
        let inside = gate.scope(|inside| _ = inside.service(notes));
        App::new().route("/", web::get().to(front)).service(inside)
    };
    HttpServer::new(app).bind(address)?.run().await?;
    portcullis.finish().await;
    Ok(())
}
