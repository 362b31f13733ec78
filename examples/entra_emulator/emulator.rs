//! A stand-in for Microsoft Entra ID: real OpenID Connect on loopback, with people to choose from and
//! faults to order. Apart from `main.rs` so that the integration tests start the same emulator; include
//! it with `#[path = "…/emulator.rs"] mod emulator;`.
#![allow(
    dead_code,
    unused_imports,
    reason = "a program that includes this file uses some of its knobs and names, never all"
)]

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use actix_web::dev::{Server, ServerHandle};
use actix_web::http::StatusCode;
use actix_web::rt::System;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, HttpServer};
use tokio::sync::oneshot;

#[path = "accounts.rs"]
pub mod accounts;
#[path = "authorize.rs"]
mod authorize;
#[path = "credentials.rs"]
mod credentials;
#[path = "encoding.rs"]
pub mod encoding;
#[path = "errors.rs"]
mod errors;
#[path = "faults.rs"]
mod faults;
#[path = "keys.rs"]
mod keys;
#[path = "knobs.rs"]
mod knobs;
#[path = "logout.rs"]
mod logout;
#[path = "metadata.rs"]
mod metadata;
#[path = "pages.rs"]
mod pages;
#[path = "state.rs"]
mod state;
#[path = "token.rs"]
mod token;
#[path = "tokens.rs"]
mod tokens;

pub use accounts::Account;
pub use authorize::{COOKIE, PICKED};
pub use faults::{Endpoint, Fault, Signing};
pub use state::{CLIENT_ID, CLIENT_SECRET, Counts, DOMAIN, Form, TENANT, TokenRequest};

use state::{Certificate, State};

/// A running emulator. Clones share it; it stops when the last one goes.
#[derive(Clone)]
pub struct Emulator {
    state: Data<State>,
    running: Arc<Running>,
}

/// Stops the server when dropped.
struct Running(ServerHandle);

impl Drop for Running {
    fn drop(&mut self) {
        // The command is sent by the call; awaiting the future would only wait for the end.
        drop(self.0.stop(false));
    }
}

/// Starting, stopping, and what a client is configured with.
impl Emulator {
    /// Starts on 127.0.0.1; port 0 takes any free one. The server has a thread of its own, so that it
    /// depends on no test's runtime.
    pub async fn start(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let state = Data::new(State::new(listener.local_addr()?.port()));
        let (tell, told) = oneshot::channel();
        let shared = state.clone();
        thread::Builder::new()
            .name("entra-emulator".to_owned())
            .spawn(move || System::new().block_on(run(listener, shared, tell)))?;
        let handle = told.await.map_err(io::Error::other)??;
        Ok(Self {
            state,
            running: Arc::new(Running(handle)),
        })
    }

    /// Stops serving; open connections are cut.
    pub async fn stop(&self) {
        self.running.0.stop(false).await;
    }

    /// The authority address, `http://localhost:PORT`.
    pub fn url(&self) -> String {
        self.state.origin.clone()
    }

    /// The directory id.
    pub fn tenant(&self) -> &'static str {
        TENANT
    }

    /// The issuer that tokens and discovery name.
    pub fn issuer(&self) -> String {
        self.state.issuer()
    }

    /// The application id.
    pub fn client_id(&self) -> &'static str {
        CLIENT_ID
    }

    /// The client secret.
    pub fn client_secret(&self) -> String {
        self.state.lock().secret.clone()
    }

    /// Another client secret, for instance one that needs encoding.
    pub fn set_client_secret(&self, secret: &str) {
        self.state.lock().secret = secret.to_owned();
    }

    /// Registers one more redirect URI, compared letter by letter; `http://localhost:8000/callback` is
    /// there from the start.
    pub fn register_redirect_uri(&self, uri: &str) {
        self.state.lock().redirect_uris.push(uri.to_owned());
    }

    /// Registers one more certificate, from PEM text; a private key beside it is ignored.
    pub fn register_certificate(&self, pem: &str) -> io::Result<()> {
        let certificate = Certificate::from_pem(pem)?;
        self.state.lock().certificates.push(certificate);
        Ok(())
    }

    /// Trusts a token as a federated credential's.
    pub fn trust_token(&self, token: &str) {
        self.state.lock().federated.insert(token.to_owned());
    }

    /// Forgets all registered certificates.
    pub fn forget_certificates(&self) {
        self.state.lock().certificates.clear();
    }

    /// The people that can sign in.
    pub fn people(&self) -> Vec<Account> {
        self.state.lock().people.clone()
    }

    /// Adds a person, or replaces the one with the same sign-in name.
    pub fn add_person(&self, account: Account) {
        let people = &mut self.state.lock().people;
        people.retain(|known| known.username != account.username);
        people.push(account);
    }

    /// Nobody is asked any more: the `login_hint`'s account signs in, or else this one. `None` brings
    /// the picker back. `"cancel"` cancels.
    pub fn auto_pick(&self, username: Option<&str>) {
        self.state.lock().auto_pick = username.map(str::to_owned);
    }
}

async fn run(
    listener: TcpListener,
    state: Data<State>,
    tell: oneshot::Sender<io::Result<ServerHandle>>,
) {
    let server = match server(listener, state) {
        Ok(server) => server,
        Err(error) => {
            let _ = tell.send(Err(error));
            return;
        }
    };
    let _ = tell.send(Ok(server.handle()));
    if let Err(error) = server.await {
        log::error!("the emulator stopped: {error}");
    }
}

fn server(listener: TcpListener, state: Data<State>) -> io::Result<Server> {
    let app = move || App::new().app_data(state.clone()).configure(routes);
    let server = HttpServer::new(app).workers(1).disable_signals();
    Ok(server.listen(listener)?.run())
}

fn routes(site: &mut ServiceConfig) {
    site.route(
        "/{tenant}/v2.0/.well-known/openid-configuration",
        web::get().to(metadata::discovery),
    )
    .route(
        "/{tenant}/discovery/v2.0/keys",
        web::get().to(metadata::keys),
    )
    .service(
        web::resource("/{tenant}/oauth2/v2.0/authorize")
            .route(web::get().to(authorize::arrive))
            .route(web::post().to(authorize::pick)),
    )
    .service(
        web::resource("/{tenant}/oauth2/v2.0/token")
            .route(web::post().to(token::redeem))
            .default_service(web::to(token::wrong_method)),
    )
    .service(
        web::resource("/{tenant}/oauth2/v2.0/logout")
            .route(web::get().to(logout::end))
            .route(web::post().to(logout::end)),
    )
    .default_service(web::to(|| async {
        pages::send(StatusCode::NOT_FOUND, pages::nothing_here())
    }));
}
