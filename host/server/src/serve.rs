//! Start and end of the service.

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum_server::accept::DefaultAcceptor;
use axum_server::tls_rustls::RustlsAcceptor;
use axum_server::{Handle, Server};
use glovebox_room::RoomError;
use hyper_util::rt::TokioTimer;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::app::App;
use crate::config::{Bound, Config, Limits};
use crate::connection::Guard;
use crate::tls::Certificate;
use crate::{chores, routes};

/// How often a connection of HTTP/2 is asked whether it is alive, and how long it may think.
const PING: Duration = Duration::from_secs(20);

/// Streams of one connection of HTTP/2.
const STREAMS: u32 = 128;

/// Bytes of all headers of a request.
const HEADER_BYTES: u32 = 32 << 10;

/// Descriptors that a process has at least.
const FEW_FILES: u64 = 1024;

/// Descriptors of an open room: its directories, its database, the database's log.
const FILES_OF_A_ROOM: usize = 8;

/// Why the host does not serve.
#[derive(Debug)]
pub struct ServerError {
    what: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ServerError {
    pub(crate) fn tls(what: impl fmt::Display) -> Self {
        Self { what: format!("cannot use the certificate: {what}"), source: None }
    }

    fn because(
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { what: what.into(), source: Some(source.into()) }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.source.as_ref().map_or(Ok(()), |source| write!(f, ": {source}"))
    }
}

// The display text holds the cause already, so `source()` starts behind it.
impl std::error::Error for ServerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().and_then(|source| source.source())
    }
}

impl From<RoomError> for ServerError {
    fn from(error: RoomError) -> Self {
        Self::because("cannot open the home", error)
    }
}

/// Serves until `shutdown` is done: then takes no more requests and waits for running runs, as
/// long as [`crate::Limits::grace`] says. What runs even then ends as `host-restarted` when the
/// home is opened the next time.
///
/// # Errors
/// When the home cannot be opened, the certificate cannot be used, or an address is taken.
pub async fn serve(
    mut config: Config,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServerError> {
    share_out(raise_file_limit(), &mut config.limits);
    let certificate = config.tls.clone().map(Certificate::load).transpose()?;
    let bound = config.bound.take();
    let addresses = std::mem::take(&mut config.listen);
    let opening = tokio::task::spawn_blocking(move || App::open(&config));
    let app = opening.await.map_err(|error| ServerError::because("cannot start", error))??;
    let listeners = addresses.into_iter().map(listen).collect::<Result<Vec<_>, _>>()?;
    if let Some(tell) = bound {
        let addresses = listeners.iter().map(|(address, _)| *address).collect();
        tell(Bound { addresses, host_key: app.home.host_key() });
    }
    let handle = Handle::new();
    let mut servers = JoinSet::new();
    let places = Arc::new(Semaphore::new(app.limits.connections));
    for (_, listener) in listeners {
        let (app, places, handle) = (app.clone(), places.clone(), handle.clone());
        let rustls = certificate.as_ref().map(|certificate| certificate.config.clone());
        let router = routes::router(&app);
        servers.spawn(async move {
            let server = axum_server::from_tcp(listener)?.handle(handle);
            let server = with_timers(server, &app);
            match rustls {
                None => {
                    let guard = Guard::new(DefaultAcceptor::new(), app, places);
                    server.acceptor(guard).serve(router.into_make_service()).await
                }
                Some(config) => {
                    let tls = RustlsAcceptor::new(config).handshake_timeout(app.limits.header_time);
                    let guard = Guard::new(tls, app, places);
                    server.acceptor(guard).serve(router.into_make_service()).await
                }
            }
        });
    }
    let chores = tokio::spawn(chores::run(app.clone(), certificate));
    let failed = tokio::select! {
        () = shutdown => None,
        Some(ended) = servers.join_next() => Some(ended),
    };
    stop(&app, &handle, servers).await;
    chores.abort();
    match failed {
        None | Some(Ok(Ok(()))) => Ok(()),
        Some(Ok(Err(error))) => Err(ServerError::because("cannot serve", error)),
        Some(Err(error)) => Err(ServerError::because("cannot serve", error)),
    }
}

/// Lets everything come to its end, as far as there is time.
async fn stop(
    app: &Arc<App>,
    handle: &Handle<SocketAddr>,
    mut servers: JoinSet<std::io::Result<()>>,
) {
    let grace = app.limits.grace;
    tracing::info!(runs = app.runs.count(), "stopping");
    app.stopping.send_replace(true);
    handle.graceful_shutdown(Some(grace));
    let all = async {
        app.runs.ended().await;
        while servers.join_next().await.is_some() {}
    };
    if tokio::time::timeout(grace, all).await.is_err() {
        tracing::warn!(runs = app.runs.count(), "stopped in the middle of what was going on");
    }
}

fn listen(address: SocketAddr) -> Result<(SocketAddr, TcpListener), ServerError> {
    let failed = |error| ServerError::because(format!("cannot listen on {address}"), error);
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((address, listener))
}

fn with_timers(mut server: Server<SocketAddr>, app: &App) -> Server<SocketAddr> {
    let builder = server.http_builder();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(app.limits.header_time);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_BYTES);
    server
}

/// Every open room and every connection takes descriptors; the usual limit is for programs with
/// few. Serving goes on with what there is, which this gives.
fn raise_file_limit() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return FEW_FILES };
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        return hard;
    }
    soft
}

/// Keeps open rooms to half of the descriptors and connections to a quarter: the rest is for runs.
fn share_out(files: u64, limits: &mut Limits) {
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    limits.open_rooms = limits.open_rooms.min(files / 2 / FILES_OF_A_ROOM);
    limits.connections = limits.connections.min(files / 4);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_descriptors_make_few_open_rooms_and_connections() {
        let limits = |files| {
            let mut limits = Limits::default();
            share_out(files, &mut limits);
            (limits.open_rooms, limits.connections)
        };
        assert_eq!(limits(1024), (64, 256));
        assert_eq!(limits(u64::MAX), (1024, 4096));
    }
}
