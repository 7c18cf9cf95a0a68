//! A host, found and held to its key.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use glovebox_api::path;
use glovebox_api::wire::HostInfo;
use glovebox_contract::key::{PrivateKey, PublicKey};
use url::Url;

use crate::error::{ClientError, Result};
use crate::http::{Call, Transport, parse_url};
use crate::patience::patiently;
use crate::pin;
use crate::session::Session;

/// How a host is reached, and what is remembered about it.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory for what is remembered: keys of hosts and mirrored logs. Made when missing.
    /// Several processes may share it.
    pub state: PathBuf,
    /// A file of certificates in PEM that are trusted besides the system's.
    pub ca: Option<PathBuf>,
    /// How long to keep asking a host that is away.
    pub patience: Duration,
    /// How long a host may say nothing at all.
    pub timeout: Duration,
}

impl Options {
    /// The usual options, with this directory.
    pub fn new(state: impl Into<PathBuf>) -> Self {
        Self { state: state.into(), ..Self::default() }
    }
}

impl Default for Options {
    /// Half a minute of patience, and no directory: it must be named.
    fn default() -> Self {
        Self {
            state: PathBuf::new(),
            ca: None,
            patience: Duration::from_secs(30),
            timeout: Duration::from_secs(60),
        }
    }
}

/// A host whose key is the one that it had the first time.
#[derive(Debug, Clone)]
pub struct Client(Arc<Host>);

#[derive(Debug)]
struct Host {
    info: HostInfo,
    patience: Duration,
    state: PathBuf,
    transport: Transport,
}

impl Client {
    /// Finds the host at `url` (`https://name:port`, or `http://…` where the network is trusted or
    /// the answers are: nothing that is believed depends on TLS, but everything can be read).
    ///
    /// # Errors
    /// [`ClientError::HostKey`] when the host had another key before, and when it cannot be
    /// reached.
    pub fn connect(url: &str, options: &Options) -> Result<Self> {
        let Options { state, ca, patience, timeout } = options;
        if state.as_os_str().is_empty() {
            return Err(ClientError::Invalid(
                "there is no directory for what is remembered".into(),
            ));
        }
        let transport = Transport::new(parse_url(url)?, ca.as_deref(), *timeout)?;
        let call = Call::get(path::HOST, "");
        let info: HostInfo =
            patiently(*patience, || transport.ask(None, &call).and_then(|answer| answer.json()))?;
        if info.upload_chunk_bytes == 0 {
            let at = format!("GET {}", path::HOST);
            return Err(ClientError::answer(at, "the host takes no uploads"));
        }
        pin::check(state, transport.base(), &info.host_key)?;
        let host = Host { info, patience: *patience, state: state.clone(), transport };
        Ok(Self(Arc::new(host)))
    }

    /// What the host said about itself when it was found.
    pub fn info(&self) -> &HostInfo {
        &self.0.info
    }

    /// The host's key.
    pub fn host_key(&self) -> &PublicKey {
        &self.0.info.host_key
    }

    /// The host's address.
    pub fn url(&self) -> &Url {
        self.0.transport.base()
    }

    /// Speaks for the party with this key.
    pub fn party(&self, key: PrivateKey) -> Session {
        Session::new(self.clone(), key)
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.0.transport
    }

    pub(crate) fn patience(&self) -> Duration {
        self.0.patience
    }

    pub(crate) fn state(&self) -> &Path {
        &self.0.state
    }
}
