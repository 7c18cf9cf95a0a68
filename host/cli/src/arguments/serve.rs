//! `glovebox serve`: what can be said.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use glovebox_broker::AllowedSource;

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
    /// Runs of one party at once, in all its rooms; further ones wait [default: no limit but those
    /// of the room and of the host].
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) max_concurrent_runs_per_party: Option<usize>,
    /// Runs of one party that may start within 24 hours, in all its rooms; further ones are refused
    /// with `policy-limit` [default: no limit].
    #[arg(long, value_name = "N")]
    pub(crate) quota_runs_per_day: Option<u64>,
    /// Processor time of one party's runs within 24 hours, as their receipts say it; when it is used
    /// up, further runs are refused with `policy-limit` [default: no limit].
    #[arg(long, value_name = "SECONDS")]
    pub(crate) quota_cpu_seconds_per_day: Option<u64>,
    /// A place where tables of parties may be besides the public internet, as HOST, HOST:PORT or
    /// ADDRESS/PREFIX, such as an object store in this network; repeat for more.
    #[arg(
        long = "allow-source",
        value_name = "HOST[:PORT]|NETWORK",
        env = "GLOVEBOX_ALLOW_SOURCE",
        value_delimiter = ','
    )]
    pub(crate) allow_sources: Vec<AllowedSource>,
    /// How log lines are written, to standard error. GLOVEBOX_LOG says which [default: info].
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("expected a number, at least 1".into()),
    }
}
