//! Connections to a database.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use datafusion_table_providers_postgres::pool::PostgresConnectionPool;
use glovebox_room::remote::Credential;
use secrecy::SecretString;

use super::{Place, failure};
use crate::error::Failure;
use crate::source::Request;

/// What a credential may hold.
const SETTINGS: [&str; 4] = ["user", "password", "sslmode", "sslrootcert"];

/// Most connections of one open table: one that keeps the snapshot, and one for each scan that a
/// worker may have at once.
const MAX_CONNECTIONS: u32 = 26;

/// How long a connection may take, and when one is given up whose other end says nothing more.
const TIMES: &str = "connect_timeout=10 keepalives=1 keepalives_idle=30 keepalives_interval=10 \
                     keepalives_retries=3 tcp_user_timeout=60";

/// The port of a database that names none.
const DEFAULT_PORT: u16 = 5432;

/// Most addresses of a host that are tried.
const MAX_ADDRESSES: usize = 4;

/// How long the first try of a connection waits for the second; each further waits twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// How often a connection is tried.
const TRIES: u32 = 4;

/// Connections of one open table. Tries again while the database is not up.
pub(super) async fn pool(
    request: &Request,
    place: &Place,
) -> Result<PostgresConnectionPool, Failure> {
    let credential = request.credential.as_ref().ok_or_else(|| {
        Failure::denied("a database needs a credential that holds at least `user`")
    })?;
    let (parameters, certificate) = parameters(request, place, credential).await?;
    let mut wait = FIRST_WAIT;
    let mut left = TRIES;
    let pool = loop {
        left = left.saturating_sub(1);
        let failure = match PostgresConnectionPool::new(parameters.clone()).await {
            Ok(pool) => break pool,
            Err(error) => failure::of("cannot connect to the database", &error),
        };
        if left == 0 || !failure::is_passing(&failure) {
            return Err(with_hint(failure));
        }
        tokio::time::sleep(wait).await;
        wait = wait.saturating_mul(2);
    };
    drop(certificate);
    Ok(pool)
}

/// Says what the owner can do, where the error does not.
fn with_hint(mut failure: Failure) -> Failure {
    if failure.detail.contains("TLS") || failure.detail.contains("tls") {
        failure.detail.push_str(
            "; the connection is encrypted unless the credential says `sslmode = \"disable\"`, and \
             the server's certificate is checked unless it says `sslmode = \"require\"`",
        );
    }
    failure
}

async fn parameters(
    request: &Request,
    place: &Place,
    credential: &Credential,
) -> Result<(HashMap<String, SecretString>, Option<PrivateFile>), Failure> {
    if let Some((unknown, _)) = credential.settings().find(|(name, _)| !SETTINGS.contains(name)) {
        return Err(Failure::denied(format!(
            "a credential of a database has no `{}`, only {}",
            unknown.escape_debug(),
            SETTINGS.join(", ")
        )));
    }
    let user = credential
        .get("user")
        .filter(|user| !user.is_empty())
        .ok_or_else(|| Failure::denied("the credential lacks `user`"))?;
    let sslmode = credential.get("sslmode").unwrap_or("verify-full");
    if !["disable", "prefer", "require", "verify-ca", "verify-full"].contains(&sslmode) {
        return Err(Failure::denied(
            "`sslmode` of the credential is disable, prefer, require, verify-ca or verify-full",
        ));
    }
    let certificate = credential.get("sslrootcert");
    if certificate.is_some_and(|text| !text.contains("-----BEGIN CERTIFICATE-----")) {
        return Err(Failure::denied("`sslrootcert` of the credential is no certificate in PEM"));
    }
    let certificate = certificate.map(PrivateFile::holding).transpose()?;
    let mut parameters = HashMap::from([
        ("db", format!("{} {}", quoted(&place.database), address(request, place, sslmode).await?)),
        ("user", quoted(user)),
        ("sslmode", sslmode.to_owned()),
        ("application_name", "glovebox".to_owned()),
        ("connection_pool_size", MAX_CONNECTIONS.to_string()),
    ]);
    // Where a port is given, the pool resolves the host once more by itself and tries whether it
    // answers, sending nothing.
    if place.port != DEFAULT_PORT {
        parameters.insert("port", place.port.to_string());
    }
    if let Some(password) = credential.get("password") {
        parameters.insert("pass", password.to_owned());
    }
    if let Some(certificate) = &certificate {
        parameters.insert("sslrootcert", certificate.0.display().to_string());
    }
    let secret = |(name, value): (&str, String)| (name.to_owned(), SecretString::from(value));
    Ok((parameters.into_iter().map(secret).collect(), certificate))
}

/// The addresses that may be connected to, to stand behind the database's name: the pool puts its
/// parameters into a connection string as they are. The host's name is there for the certificate only; without
/// encryption it is left out, so that nobody resolves it again.
async fn address(request: &Request, place: &Place, sslmode: &str) -> Result<String, Failure> {
    let host = place.host.trim_start_matches('[').trim_end_matches(']');
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if host.parse::<IpAddr>().is_err() && !host.chars().all(is_name) {
        // A path would be a socket of this machine, a comma a second host.
        return Err(Failure::refused("the host of a database is a name or an address"));
    }
    let is_encrypted = !matches!(sslmode, "disable" | "prefer");
    let found = request.outbound.resolve(host, place.port, is_encrypted).await?;
    let addresses: Vec<String> =
        found.iter().take(MAX_ADDRESSES).map(|at| at.ip().to_string()).collect();
    let names = match sslmode {
        "disable" => String::new(),
        _ => format!("host='{}' ", vec![host; addresses.len()].join(",")),
    };
    Ok(format!("{names}hostaddr='{}' {TIMES}", addresses.join(",")))
}

/// A value of a connection string. The pool puts it there as it is.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'"))
}

/// A file that nobody else reads and that is gone with this.
struct PrivateFile(PathBuf);

impl PrivateFile {
    fn holding(text: &str) -> Result<Self, Failure> {
        let failed = |why: &dyn std::fmt::Display| {
            Failure::new(
                glovebox_contract::reason::ReasonCode::Internal,
                format!("cannot write the certificate to a file: {why}"),
            )
        };
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| failed(&error))?;
        let name = format!("glovebox-{:032x}.pem", u128::from_be_bytes(random));
        let path = std::env::temp_dir().join(name);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| failed(&error))?;
        let file_on_disk = Self(path);
        file.write_all(text.as_bytes()).map_err(|error| failed(&error))?;
        Ok(file_on_disk)
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(%error, "a certificate's file cannot be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_says_more_than_itself() {
        let check = |value: &str| {
            let text = format!("user={} host=a", quoted(value));
            let config: tokio_postgres::Config = text.parse().unwrap();
            assert_eq!(config.get_user(), Some(value));
            assert_eq!(config.get_hosts().len(), 1, "{value}");
        };
        check("alice");
        check("a b");
        check("o'brien");
        check(r"back\slash' host=evil");
        check("x host=10.0.0.1");
    }

    #[test]
    fn a_private_file_is_private_and_goes() {
        use std::os::unix::fs::MetadataExt as _;
        let file = PrivateFile::holding("text").unwrap();
        let path = file.0.clone();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "text");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        drop(file);
        assert!(!path.exists());
    }
}
