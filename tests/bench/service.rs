//! The host under load: lists and reads with 1,000 rooms, Delta Sharing queries, and an upload
//! beside nginx.
//!
//! `cargo bench --bench service [-- SECONDS]` (default 8 a figure) needs `wrk`, `nginx` and `curl`.
//! Load generator, host and nginx share the machine, so figures are for comparing with each other.

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod support;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use glovebox_api::signature;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::{PrivateKey, PublicKey};
use glovebox_contract::statement::{
    Body, Collaborator, LogReaders, OutputReaders, OutputSettings, RoomDocument, Statement,
};
use glovebox_room::Home;
use support::Stage;

const ROOMS: usize = 1_000;
/// Signed requests that are made beforehand: each is good once.
const REQUESTS: usize = 60_000;
const TRANSFER_BYTES: usize = 256 << 20;

fn main() {
    let seconds = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(8);
    let stage = Stage::new();
    let key = PrivateKey::from_seed(&[7; 32]);
    let home = Home::open_or_create(&stage.path(".glovebox")).expect("a home");
    let rooms: Vec<_> = (0..ROOMS).map(|number| room(&home, &key, number)).collect();
    let host_key = home.host_key();
    let port = free_port();
    let server = Server::start(&stage, port);
    let host = Load { host_key, key, port, seconds, stage: &stage };
    println!("{ROOMS} rooms; 2 threads, 32 connections, {seconds} s a figure");
    host.signed("list rooms, 100 a page", |_| "/v1/rooms".into());
    host.signed("get a room's log", |number| {
        format!("/v1/rooms/{}/log?from=0", rooms[number % ROOMS])
    });
    host.plain("GET /healthz, for scale", "/healthz", "");
    host.sharing();
    drop(server);
    transfers(&host);
}

/// Makes a room of two parties and gives its id in hex.
fn room(home: &Home, key: &PrivateKey, number: usize) -> String {
    let other = PrivateKey::from_seed(&[9; 32]).public();
    let party = |alias: &str, public_key| Collaborator {
        alias: alias.parse().expect("an alias"),
        organisation: alias.into(),
        public_key,
    };
    let document = RoomDocument {
        billing: None,
        collaborators: vec![party("one", key.public()), party("two", other)],
        created: now(),
        creator: "one".parse().expect("an alias"),
        host_key: home.host_key(),
        limits: limits(),
        log_readers: LogReaders::Author,
        name: format!("room-{number}").parse().expect("a name"),
        nonce: format!("{number:032x}"),
        outputs: OutputSettings { readers: OutputReaders::Runner, time_to_live_days: 30 },
        package_provider: None,
        region: "test".into(),
    };
    let statement = Statement {
        body: Body::Room(document),
        issued_at: now(),
        party: "one".parse().expect("an alias"),
        room: None,
        sequence: 1,
    };
    let envelope = Envelope::sign(&statement, key).expect("an envelope");
    home.create_room(&envelope).expect("a room").id().0.to_hex()
}

fn limits() -> glovebox_contract::limits::Limits {
    let text = std::fs::read_to_string(support::repository().join("policies/limits/standard.toml"));
    toml::from_str(&text.expect("the standard limits")).expect("limits")
}

struct Load<'a> {
    host_key: PublicKey,
    key: PrivateKey,
    port: u16,
    seconds: u64,
    stage: &'a Stage,
}

impl Load<'_> {
    /// Requests that the party signs, each with a nonce of its own.
    fn signed(&self, what: &str, path: impl Fn(usize) -> String) {
        let mut requests = String::new();
        for number in 0..REQUESTS {
            let target = path(number);
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            let request = signature::Request { method: "GET", path, query, body: b"" };
            let signed =
                signature::sign(&request, &self.key, &self.host_key, now()).expect("headers");
            let _ = writeln!(
                requests,
                "{target}\t{}\t{}\t{}",
                signed.content_digest, signed.signature_input, signed.signature
            );
        }
        let file = self.stage.write("requests.txt", requests);
        let script = format!(
            "local lines = {{}}\nlocal shift = 0\nlocal threads = 0\n\
             function setup(thread) thread:set('id', threads); threads = threads + 1 end\n\
             function init() local n = 0\n for line in io.lines('{}') do\n\
             if n % 2 == id then lines[#lines + 1] = line end; n = n + 1 end end\n\
             function request() shift = shift + 1\n local line = lines[shift] or lines[1]\n\
             local path, digest, input, signature = line:match('([^\\t]*)\\t([^\\t]*)\\t([^\\t]*)\\t([^\\t]*)')\n\
             return wrk.format('GET', path, {{['Content-Digest'] = digest,\
             ['Signature-Input'] = input, ['Signature'] = signature}})\nend\n",
            file.display()
        );
        let script = self.stage.write("signed.lua", script);
        self.wrk(what, "/", &["-s", script.to_str().expect("a path")]);
    }

    fn plain(&self, what: &str, path: &str, script: &str) {
        let script = self.stage.write("plain.lua", script);
        self.wrk(what, path, &["-s", script.to_str().expect("a path")]);
    }

    fn wrk(&self, what: &str, path: &str, words: &[&str]) {
        let done = Command::new("wrk")
            .args(["-t2", "-c32", "--latency", &format!("-d{}s", self.seconds)])
            .args(words)
            .arg(format!("http://127.0.0.1:{}{path}", self.port))
            .output()
            .expect("wrk");
        let text = String::from_utf8_lossy(&done.stdout);
        let field = |name: &str| {
            let line = text.lines().find(|line| line.trim_start().starts_with(name));
            line.and_then(|line| line.split_whitespace().last()).unwrap_or("?").to_owned()
        };
        let refused = match text.lines().find(|line| line.contains("Non-2xx")) {
            Some(line) => format!("   {}", line.trim()),
            None => String::new(),
        };
        println!(
            "{what:28} {:>9} requests/s   p50 {:>8}   p99 {:>8}{refused}",
            field("Requests/sec"),
            field("50%"),
            field("99%")
        );
    }

    /// Queries of a table of which a small notebook wrote one version.
    fn sharing(&self) {
        let stage = self.stage;
        stage.room("shared", &["a", "b"], "");
        stage.write("t.csv", "v\n1\n2\n3\n");
        stage.write("n.sql", NOTEBOOK);
        stage.run("build n.sql -o n.wasm").ok();
        stage.run("table add shared a.t --from t.csv --as a.key").ok();
        stage.run("notebook add shared n.wasm --runner b --as b.key").ok();
        let digest = stage.revision("shared", "count");
        stage.run(&format!("review shared count --approve {digest} --as a.key")).ok();
        stage.run("run shared count --as b.key").ok();
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        stage
            .run(&format!(
                "share recipient shared reader --expires 1d --endpoint {endpoint} -o reader.share --as b.key"
            ))
            .ok();
        stage.run("share grant shared reader results --output count --as b.key").ok();
        let profile = std::fs::read_to_string(stage.path("reader.share")).expect("a profile");
        let profile: serde_json::Value = serde_json::from_str(&profile).expect("a profile");
        let text = |name: &str| profile[name].as_str().expect("text").to_owned();
        let script = format!(
            "wrk.method = 'POST'\nwrk.body = '{{}}'\nwrk.headers['Content-Type'] = 'application/json'\n\
             wrk.headers['Authorization'] = 'Bearer {}'\n",
            text("bearerToken")
        );
        let endpoint = text("endpoint");
        let path = endpoint.split_once(&format!(":{}", self.port)).expect("this host").1;
        let path = format!("{path}/shares/results/schemas/count/tables/total/query");
        self.plain("Delta Sharing query", &path, &script);
    }
}

