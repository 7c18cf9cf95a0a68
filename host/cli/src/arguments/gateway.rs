//! `glovebox gateway`: what can be said.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use glovebox_contract::name::RoomId;
use glovebox_gateway::access::{Kind, PrincipalName, Privilege, TokenId};

use super::{LogFormat, Moment, Span};

#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true)]
pub(crate) struct Gateway {
    #[command(flatten)]
    pub(crate) serve: ServeGateway,
    /// Directory of principals, tokens, jobs and the audit [default: `gateway` in the home].
    #[arg(long, value_name = "DIRECTORY", global = true)]
    pub(crate) state: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Option<GatewayCommand>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeGateway {
    /// The party's key file. It stays with this process; `--host` says where the rooms are.
    #[arg(long, value_name = "FILE", env = "GLOVEBOX_KEY", required = true)]
    pub(crate) key: Option<PathBuf>,
    /// Address and port; port 0 is a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8081")]
    pub(crate) listen: SocketAddr,
    /// Certificate chain in PEM, for https.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// A TOML file that says which file on this machine each table, volume and notebook is.
    #[arg(long, value_name = "FILE")]
    pub(crate) catalog: Option<PathBuf>,
    /// Take the tokens (JWT) of this OIDC issuer, too.
    #[arg(long, value_name = "URL", requires = "oidc_audience")]
    pub(crate) oidc_issuer: Option<String>,
    /// The gateway's own name at the issuer: tokens for others are refused.
    #[arg(long, value_name = "AUDIENCE", requires = "oidc_issuer")]
    pub(crate) oidc_audience: Option<String>,
    /// Which claim of a token is compared with a principal's subject.
    #[arg(long, value_enum, default_value_t = OidcClaim::Sub, requires = "oidc_issuer")]
    pub(crate) oidc_user_claim: OidcClaim,
    /// Which claim of a token has its groups [default: none has].
    #[arg(long, value_name = "CLAIM", requires = "oidc_issuer")]
    pub(crate) oidc_groups_claim: Option<String>,
    /// Trust the certificates that the authority in this PEM file signs, for the issuer.
    #[arg(long, value_name = "FILE", requires = "oidc_issuer")]
    pub(crate) oidc_ca: Option<PathBuf>,
    /// A directory with a Cedar schema and policies in place of the built-in ones.
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) policies: Option<PathBuf>,
    /// How log lines are written, to standard error. GLOVEBOX_LOG says which [default: info].
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OidcClaim {
    Sub,
    Email,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GatewayCommand {
    /// Serve the gateway, which `glovebox gateway` alone does as well.
    Serve(ServeGateway),
    /// The people, programs and groups that use the gateway. A new gateway has none.
    #[command(subcommand)]
    Principal(Principal),
    /// Give a principal a privilege: CREATE, MODIFY, EXECUTE, BROWSE or MANAGE.
    Grant(Held),
    /// Take a privilege away.
    Revoke(Held),
    /// Bearer tokens of principals; their SHA-256 digests are kept, nothing else.
    #[command(subcommand)]
    Token(Token),
    /// List what was denied, and to whom.
    Audit {
        /// Denials of this principal only.
        #[arg(long, value_name = "NAME")]
        principal: Option<PrincipalName>,
        /// Denials since then: a Unix time in seconds or `YYYY-MM-DD`.
        #[arg(long, value_name = "TIME")]
        since: Option<Moment>,
        /// At most so many, the newest.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Principal {
    /// Add a principal.
    Add {
        /// Its name, for example `alice@airline.example`.
        name: PrincipalName,
        /// user, service-principal or group.
        #[arg(long, default_value_t = Kind::User)]
        kind: Kind,
        /// What the OIDC issuer calls it; for a group, what stands in the claim of groups.
        #[arg(long)]
        subject: Option<String>,
        /// A group that it belongs to; repeat for more.
        #[arg(long = "in", value_name = "GROUP")]
        groups: Vec<PrincipalName>,
    },
    /// List the principals and their privileges.
    List,
    /// Remove a principal, its tokens and its privileges.
    Remove {
        /// Its name.
        name: PrincipalName,
    },
    /// Put a principal into a group.
    Join {
        /// Its name.
        name: PrincipalName,
        /// The group.
        group: PrincipalName,
    },
    /// Take a principal out of a group.
    Leave {
        /// Its name.
        name: PrincipalName,
        /// The group.
        group: PrincipalName,
    },
}

/// Who has what where.
#[derive(Debug, Args)]
pub(crate) struct Held {
    /// The principal.
    pub(crate) principal: PrincipalName,
    /// The privilege.
    pub(crate) privilege: Privilege,
    /// Id of the room in which it holds [default: everywhere].
    #[arg(long, value_name = "ROOM-ID")]
    pub(crate) room: Option<RoomId>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token for a principal. It is printed once and kept nowhere.
    New {
        /// The principal.
        principal: PrincipalName,
        /// What it is for.
        #[arg(long, default_value = "")]
        label: String,
        /// How long it is good.
        #[arg(long, value_name = "SPAN", default_value = "30d")]
        expires: Span,
    },
    /// List the tokens, without their text.
    List,
    /// Revoke a token at once.
    Revoke {
        /// Its id.
        token: TokenId,
    },
}
