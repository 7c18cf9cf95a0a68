//! A PostgreSQL server of a test's own.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// Ends with this.
pub(super) struct Server {
    process: Child,
    pub(super) port: u16,
    _directory: TempDir,
}

impl Server {
    /// A new, empty one with a superuser `admin` whose password is `open sesame`.
    pub(super) fn start(settings: &[&str]) -> Self {
        let directory = TempDir::with_prefix("glovebox-postgresql-").unwrap();
        let path = directory.path();
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        let data = path.join("data");
        let password = path.join("password");
        std::fs::write(&password, "open sesame\n").unwrap();
        std::fs::create_dir(&data).unwrap();
        let owned = Command::new("chown").args(["postgres", "--"]).arg(&data).status().unwrap();
        assert!(owned.success(), "these tests run as root, PostgreSQL as the user `postgres`");
        let made = command("initdb")
            .args(["--username=admin", "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"])
            .args(["--locale-provider=icu", "--icu-locale=en", "--locale=C.UTF-8"])
            .arg(format!("--pwfile={}", password.display()))
            .arg("-D")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = command("postgres");
        server.arg("-D").arg(&data).args(["-p", &port.to_string(), "-h", "127.0.0.1"]);
        server.args(["-c", "fsync=off", "-c", "unix_socket_directories="]);
        for setting in settings {
            server.args(["-c", setting]);
        }
        let process = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { process, port, _directory: directory }
    }

    /// A connection of the superuser, as soon as the server is up.
    pub(super) async fn admin(&self) -> Client {
        let place = format!(
            "host=127.0.0.1 port={} user=admin password='open sesame' dbname=postgres",
            self.port
        );
        let started = Instant::now();
        loop {
            match tokio_postgres::connect(&place, NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    return client;
                }
                Err(error) => assert!(started.elapsed() < Duration::from_secs(60), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends it at once, with all that it is doing.
    pub(super) fn stop(&mut self) {
        let id = self.process.id().to_string();
        let told = Command::new("kill").args(["-QUIT", &id]).status().unwrap();
        assert!(told.success());
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.stop();
        }
    }
}

/// A certificate for `localhost` that only its holder vouches for.
pub(super) struct Certificate {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    _directory: TempDir,
}

impl Certificate {
    pub(super) fn new() -> Self {
        let directory = TempDir::with_prefix("glovebox-certificate-").unwrap();
        let path = directory.path();
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        let (certificate, key) = (path.join("certificate.pem"), path.join("key.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let owned = Command::new("chown").args(["postgres", "--"]).arg(&key).status().unwrap();
        assert!(owned.success());
        Self { certificate, key, _directory: directory }
    }
}

/// A program of PostgreSQL, as the user that it takes.
fn command(program: &str) -> Command {
    let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is installed")
        .map(|entry| entry.unwrap().path())
        .collect();
    versions.sort();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    // It ends with the thread of its test, however that ends.
    command.args(["--pdeathsig=QUIT", "--"]);
    command.arg(versions.last().unwrap().join("bin").join(program));
    command.env("TZ", "UTC").current_dir("/");
    command
}
