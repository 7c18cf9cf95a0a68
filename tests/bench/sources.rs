//! A scan through the broker beside a direct one: Parquet in an S3-compatible store, and a table of
//! PostgreSQL, both on this machine.
//!
//! `cargo bench --bench sources [-- ROWS]` (default 2,000,000) needs `nginx`, PostgreSQL, and python3
//! with numpy and pyarrow. The direct scan is DataFusion in this process, with the same readers and
//! the credentials that a run never has. The broker's time is that of the whole `glovebox run`, from
//! request to receipt. Rounds take turns; printed are medians and their ratio.

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod support;

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use datafusion_table_providers_postgres::PostgresTableFactory;
use datafusion_table_providers_postgres::pool::PostgresConnectionPool;
use object_store::aws::AmazonS3Builder;
use secrecy::SecretString;
use support::{Stage, repository};
use tokio::runtime::Runtime;

const ROUNDS: usize = 7;
const QUERY: &str = "SELECT segment, count(*) AS people, sum(spend) AS spend, max(hem) AS last \
                     FROM {table} WHERE spend >= 10 GROUP BY segment ORDER BY segment";

fn main() {
    let rows: usize =
        std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(2_000_000);
    let stage = Stage::new();
    stage.room("r", &["retail", "media"], "[limits]\nmemory_bytes = 8_589_934_592\n");
    let bucket = Bucket::start(&stage, rows);
    let database = Database::start(rows);
    println!("{rows} rows; median of {ROUNDS} rounds in turn");
    bucket.offer(&stage);
    compare(&stage, "objects", || bucket.direct());
    database.offer(&stage);
    compare(&stage, "foreign", || database.direct());
}

/// Prints the time of a run over the table, of a direct scan, and the ratio.
fn compare(stage: &Stage, name: &str, direct: impl Fn() -> Duration) {
    let notebook = format!(
        "/* glovebox notebook\nname = \"{name}\"\nversion = \"1.0.0\"\n[inputs.\"retail.{name}\"]\n\
         columns = {{ hem = \"utf8\", segment = \"utf8\", spend = \"int64\" }}\n[outputs.segments]\n\
         columns = [\"segment utf8\", \"people int64\", \"spend int64\", \"last utf8\"]\n*/\n\
         CREATE TABLE output.segments AS {};\n",
        QUERY.replace("{table}", &format!("retail.{name}"))
    );
    stage.write(&format!("{name}.sql"), notebook);
    stage.run(&format!("build {name}.sql -o {name}.wasm")).ok();
    stage.run(&format!("notebook add r {name}.wasm --runner media --as media.key")).ok();
    let digest = stage.revision("r", name);
    stage.run(&format!("review r {name} --approve {digest} --as retail.key")).ok();
    let (mut brokered, mut straight) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let started = Instant::now();
        stage.run(&format!("run r {name} --as media.key")).ok();
        brokered.push(started.elapsed());
        straight.push(direct());
    }
    let (brokered, straight) = (median(brokered), median(straight));
    println!(
        "{name:8} glovebox run {:7.3} s   direct {:7.3} s   ratio {:5.2}",
        brokered.as_secs_f64(),
        straight.as_secs_f64(),
        brokered.as_secs_f64() / straight.as_secs_f64()
    );
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn scan(register: impl AsyncFnOnce(&SessionContext)) -> Duration {
    let started = Instant::now();
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let config = SessionConfig::new().with_target_partitions(2);
        let context = SessionContext::new_with_config(config);
        register(&context).await;
        let query = QUERY.replace("{table}", "t");
        let rows = context.sql(&query).await.expect("a plan").collect().await.expect("rows");
        assert!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>() > 0);
    });
    started.elapsed()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn wait_for(port: u16) {
    let end = Instant::now() + Duration::from_secs(30);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < end, "nobody listens on port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn secret(stage: &Stage, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let file = stage.write("credentials.toml", text);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))
        .expect("a private file");
    file
}

/// One object behind nginx, which reads ranges and checks ETags as S3 does and costs little itself.
struct Bucket {
    server: Child,
    port: u16,
}

impl Bucket {
    fn start(stage: &Stage, rows: usize) -> Self {
        let bucket = stage.path("s3/bucket");
        std::fs::create_dir_all(&bucket).expect("a directory");
        let made = Command::new("python3")
            .arg(repository().join("tests/bench/sources_data.py"))
            .arg(rows.to_string())
            .arg(bucket.join("rows.parquet"))
            .status()
            .expect("python3");
        assert!(made.success(), "the data needs numpy and pyarrow");
        let port = free_port();
        let directory = stage.path("s3");
        let configuration = format!(
            "daemon off; worker_processes 1; pid {0}/pid; error_log {0}/error;\nevents {{}}\n\
             http {{ access_log off; client_body_temp_path {0}/t; proxy_temp_path {0}/t; fastcgi_temp_path {0}/t;\n\
             uwsgi_temp_path {0}/t; scgi_temp_path {0}/t;\n\
             server {{ listen 127.0.0.1:{port}; root {0}; max_ranges 1; }} }}\n",
            directory.display()
        );
        let file = stage.write("nginx.conf", configuration);
        let server = Command::new("nginx")
            .args(["-g", "user root;", "-c"])
            .arg(file)
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx");
        wait_for(port);
        Self { server, port }
    }