const NOTEBOOK: &str = r#"/* glovebox notebook
name = "count"
version = "1.0.0"
[inputs."a.t"]
columns = { v = "int64" }
[outputs.total]
columns = [ { name = "n", type = "int64" } ]
*/
CREATE TABLE output.total AS SELECT count(*) AS n FROM a.t WHERE v > 0;
"#;

/// One file up: to the host by its client, and to nginx by curl.
fn transfers(host: &Load<'_>) {
    let stage = host.stage;
    let web = stage.path("web");
    std::fs::create_dir_all(web.join("up")).expect("a directory");
    let port = free_port();
    let configuration = format!(
        "daemon off; master_process off; pid {0}/nginx.pid; error_log {0}/error.log; events {{}}\n\
         http {{ access_log off; client_body_temp_path {0}/body; client_max_body_size 0;\n\
         server {{ listen 127.0.0.1:{port}; root {0}; location /up {{ dav_methods PUT; }} }} }}\n",
        web.display()
    );
    let configuration = stage.write("nginx.conf", configuration);
    let bytes: Vec<u8> = (0..TRANSFER_BYTES / 8)
        .flat_map(|n| (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .collect();
    let file = stage.write("web/large.bin", &bytes);
    std::fs::set_permissions(&web, std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .expect("permissions");
    let mut nginx = Command::new("nginx")
        .args(["-g", "user root;", "-c"])
        .arg(configuration)
        .spawn()
        .expect("nginx");
    wait_for(port);
    let url = format!("http://127.0.0.1:{port}");
    let up = timed(Command::new("curl").args(["-sf", "-T"]).arg(&file).arg(format!("{url}/up/a")));
    nginx.kill().expect("an end");
    let _ = nginx.wait();
    let server = Server::start(stage, host.port);
    let ours = upload(host, &file);
    drop(server);
    let rate = |time: Duration| TRANSFER_BYTES as f64 / 1e6 / time.as_secs_f64();
    println!("upload   {:7.0} MB/s   nginx {:7.0} MB/s (no digest, no sync)", rate(ours), rate(up));
}

/// An upload by digest, from the first byte read to the digest checked and synced on the host.
fn upload(host: &Load<'_>, file: &Path) -> Duration {
    let options = glovebox_client::Options {
        state: host.stage.path("client"),
        ..glovebox_client::Options::default()
    };
    let url = format!("http://127.0.0.1:{}", host.port);
    let client = glovebox_client::Client::connect(&url, &options).expect("the host");
    let session = client.party(host.key.clone());
    let started = Instant::now();
    session.upload(file, &mut |_, _| ()).expect("an upload");
    started.elapsed()
}

fn timed(command: &mut Command) -> Duration {
    let started = Instant::now();
    assert!(command.status().expect("curl").success(), "{command:?}");
    started.elapsed()
}

/// `glovebox serve`, killed when dropped.
struct Server(Child);

impl Server {
    fn start(stage: &Stage, port: u16) -> Self {
        let listen = format!("127.0.0.1:{port}");
        let mut child = stage
            .command(&["--json", "serve", "--listen", &listen])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the glovebox binary");
        let mut line = String::new();
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
        lines.read_line(&mut line).expect("a line");
        assert!(line.contains(&listen), "the server said: {line}");
        Self(child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|probe| probe.local_addr()).expect("a port").port()
}

fn wait_for(port: u16) {
    let until = Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "nothing listens on port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}
