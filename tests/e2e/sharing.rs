//! Recipients and shares, as far as they are statements of a room. What a recipient reads, the host
//! serves over the network.

use std::os::unix::fs::PermissionsExt as _;

use glovebox_contract::digest::Sha256Digest;

use crate::support::Stage;

const NOTEBOOK: &str = r#"/* glovebox notebook
name = "spend.by-segment"
version = "1.0.0"

[inputs."shop.sales"]
columns = { segment = "utf8" }

[outputs.sales]
columns = ["segment utf8", "sales int64"]
mode = "append"
*/
CREATE TABLE output.sales AS
SELECT segment, count(*) AS sales FROM shop.sales GROUP BY segment ORDER BY segment;
"#;

const ENDPOINT: &str = "--endpoint https://host.example/";

/// A room in which partner may run `spend.by-segment` over the sales of shop.
fn stage() -> Stage {
    let stage = Stage::new();
    stage.room("r", &["shop", "partner"], "");
    stage.write("sales.csv", "segment,amount\na,1\nb,2\n");
    stage.write("spend.sql", NOTEBOOK);
    stage.run("table add r shop.sales --from sales.csv --as shop.key").ok();
    stage.run("build spend.sql -o spend.wasm").ok();
    stage.run("rule add r trusted --runner partner --as shop.key").ok();
    stage.run("notebook add r spend.wasm --runner partner --as partner.key").ok();
    stage
}

fn profile(stage: &Stage, file: &str) -> serde_json::Value {
    let text = std::fs::read_to_string(stage.path(file)).expect("the profile");
    serde_json::from_str(&text).expect("a profile")
}

fn token(profile: &serde_json::Value) -> String {
    profile["bearerToken"].as_str().expect("a token").to_owned()
}

#[test]
fn a_recipient_gets_a_profile_and_the_room_its_digest() {
    let stage = stage();
    let made =
        stage.run(&format!("share recipient r acme --expires 30d {ENDPOINT} --as partner.key"));
    let made = made.ok();
    let first = profile(&stage, "acme.share");
    assert_eq!(first["shareCredentialsVersion"], 1);
    let room = stage.run("room show r --json").ok().json()["room"].clone();
    let room = room.as_str().and_then(|id| id.strip_prefix("blake3:")).expect("an id").to_owned();
    assert_eq!(first["endpoint"], format!("https://host.example/delta-sharing/{room}"));
    let mode = stage.path("acme.share").metadata().expect("the profile").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let secret = token(&first);
    assert!(!made.stdout.contains(&secret) && !made.stderr.contains(&secret), "{made}");

    let listed = stage.run("share list r --json").ok().json();
    assert_eq!(listed[0]["recipient"], "acme");
    assert_eq!(listed[0]["owner"], "partner");
    assert_eq!(listed[0]["token_sha256"], Sha256Digest::of(secret.as_bytes()).to_string());
    let log = stage.run("log r --json").ok().stdout;
    assert!(!log.contains(&secret), "the token is nobody's but the recipient's");

    // It is there already; another token replaces it, and the old one has its grace.
    let again = |options: &str| {
        stage.run(&format!(
            "share recipient r acme --expires 30d {options} {ENDPOINT} --as partner.key"
        ))
    };
    assert_eq!(again("").code, Some(1));
    assert_eq!(again("--grace 1d").code, Some(2), "grace is for what is replaced");
    again("--rotate --grace 8d").refused("policy-limit");
    assert_eq!(token(&profile(&stage, "acme.share")), secret, "what is refused changes nothing");
    again("--rotate --grace 1d").ok();
    assert_ne!(token(&profile(&stage, "acme.share")), secret);
    let listed = stage.run("share list r --json").ok().json();
    assert!(listed[0]["previous_until"].is_u64(), "{listed:#}");
    assert!(stage.run("share list r").ok().stdout.contains("the one before"), "in words");
    let other =
        format!("share recipient r other --rotate --expires 1d {ENDPOINT} --as partner.key");
    stage.run(&other).refused("not-found");
    let files = std::fs::read_dir(stage.path(".")).expect("the stage");
    let shares = files.filter(|file| {
        let name = file.as_ref().expect("a file").file_name();
        name.to_string_lossy().starts_with(".tmp") || name.to_string_lossy().ends_with(".share")
    });
    assert_eq!(shares.count(), 1, "nothing is left over");
}

#[test]
fn a_party_shares_what_it_may_read_and_its_own_tables() {
    let stage = stage();
    for party in ["partner", "shop"] {
        let file = format!("-o {party}.share");
        stage
            .run(&format!(
                "share recipient r acme --expires 30d {file} {ENDPOINT} --as {party}.key"
            ))
            .ok();
    }
    let grant = |what: &str, party: &str| {
        stage.run(&format!("share grant r acme s {what} --as {party}.key"))
    };
    // The name of the notebook has a dot: the room knows where it ends.
    grant("--output spend.by-segment", "partner").ok();
    grant("--output spend.by-segment.sales", "partner").ok();
    grant("--output spend.by-segment.sales --until 7d", "partner").ok();
    grant("--output spend.by-segment.other", "partner").refused("not-found");
    grant("--output spend", "partner").refused("not-found");
    grant("--output spend.by-segment", "shop").refused("not-permitted");
    grant("--table shop.sales", "shop").ok();
    grant("--table shop.sales", "partner").refused("not-permitted");
    assert_eq!(grant("", "partner").code, Some(2));
    assert_eq!(grant("--output a --table a.b", "partner").code, Some(2));
    stage.run("share grant r nobody s --table shop.sales --as shop.key").refused("not-found");

    let listed = stage.run("share list r --json").ok().json();
    assert_eq!(listed[0]["grants"].as_array().map(Vec::len), Some(2), "{listed:#}");
    let told = stage.run("room show r").ok().stdout;
    for words in [
        "acme of partner",
        "the outputs of spend.by-segment",
        "acme of shop",
        "s: the table shop.sales",
    ] {
        assert!(told.contains(words), "`{words}` is missing in\n{told}");
    }

    stage.run("share revoke r acme s --as partner.key").ok();
    stage.run("share revoke r acme s --as partner.key").refused("not-found");
    stage.run("share revoke r acme --as partner.key").ok();
    let listed = stage.run("share list r --json").ok().json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed:#}");
    let log = stage.run("log r").ok().stdout;
    assert!(log.contains("revokes the recipient acme"), "{log}");
    stage.run("bundle r -o r.bundle").ok();
    stage.run("verify r.bundle").ok();
}

#[test]
fn a_profile_needs_a_place_to_read_from() {
    let stage = stage();
    let nowhere = stage.run("share recipient r acme --expires 30d --as partner.key");
    assert_eq!(nowhere.code, Some(1), "{nowhere}");
    assert!(nowhere.stderr.contains("--endpoint"), "{nowhere}");
    stage.write("acme.share", "mine");
    let there =
        stage.run(&format!("share recipient r acme --expires 30d {ENDPOINT} --as partner.key"));
    assert_eq!(there.code, Some(1), "{there}");
    assert_eq!(std::fs::read_to_string(stage.path("acme.share")).expect("the file"), "mine");
    assert_eq!(stage.run("share list r --json").ok().json(), serde_json::json!([]));
    let past = format!("share recipient r x --expires 2013-01-01 {ENDPOINT} --as partner.key");
    assert_eq!(stage.run(&past).code, Some(1));
    assert!(!stage.path("x.share").exists(), "what is refused leaves no profile");
}
