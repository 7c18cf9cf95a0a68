//! `glovebox agent`: what can be said.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::LogFormat;

#[derive(Debug, Subcommand)]
pub(crate) enum Agent {
    /// Carry out standing orders: run notebooks by the clock, after each other or when somebody
    /// asks, and tell by webhook what happens in rooms. Needs `--host`.
    Run(RunAgent),
    /// Print standing orders to begin with: every setting, with what it means.
    Template,
    /// Check standing orders, and list when they fall due next.
    Check(OrdersFile),
    /// List what the agent has done and has to do.
    Status {
        /// The agent's directory [default: `agent` in the home].
        #[arg(long, value_name = "DIRECTORY")]
        state: Option<PathBuf>,
        /// At most so many of each order, the newest.
        #[arg(long, default_value_t = 10)]
        limit: usize,
    },
    /// Send a test event to every endpoint of the alerts.
    Test(OrdersFile),
    /// Make a token for a trigger. It is printed once; its digest goes into the orders.
    Token,
    /// Make a secret with which webhooks are signed, in a new file that only you may read.
    Secret {
        /// The file.
        #[arg(long, short)]
        output: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct OrdersFile {
    /// The standing orders, in TOML.
    #[arg(long, value_name = "FILE")]
    pub(crate) orders: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RunAgent {
    #[command(flatten)]
    pub(crate) file: OrdersFile,
    /// The party's key file. It stays with this process.
    #[arg(long = "as", value_name = "KEY", env = "GLOVEBOX_KEY")]
    pub(crate) key: PathBuf,
    /// The agent's directory [default: `agent` in the home].
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) state: Option<PathBuf>,
    /// Where triggers are taken, when there are any; port 0 is a free one. Without TLS: put a proxy
    /// in front of it for other machines.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8082")]
    pub(crate) listen: SocketAddr,
    /// Take triggers at an address in the network, where others may read their tokens on the way.
    #[arg(long)]
    pub(crate) plain_http: bool,
    /// How log lines are written, to standard error. GLOVEBOX_LOG says which [default: info].
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}
