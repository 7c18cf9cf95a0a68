//! The main job over the network: the host serves its home, each party works from a home of its own
//! and says `--host`.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::support::{Done, Stage};

const NOTEBOOK: &str = r#"/* glovebox notebook
name = "spend"
version = "1.0.0"

[inputs."shop.sales"]
columns = { segment = "utf8", amount = "int64" }

[inputs."shop.big"]
columns = { amount = "int64" }

[parameters.min_group]
type = "int64"
default = 2

[outputs.by_segment]
columns = ["segment utf8", "sales int64"]
*/
CREATE TABLE output.by_segment AS
SELECT segment, count(*) AS sales FROM shop.sales
WHERE amount IN (SELECT amount FROM shop.big)
GROUP BY segment HAVING count(*) >= :min_group ORDER BY segment;
"#;

/// A host that is being served from the stage's `host` directory.
struct Served {
    child: Child,
    url: String,
    key: String,
}

impl Served {
    fn start(stage: &Stage) -> Self {
        let serve = ["serve", "--listen", "127.0.0.1:0", "--home", "host", "--json"];
        Self::spawn(stage.command(&serve), "host_key")
    }

    /// The gateway of a party, whose people are in `NAME-gateway`.
    fn gateway(stage: &Stage, host: &Served, party: &str) -> Self {
        let (key, state) = (format!("{party}.key"), format!("{party}-gateway"));
        let words = ["gateway", "--key", &key, "--listen", "127.0.0.1:0", "--state", &state];
        let more = ["--host", &host.url, "--home", party, "--json"];
        Self::spawn(stage.command(&[words.as_slice(), &more].concat()), "public_key")
    }

