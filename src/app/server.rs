//! The server on its sockets.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{HttpServer, web};
use rustls::ServerConfig;

use super::{State, build};
use crate::files;

const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle ones are let go by their time-outs; this only bounds the memory that a flood can take.
const CONNECTIONS_PER_WORKER: usize = 16_384;
/// Threads that one worker may have waiting for disk or SQLite. Files can take up two times [`files::AT_ONCE`] of them.
const BLOCKING_THREADS: usize = 4 * files::AT_ONCE;

/// The server on sockets that are bound already. It ends when its handle says so; signals are the caller's matter.
///
/// # Errors
/// A sentence, should a socket not be usable.
pub fn server(
    state: web::Data<State>,
    listeners: Vec<TcpListener>,
    tls: Option<ServerConfig>,
) -> Result<Server, String> {
    let grace = state.settings.web.shutdown_grace.as_secs();
    let connections = state.connections.clone();
    tokio::spawn(connections.clone().watch());
    let mut server = HttpServer::new(move || build(state.clone()))
        .on_connect(move |io, data| connections.note(io, data))
        // Without it the last part of a small answer waits 40 ms for the client's delayed acknowledgement.
        .tcp_nodelay(true)
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .max_connections(CONNECTIONS_PER_WORKER)
        .worker_max_blocking_threads(BLOCKING_THREADS)
        .shutdown_timeout(grace)
        .disable_signals();
    for listener in listeners {
        let listening = match &tls {
            Some(tls) => server.listen_rustls_0_23(listener, tls.clone()),
            None => server.listen(listener),
        };
        server = listening.map_err(|error| format!("the server cannot listen: {error}"))?;
    }
    Ok(server.run())
}
