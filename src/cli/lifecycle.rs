//! From the socket to the end: takes the socket from systemd or binds it, tells systemd how things are, and ends in order.

use std::future::poll_fn;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::web;
use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{accepted, health};
use crate::app::State;
use crate::settings::WebSettings;

/// The listening sockets: all of systemd's, whose queues outlive the process, or one of our own (systemd.socket,
/// sd_listen_fds).
///
/// # Errors
/// A sentence that names HOST and PORT, or the socket unit.
pub fn listen(settings: &WebSettings) -> Result<Vec<TcpListener>, String> {
    let mut inherited = ListenFd::from_env();
    if inherited.len() > 0 {
        return (0..inherited.len())
            .map(|number| handed_over(&mut inherited, number))
            .collect();
    }
    let address = SocketAddr::new(settings.host, settings.port);
    let listener = TcpListener::bind(address).map_err(|error| {
        format!("HOST and PORT: {address} cannot be listened on: {error}. Is the portal running already? Choose another PORT.")
    })?;
    Ok(vec![listener])
}

/// Where they listen, which HOST and PORT do not say of sockets that systemd holds.
///
/// # Errors
/// A sentence, should the system not tell.
pub fn addresses(listeners: &[TcpListener]) -> Result<Vec<SocketAddr>, String> {
    let addresses = listeners.iter().map(TcpListener::local_addr);
    addresses
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the system does not tell where the portal listens: {error}"))
}

/// Each has to be one that can be served: clients of a socket that nobody takes would wait for ever.
fn handed_over(inherited: &mut ListenFd, number: usize) -> Result<TcpListener, String> {
    let which = number + 1;
    inherited
        .take_tcp_listener(number)
        .map_err(|error| format!("socket {which} of the socket unit is no TCP socket: {error}"))?
        .ok_or_else(|| format!("socket {which} of the socket unit is not there"))
}

/// Waits for SIGTERM or SIGINT and then ends the server: first readiness turns red, then nothing new is accepted, then
/// what runs gets its time. A second signal cuts that short. `ports` are the listening sockets'.
pub async fn end_in_order(
    state: web::Data<State>,
    server: ServerHandle,
    ports: Vec<u16>,
    mut signals: Signals,
) {
    signals.next().await;
    state.end();
    tell(&[NotifyState::Stopping]);
    let web = &state.settings.web;
    log::info!(
        "told to end: running answers get {} s",
        web.shutdown_grace.as_secs()
    );
    let is_in_haste = tokio::select! {
        () = stop_accepting(&state, &server, &ports) => false,
        () = signals.next() => true,
    };
    let mut stopping = std::pin::pin!(server.stop(true));
    if !is_in_haste {
        tokio::select! {
            () = &mut stopping => return,
            () = signals.next() => {}
        }
    }
    log::warn!("told to end at once");
    // Answers that are cut end like those whose client hung up, so the audit tells of them.
    state.connections.cut();
    stopping.await;
}

/// Connections that were accepted are answered, too: a server that stops drops those whose request it has not read yet.
/// Those that nobody accepted stay in the socket's queue, for the next process where systemd holds the socket.
async fn stop_accepting(state: &State, server: &ServerHandle, ports: &[u16]) {
    tokio::time::sleep(state.settings.web.shutdown_delay).await;
    server.pause().await;
    let settled = async {
        let mut quiet = 0;
        while quiet < QUIET {
            let is_quiet = is_punctual(SETTLE).await && !is_any_on_its_way(state, ports);
            quiet = if is_quiet { quiet + 1 } else { 0 };
        }
    };
    let grace = state.settings.web.shutdown_grace.min(LONGEST_SETTLING);
    if tokio::time::timeout(grace, settled).await.is_err() {
        log::warn!(
            "some connections were accepted and not served in {} s",
            grace.as_secs()
        );
    }
}

/// Whether a connection was accepted whose first request no worker has looked at.
fn is_any_on_its_way(state: &State, ports: &[u16]) -> bool {
    let on_its_way = accepted::to_ports(ports).map(|accepted| {
        let in_hands = state.connections.inodes();
        accepted.iter().any(|inode| !in_hands.contains(inode))
    });
    on_its_way.unwrap_or(false) || state.connections.has_newcomers()
}

/// Sleeps; whether that took no longer than it should.
async fn is_punctual(span: Duration) -> bool {
    let began = Instant::now();
    tokio::time::sleep(span).await;
    began.elapsed() < span + span / 2
}

/// Tells systemd that the portal is up, and, where it watches, that it still is: as long as its own health page answers at
/// every address that it listens on.
pub async fn keep_telling(settings: WebSettings, addresses: Vec<SocketAddr>) {
    tell(&[NotifyState::Ready]);
    let Some(patience) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut interval = tokio::time::interval(patience / 2);
    loop {
        interval.tick().await;
        match is_alive(&settings, &addresses, patience / 2).await {
            Ok(()) => tell(&[NotifyState::Watchdog]),
            Err(cause) => log::error!("the portal does not answer itself: {cause}"),
        }
    }
}

async fn is_alive(
    settings: &WebSettings,
    addresses: &[SocketAddr],
    patience: Duration,
) -> Result<(), String> {
    let each = patience / u32::try_from(addresses.len().max(1)).unwrap_or(1);
    for address in addresses {
        let answered = health::ask(settings, *address, "/health/live", each).await;
        answered.map_err(|cause| format!("at {address}: {cause}"))?;
    }
    Ok(())
}

/// Without systemd there is nobody to tell, which is no error.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        log::debug!("systemd was not told: {error}");
    }
}

/// SIGTERM and SIGINT. Listened to from before the first request on, or an early one would end the process.
pub struct Signals(Signal, Signal);

impl Signals {
    /// # Errors
    /// A sentence, should the system not allow it.
    pub fn new() -> Result<Self, String> {
        signal(SignalKind::terminate())
            .and_then(|terminate| Ok(Self(terminate, signal(SignalKind::interrupt())?)))
            .map_err(|error| format!("signals cannot be listened to: {error}"))
    }

    async fn next(&mut self) {
        poll_fn(|context| match self.0.poll_recv(context) {
            ready if ready.is_ready() => ready,
            _ => self.1.poll_recv(context),
        })
        .await;
    }
}

/// How long the thread that accepts takes to hear that it shall not. On a machine that wakes us late it may take longer.
const SETTLE: Duration = Duration::from_millis(25);
/// What runs has its time after that, and systemd waits for both.
const LONGEST_SETTLING: Duration = Duration::from_secs(10);
/// So often in a row nothing may be on its way before the server stops.
const QUIET: u32 = 2;
/// Longest wait of the health command.
pub const PATIENCE: Duration = Duration::from_secs(5);
