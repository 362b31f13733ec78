//! Runs the Entra ID emulator and prints what to configure the portal with. The emulator itself is
//! `emulator.rs`, apart because the integration tests start it too.

#[path = "emulator.rs"]
mod emulator;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use emulator::Emulator;
use emulator::encoding::{hex, random};
use url::Url;

/// A stand-in for Microsoft Entra ID on this machine, to try the portal without a tenant.
#[derive(Parser)]
struct Arguments {
    /// Port of the emulator
    #[arg(long, default_value_t = 9400)]
    port: u16,
    /// Address of the portal, as the browser sees it
    #[arg(long, default_value = "http://localhost:8000")]
    portal: Url,
}

#[actix_web::main]
async fn main() -> ExitCode {
    let quiet = "warn,entra_emulator=info";
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(quiet)).init();
    let Arguments { port, portal } = Arguments::parse();
    match run(port, &portal).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("The emulator cannot run on port {port}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(port: u16, portal: &Url) -> io::Result<()> {
    let emulator = Emulator::start(port).await?;
    let callback = format!("{}/callback", portal.as_str().trim_end_matches('/'));
    emulator.register_redirect_uri(&callback);
    print!("{}", instructions(&emulator, portal, &callback));
    tokio::signal::ctrl_c().await?;
    emulator.stop().await;
    Ok(())
}

/// The portal's settings, once as a command line and once as lines for `.env`.
fn instructions(emulator: &Emulator, portal: &Url, callback: &str) -> String {
    let mut settings = vec![
        ("AZURE_AUTHORITY_HOST", emulator.url()),
        ("AZURE_TENANT_ID", emulator.tenant().to_owned()),
        ("APP_REG_CLIENT_ID", emulator.client_id().to_owned()),
        ("APP_REG_CLIENT_SECRET", emulator.client_secret()),
        ("API_COOKIE_SECRET", hex(&random::<32>())),
    ];
    let usual = "http://localhost:8000/callback";
    if callback != usual {
        settings.push(("APP_REG_REDIRECT_URI", callback.to_owned()));
        settings.extend(portal.port().map(|port| ("PORT", port.to_string())));
    }
    let lines: Vec<String> = settings
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let people = emulator.people();
    let people: Vec<&str> = people
        .iter()
        .map(|person| person.username.as_str())
        .collect();
    format!(
        "\nEntra emulator at {}\n\nIn one line:\n\n{} cargo run\n\nOr in .env, then `cargo run`:\n\n{}\n\n\
         Sign in at {portal} as one of:\n{}\n\nCtrl-C stops the emulator.\n\n",
        emulator.url(),
        lines.join(" "),
        lines.join("\n"),
        people.join("\n"),
    )
}