    fn spawn(mut command: Command, key: &str) -> Self {
        let mut child = command
            .env("GLOVEBOX_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the glovebox binary");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut line).expect("the line that it listens");
        let said: serde_json::Value = serde_json::from_str(&line).expect("one line of JSON");
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        Self { child, url: text(&said["listening"][0]), key: text(&said[key]) }
    }

    /// Asks the host to stop, as an operator does, and waits until it has.
    fn stop(mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("a signal");
        let status = self.child.wait().expect("its end");
        assert!(status.success(), "{status:?}");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command of a party, from a home of its own, at the host.
fn at(stage: &Stage, host: &Served, party: &str, line: &str) -> Done {
    let words: Vec<_> = line.split_whitespace().collect();
    let output = stage
        .command(&words)
        .args(["--home", &format!("home-of-{party}")])
        .env("GLOVEBOX_HOST", &host.url)
        .env("GLOVEBOX_KEY", stage.path(format!("{party}.key")))
        .output()
        .expect("the glovebox binary");
    (format!("{line} (by {party})"), output).into()
}

fn room_file(stage: &Stage, host: &Served) {
    let template = at(stage, host, "shop", "room template").ok().stdout;
    assert!(template.contains(&format!("host_key = \"{}\"", host.key)), "{template}");
    let mut text = format!("name = \"r\"\nregion = \"test\"\nhost_key = \"{}\"\n", host.key);
    for alias in ["shop", "partner"] {
        let key = stage.key(alias);
        text += &format!(
            "[[collaborators]]\nalias = \"{alias}\"\norganisation = \"x\"\npublic_key = \"{key}\"\n"
        );
    }
    stage.write("r.toml", text);
}

#[test]
fn a_room_works_over_the_network_with_the_keys_at_home() {
    let stage = Stage::new();
    let host = Served::start(&stage);
    room_file(&stage, &host);
    let shop = |line: &str| at(&stage, &host, "shop", line);
    let partner = |line: &str| at(&stage, &host, "partner", line);
    shop("room create r.toml").ok();
    partner("room accept r").ok();
    assert_eq!(partner("room list --json").ok().json()[0]["name"], "r");

    std::fs::create_dir(stage.path("sales")).expect("a folder");
    stage.write("sales/1.csv", "seg,amount\na,1\na,2\nb,3\n");
    stage.write("sales/2.csv", "seg,amount\nc,4\nc,5\nc,6\n");
    stage.write("sales/_SUCCESS", "");
    shop("table add r shop.sales --from sales --alias segment=seg").ok();
    stage.write("big.sql", "SELECT amount FROM s WHERE amount > 1");
    shop("view add r shop.big --sql big.sql --from s=sales").ok();
    std::fs::create_dir_all(stage.path("names/deep")).expect("a folder");
    stage.write("names/deep/a.txt", "Anna");
    partner("volume add r partner.names --from names").ok();

    stage.write("spend.sql", NOTEBOOK);
    partner("build spend.sql -o spend.wasm").ok();
    partner("notebook add r spend.wasm --runner partner").ok();
    partner("run r spend").refused("not-approved");
    let shown = shop("room show r --json").ok().json();
    let digest =
        shown["notebooks"][0]["revisions"][0]["digest"].as_str().expect("a digest").to_owned();
    shop(&format!("review r spend --approve {digest}")).ok();
    let ran = partner("run r spend --json").ok().json();
    assert!(ran["receipt"].is_object(), "{ran:#}");
    let rows = partner("output show r latest by_segment --json").ok().json();
    assert_eq!(rows["by_segment"], serde_json::json!([{ "segment": "c", "sales": 3 }]));
    partner("output list r latest").ok();
    partner("output log r latest").ok();
    partner("notebook result r latest").ok();
    partner("output export r latest by_segment -o out.parquet").ok();
    shop("output show r latest").refused("not-permitted");
    shop("cancel r latest").refused("not-found");
    shop("diff r spend").ok_or_status_one();

    shop("room pause r").ok();
    partner("run r spend").refused("paused");
    shop("room resume r").ok();
    partner("room resume r").ok();
    partner("run r spend").ok();

    let log = shop("log r").ok().stdout;
    for words in ["not-permitted", "not-approved", "paused", "reads by_segment"] {
        assert!(log.contains(words), "`{words}` is missing in\n{log}");
    }
    assert_eq!(shop("runs r --json").ok().json().as_array().map(Vec::len), Some(2));
    shop("bundle r -o r.bundle").ok();
    stage.run("verify r.bundle --output out.parquet --component spend.wasm").ok();
    host.stop();
}

impl Done {
    /// Failed with an error that says so.
    fn refused_in_words(self, words: &str) {
        assert_eq!(self.code, Some(1), "{self}");
        assert!(self.stderr.contains(words), "{self}");
    }

    /// Nothing was approved before the only revision, which is an answer, too.
    fn ok_or_status_one(self) {
        assert!(matches!(self.code, Some(0 | 1)), "{self}");
    }
}

#[test]
fn strangers_see_nothing_and_a_host_needs_a_key_to_show_a_room() {
    let stage = Stage::new();
    let host = Served::start(&stage);
    room_file(&stage, &host);
    stage.key("stranger");
    at(&stage, &host, "shop", "room create r.toml").ok();
    at(&stage, &host, "stranger", "room show r").refused("not-found");
    assert_eq!(
        at(&stage, &host, "stranger", "room list --json").ok().json(),
        serde_json::json!([])
    );
    let unsigned = stage.run(&format!("log r --host {}", host.url));
    assert_eq!(unsigned.code, Some(1), "{unsigned}");
    assert!(unsigned.stderr.contains("--as KEY"), "{unsigned}");
}

#[test]
fn rules_shares_and_forms_work_over_the_network() {
    let stage = Stage::new();
    let host = Served::start(&stage);
    room_file(&stage, &host);
    let shop = |line: &str| at(&stage, &host, "shop", line);
    let partner = |line: &str| at(&stage, &host, "partner", line);
    shop("room create r.toml").ok();
    partner("room accept r").ok();
    stage.write("sales.csv", "segment,amount\na,1\na,2\n");
    shop("table add r shop.sales --from sales.csv").ok();
    shop("table add r shop.big --from sales.csv").ok();
    stage.write("names.txt", "Anna");
    partner("volume add r partner.names --from names.txt").ok();
    shop("rule add r trusted --runner partner").ok();
    stage.write("spend.sql", NOTEBOOK);
    partner("build spend.sql -o spend.wasm").ok();
    partner("notebook add r spend.wasm --runner partner").ok();
    let form = partner("room form r spend --json").ok().json();
    assert_eq!(form["fields"][0]["name"], "min_group");
    partner("run r spend").ok();
    partner("share recipient r acme --expires 30d").ok();
    let profile = std::fs::read_to_string(stage.path("acme.share")).expect("the profile");
    assert!(profile.contains(&format!("{}/delta-sharing", host.url)), "{profile}");
    partner("share grant r acme results --output spend").ok();
    assert!(shop("share list r").ok().stdout.contains("the outputs of spend"));
}

#[test]
fn a_gateway_lets_in_whom_its_party_lets_in() {
    let stage = Stage::new();
    let host = Served::start(&stage);
    room_file(&stage, &host);
    at(&stage, &host, "shop", "room create r.toml").ok();
    let people = |line: &str| stage.run(&format!("gateway {line} --state shop-gateway"));
    people("principal add staff --kind group").ok();
    people("principal add alice@shop.example --in staff").ok();
    people("principal add alice@shop.example").refused_in_words("exists already");
    people("grant staff BROWSE").ok();
    let token = people("token new alice@shop.example --json").ok().json();
    let (id, token) = (&token["info"]["id"], token["token"].as_str().expect("a token").to_owned());
    let listed = people("token list --json").ok();
    assert!(!listed.stdout.contains(&token), "tokens are told once: {listed}");

    let gateway = Served::gateway(&stage, &host, "shop");
    let client = reqwest::blocking::Client::new();
    let ask = |method: reqwest::Method, path: &str| {
        let request = client.request(method, format!("{}/api/2.0/clean-rooms{path}", gateway.url));
        request.bearer_auth(&token).send().expect("an answer")
    };
    let rooms = ask(reqwest::Method::GET, "");
    assert_eq!(rooms.status(), 200);
    assert!(rooms.text().expect("a body").contains("\"name\":\"r\""));
    assert_eq!(ask(reqwest::Method::DELETE, "/r").status(), 403, "BROWSE deletes nothing");
    let denied = people("audit --json").ok().json();
    assert_eq!(denied[0]["principal"], "alice@shop.example", "{denied:#}");
    people(&format!("token revoke {}", id.as_str().expect("an id"))).ok();
    assert_eq!(ask(reqwest::Method::GET, "").status(), 401, "a revocation holds at once");
    gateway.stop();
    host.stop();
}
