//! Serves the gateway over HTTP, with or without TLS.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use hyper_util::rt::TokioTimer;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::access::{self, Access};
use crate::app::App;
use crate::host::Host;
use crate::page::Pages;
use crate::paging::Pager;
use crate::store::Store;
use crate::{Bound, Config, assets, routes, tls};

/// Time for the head of a request to arrive.
const HEADER_TIME: Duration = Duration::from_secs(10);

/// How long calls may go on when the gateway is asked to stop.
const GRACE: Duration = Duration::from_secs(30);

/// Calls at once; further ones wait.
const CALLS: usize = 64;

/// Why a gateway cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("cannot use `{file}` for TLS: {why}")]
    Tls {
        /// The file that cannot be used.
        file: String,
        /// Why not.
        why: String,
    },
    /// The directory for what the gateway keeps cannot be used.
    #[error("cannot use the state directory `{directory}`: {why}")]
    State {
        /// The directory.
        directory: String,
        /// Why not.
        why: String,
    },
    /// Who may do what cannot be decided.
    #[error(transparent)]
    Access(#[from] access::StartError),
    /// Serving ended with an error.
    #[error("serving ended: {0}")]
    Serve(io::Error),
}

/// Serves until `shutdown` is ready; then lets calls end.
///
/// # Errors
/// When it cannot start: an address is taken, the state cannot be opened, the policies are invalid.
/// A host that is away is no reason not to start.
pub async fn serve(
    mut config: Config,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), GatewayError> {
    let bound = config.bound.take();
    let (listen, tls) = (config.listen.clone(), config.tls.clone());
    let public_key = config.key.public();
    let app = tokio::task::spawn_blocking(move || App::open(config))
        .await
        .map_err(|error| GatewayError::Serve(io::Error::other(error)))??;
    let app = Arc::new(app);
    // Ends with this call.
    let mut chores = JoinSet::new();
    let tls = match tls {
        Some(files) => {
            let config = tls::load(&files)?;
            chores.spawn(tls::renew(files, config.clone()));
            Some(config)
        }
        None => None,
    };
    let mut listeners = Vec::new();
    for address in listen {
        let failed = |source| GatewayError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        listeners.push((listener.local_addr().map_err(failed)?, listener));
    }
    let addresses: Vec<SocketAddr> = listeners.iter().map(|(address, _)| *address).collect();
    tracing::info!(?addresses, party = %public_key, "the gateway listens");
    resume(&app).await;
    let handle = Handle::new();
    let router = routes::router(app);
    let mut servers = Vec::new();
    for (_, listener) in listeners {
        servers.push(start(listener, tls.clone(), handle.clone(), router.clone()));
    }
    if let Some(bound) = bound {
        bound(Bound { addresses, public_key });
    }
    let served = futures::future::try_join_all(servers);
    tokio::pin!(served);
    tokio::select! {
        ended = &mut served => return ended.map(drop).map_err(GatewayError::Serve),
        () = shutdown => handle.graceful_shutdown(Some(GRACE)),
    }
    served.await.map(drop).map_err(GatewayError::Serve)
}

async fn start(
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    handle: Handle<SocketAddr>,
    router: Router,
) -> io::Result<()> {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    match tls {
        Some(tls) => {
            let mut server = axum_server::from_tcp_rustls(listener, tls)?.handle(handle);
            let mut http1 = server.http_builder().http1();
            http1.timer(TokioTimer::new()).header_read_timeout(HEADER_TIME);
            server.serve(service).await
        }
        None => {
            let mut server = axum_server::from_tcp(listener)?.handle(handle);
            let mut http1 = server.http_builder().http1();
            http1.timer(TokioTimer::new()).header_read_timeout(HEADER_TIME);
            server.serve(service).await
        }
    }
}

/// Goes on with what was being added when the gateway stopped.
async fn resume(app: &Arc<App>) {
    let app = Arc::clone(app);
    let resumed = tokio::task::spawn_blocking(move || assets::resume(&app)).await;
    if let Ok(Err(failure)) = resumed {
        tracing::error!(%failure, "what was being added cannot be gone on with");
    }
}

impl App {
    fn open(config: Config) -> Result<Self, GatewayError> {
        let tls = config.tls.is_some();
        let Config { key, host, options, state, catalog, policies, oidc, inspect, preview, .. } =
            config;
        let unusable = |why: String| {
            let directory = state.display().to_string();
            GatewayError::State { directory, why }
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&state)
            .map_err(|error| unusable(error.to_string()))?;
        let store = Store::open(&state.join("gateway.sqlite"))
            .map_err(|error| unusable(error.to_string()))?;
        let secret = store.secret("pages").map_err(|error| unusable(error.to_string()))?;
        let access =
            access::Config { policies, oidc, ..access::Config::new(state.join("access.sqlite")) };
        Ok(Self {
            access: Access::open(access)?,
            host: Host::new(host, options, key),
            store,
            pager: Pager::new(secret),
            inspect,
            catalog,
            state,
            page: Pages::new(tls),
            preview,
            places: Semaphore::new(CALLS),
        })
    }
}
