//! `glovebox serve`: what can be said.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address and port; repeat for more. Port 0 is a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) listen: Vec<SocketAddr>,
    /// Certificate chain in PEM, for https.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// How clients reach this host, when a proxy stands in front of it.
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// A file of public keys, one a line, whose owners may create rooms [default: anyone may].
    #[arg(long, value_name = "FILE")]
    pub(crate) creators: Option<PathBuf>,
    /// How log lines are written, to standard error. GLOVEBOX_LOG says which [default: info].
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}