    fn offer(&self, stage: &Stage) {
        let credentials = format!(
            "aws_access_key_id = \"key\"\naws_secret_access_key = \"secret-of-the-bench\"\naws_region = \"here\"\n\
             aws_endpoint = \"http://127.0.0.1:{}\"\naws_allow_http = \"true\"\n",
            self.port
        );
        let file = secret(stage, &credentials);
        stage
            .run(&format!(
                "table add r retail.objects --from s3://bucket/rows.parquet --credentials {} --as retail.key",
                file.display()
            ))
            .ok();
    }

    fn direct(&self) -> Duration {
        scan(async |context| {
            let store = AmazonS3Builder::new()
                .with_access_key_id("key")
                .with_secret_access_key("secret-of-the-bench")
                .with_region("here")
                .with_bucket_name("bucket")
                .with_endpoint(format!("http://127.0.0.1:{}", self.port))
                .with_allow_http(true)
                .build()
                .expect("a store");
            let url = "s3://bucket".parse().expect("a URL");
            context.register_object_store(&url, Arc::new(store));
            let options = ParquetReadOptions::default();
            context
                .register_parquet("t", "s3://bucket/rows.parquet", options)
                .await
                .expect("an object");
        })
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.server.id().to_string()).status();
        let _ = self.server.wait();
    }
}

/// A cluster of its own with one table.
struct Database {
    directory: PathBuf,
    port: u16,
}

impl Database {
    fn start(rows: usize) -> Self {
        let directory =
            std::env::temp_dir().join(format!("glovebox-bench-pg-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let database = Self { directory, port: free_port() };
        let root = nix::unistd::geteuid().is_root();
        if root {
            Command::new("chown").arg("postgres").arg(&database.directory).status().expect("chown");
        }
        let secret = database.directory.join("secret");
        std::fs::write(&secret, "password-of-the-bench").expect("a file");
        database.program(
            "initdb",
            &[
                "--pgdata",
                "data",
                "--username",
                "bench",
                "--pwfile",
                "secret",
                "--auth",
                "scram-sha-256",
                "--no-sync",
            ],
        );
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories={} -c fsync=off",
            database.port,
            database.directory.display()
        );
        database.program(
            "pg_ctl",
            &["--pgdata", "data", "--log", "log", "--wait", "start", "--options", &options],
        );
        let sql = format!(
            "CREATE TABLE customers AS SELECT md5(n::text) AS hem, 'segment-' || n % 10 AS segment, \
             (n % 1000)::bigint AS spend FROM generate_series(1, {rows}) n;"
        );
        let made = Command::new("psql")
            .args(["--host", "127.0.0.1", "--username", "bench", "--dbname", "postgres", "--quiet"])
            .args(["--port", &database.port.to_string(), "--command", &sql.replace(";", "")])
            .env("PGPASSWORD", "password-of-the-bench")
            .status();
        assert!(made.expect("psql").success());
        database
    }

    fn program(&self, name: &str, words: &[&str]) {
        let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
            .expect("PostgreSQL")
            .filter_map(|version| Some(version.ok()?.path().join("bin").join(name)))
            .filter(|program| Path::exists(program))
            .collect();
        found.sort();
        let program = found.pop().expect("PostgreSQL");
        let mut command = match nix::unistd::geteuid().is_root() {
            // The server refuses to be root.
            true => {
                let mut command = Command::new("setpriv");
                command
                    .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
                    .arg(program);
                command
            }
            false => Command::new(program),
        };
        command.args(words).current_dir(&self.directory).stdout(Stdio::null());
        assert!(command.status().expect("a program of PostgreSQL").success(), "{command:?}");
    }

    fn offer(&self, stage: &Stage) {
        let credentials =
            "user = \"bench\"\npassword = \"password-of-the-bench\"\nsslmode = \"disable\"\n";
        let file = secret(stage, credentials);
        stage
            .run(&format!(
                "table add r retail.foreign --from postgresql://127.0.0.1:{}/postgres#customers \
                 --credentials {} --as retail.key",
                self.port,
                file.display()
            ))
            .ok();
    }

    fn direct(&self) -> Duration {
        let settings = [
            ("host", "127.0.0.1".to_owned()),
            ("port", self.port.to_string()),
            ("user", "bench".into()),
            ("db", "postgres".into()),
            ("pass", "password-of-the-bench".into()),
            ("sslmode", "disable".into()),
        ];
        let settings: HashMap<String, SecretString> =
            settings.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        scan(async move |context| {
            let pool = PostgresConnectionPool::new(settings).await.expect("a connection");
            let tables = PostgresTableFactory::new(Arc::new(pool));
            let table = tables.table_provider("customers".into()).await.expect("a table");
            context.register_table("t", table).expect("a name");
        })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.program("pg_ctl", &["--pgdata", "data", "--mode", "immediate", "--silent", "stop"]);
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
