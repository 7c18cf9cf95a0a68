//! Join keys: hashed at home, declared, and refused when they cannot match.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::support::{Done, Stage, guest};

/// `JANESaoirse@gmail.com` by UID2, as published.
const JANE: &str = "ku4mBX7Z3qJTXWyLFB1INzkyR2WZGW4ANSJUiW21iI8=";
/// `+12345678901` by UID2, as published.
const PHONE: &str = "EObwtHBUqDNZR33LNSMdtt5cafsYFuGmuY4ZLenlue4=";

fn text(stage: &Stage, file: &str) -> String {
    std::fs::read_to_string(stage.path(file)).expect(file)
}

fn with_input(stage: &Stage, line: &str, input: &[u8]) -> Done {
    let words: Vec<_> = line.split_whitespace().collect();
    let mut command = stage.command(&words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the glovebox binary");
    // A command that fails early closes the pipe.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    (line.to_owned(), child.wait_with_output().expect("its output")).into()
}

#[test]
fn a_file_is_hashed_in_every_format() {
    let stage = Stage::new();
    stage.write(
        "people.csv",
        "id,email,note\n1,JANE.Saoirse+x@gmail.com,\"a, b\"\n007,,x\n3,no address,\n",
    );
    stage.run("keys hash --profile uid2 --kind email people.csv -o a.csv").ok();
    assert_eq!(text(&stage, "a.csv"), format!("id,email,note\n1,{JANE},\"a, b\"\n007,,x\n3,,\n"));

    let chain = ["a.ndjson", "b.parquet", "c.csv"];
    stage.run("keys hash --profile uid2 --kind email --into key people.csv -o a.ndjson").ok();
    for pair in chain.windows(2) {
        stage
            .run(&format!(
                "keys hash --profile uid2 --kind email --into again_{} {} -o {}",
                &pair[1][..1],
                pair[0],
                pair[1]
            ))
            .ok();
    }
    let expect = format!(
        "id,email,note,key,again_b,again_c\n1,JANE.Saoirse+x@gmail.com,\"a, b\",{JANE},{JANE},{JANE}\n7,,x,,,\n3,no address,,,,\n"
    );
    let columns = |text: &str| {
        let mut lines: Vec<Vec<String>> = text
            .lines()
            .map(|line| line.replace("\"a, b\"", "ab").split(',').map(str::to_owned).collect())
            .collect();
        // NDJSON sorts columns by name.
        let mut order: Vec<_> = (0..lines[0].len()).collect();
        order.sort_by_key(|index| lines[0][*index].clone());
        for line in &mut lines {
            *line = order.iter().map(|index| line[*index].clone()).collect();
        }
        lines
    };
    assert_eq!(columns(&text(&stage, "c.csv")), columns(&expect));
}

#[test]
fn lines_stream_through() {
    let stage = Stage::new();
    let hash = "keys hash --profile uid2 --kind phone";
    let done = with_input(&stage, hash, b"1 (234) 567-8901\n\n(02) 1234 5678\r\n+12345678901").ok();
    assert_eq!(done.stdout, format!("{PHONE}\n\n\n{PHONE}\n"));
    assert!(done.stderr.contains("2 hashed, 1 empty, 1 invalid"), "{done}");
    assert!(done.stderr.contains("no-country-code: 1") && !done.stderr.contains("1234"), "{done}");

    let done = with_input(&stage, &format!("{hash} --json"), b"+12345678901\n");
    assert!(done.code == Some(1) && done.stderr.contains("needs `--output`"), "{done}");
    let done = with_input(&stage, &format!("{hash} -o x.csv"), b"+12345678901\n");
    assert!(done.code == Some(1) && done.stderr.contains("lines make lines"), "{done}");
    let done = with_input(&stage, hash, b"+12345678901\n\xff\xfe\n");
    assert!(done.code == Some(1) && done.stderr.contains("line 2 is not UTF-8"), "{done}");
}

#[test]
fn the_summary_counts_and_shows_no_value() {
    let stage = Stage::new();
    stage.write("people.csv", "email\nsecret-one@example.com\nsecret two\n\"\"\n@secret\n");
    let done =
        stage.run("keys hash --profile meta --kind email people.csv -o out.parquet --json").ok();
    assert!(!format!("{}{}", done.stdout, done.stderr).contains("secret"), "{done}");
    let summary = done.json();
    assert_eq!(summary["profile"], "meta/1");
    assert_eq!(
        (&summary["hashed"], &summary["empty"], &summary["invalid"]),
        (&1.into(), &1.into(), &2.into())
    );
    assert_eq!(summary["invalid_because"]["not-an-address"], 2);
    assert_eq!(summary["table_add_option"], "--join-key email=meta/1:email");
}

#[test]
fn what_would_match_nothing_is_refused_and_leaves_no_file() {
    let stage = Stage::new();
    stage.write("people.csv", "email,name\njane@example.com,Jane\n");
    stage.write("hashed.csv", format!("email\n{JANE}\n{JANE}\n"));
    stage.write("people.xlsx", "");
    let check = |arguments: &str, words: &str| {
        let done = stage.run(&format!("keys hash --profile uid2 --kind {arguments} -o out.csv"));
        assert!(done.code == Some(1) && done.stderr.contains(words), "expected {words}: {done}");
        assert!(!done.stderr.contains("jane@") && !done.stderr.contains(JANE), "{done}");
        assert!(!stage.path("out.csv").exists(), "{done}");
    };
    check("email hashed.csv", "none of 2 values makes a key of kind email by uid2/1");
    check("device-id --column email people.csv", "none of 1 values");
    check("email --column mail people.csv", "no column `mail`; `--column` is one of email, name");
    check("phone people.csv", "no column `phone`");
    check("email --into name people.csv", "a column `name` already");
    check("email missing.csv", "cannot read missing.csv");
    check("email people.xlsx", "cannot be told by its ending");
    stage.write("empty.csv", "");
    check("email empty.csv", "there are no columns");
    stage.write("ragged.csv", "email,name\njane@example.com\n");
    check("email ragged.csv", "does not have the columns of the header");
    stage.write("array.json", "[{\"email\": \"jane@example.com\"}]\n");
    check("email array.json", "is no JSON object");
    stage.write("list.ndjson", "{\"email\": [\"jane@example.com\"]}\n");
    check("email list.ndjson", "a value of another type");
    stage.write("broken.parquet", "PAR1 jane@example.com PAR1");
    check("email broken.parquet", "cannot read broken.parquet");
    check("email --key people.csv people.csv", "people.csv is not usable");
    assert_eq!(stage.run("keys hash --profile uid9 --kind email people.csv").code, Some(2));
    assert_eq!(stage.run("keys hash --profile uid2 --kind mail people.csv").code, Some(2));
}

#[test]
fn a_room_key_is_made_once_and_for_its_owner_only() {
    let stage = Stage::new();
    let made = stage.run("keys new room.key-file").ok().stdout;
    let mode =
        std::fs::metadata(stage.path("room.key-file")).expect("the key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(stage.run("keys new room.key-file").code, Some(1));
    assert_eq!(stage.run("keys fingerprint room.key-file").ok().stdout, made);
    let file = text(&stage, "room.key-file");
    let digest = glovebox_contract::digest::Blake3Digest::of(file.as_bytes());
    assert_eq!(made.trim(), digest.to_string());
    // A party's key is another thing.
    stage.key("party");
    assert_eq!(stage.run("keys fingerprint party.key").code, Some(1));
    assert_eq!(stage.run("key show room.key-file").code, Some(1));

    stage.run("keys new other.key-file").ok();
    stage.write("people.csv", "email\njane@example.com\n");
    let hashed = |key: &str| {
        stage.run(&format!("keys hash --profile uid2 --kind email {key} people.csv -o k.csv")).ok();
        text(&stage, "k.csv")
    };
    let (one, other, bare) =
        (hashed("--key room.key-file"), hashed("--key other.key-file"), hashed(""));
    assert!(one != other && one != bare && one == hashed("--key room.key-file"));
}

#[test]
fn a_file_larger_than_memory_streams_through() {
    let stage = Stage::new();
    let mut file = std::io::BufWriter::new(
        std::fs::File::create(stage.path("people.csv")).expect("a file of the stage"),
    );
    let padding = "x".repeat(230);
    writeln!(file, "email,padding").expect("a header");
    for person in 0..200_000 {
        writeln!(file, "person.{person}@example.com,{padding}").expect("a row");
    }
    drop(file);
    let size = std::fs::metadata(stage.path("people.csv")).expect("the file").len();
    assert!(size > 48 << 20, "{size} bytes");
    // 32 MiB for everything that the process allocates.
    let hash = "keys hash --profile uid2 --kind email people.csv -o out.csv";
    let output = std::process::Command::new("sh")
        .args(["-c", &format!("ulimit -d 32768 && exec \"$0\" {hash}")])
        .arg(env!("CARGO_BIN_EXE_glovebox"))
        .current_dir(stage.path(""))
        .output()
        .expect("a shell");
    let done = Done::from((hash.to_owned(), output)).ok();
    assert!(done.stdout.contains("200000 hashed, 0 empty, 0 invalid"), "{done}");
}

const OVERLAP: &str = r#"/* glovebox notebook
name = "overlap"
version = "1.0.0"
description = "How many people both know."
[inputs."brand.customers"]
columns = { email = "utf8" }
[inputs."shop.members"]
columns = { mail = "utf8" }
[outputs.overlap]
max_rows = 1
columns = ["people int64 not null"]
*/
CREATE TABLE output.overlap AS
SELECT count(*) AS people FROM brand.customers AS c JOIN shop.members AS m ON m.mail = c.email;
"#;

/// A room with a brand's customers, hashed by UID2 with a room key, and a notebook.
fn brand_and_shop() -> Stage {
    let stage = Stage::new();
    stage.room("overlap", &["brand", "shop"], "");
    stage.write("customers.csv", "email\na.b@gmail.com\nC@example.com\nd@example.com\nbroken\n");
    stage.write(
        "members.csv",
        "mail,age\n AB+shop@GMAIL.com ,30\nc@example.com,40\ne@example.com,50\nbroken,1\n",
    );
    stage.write("overlap.sql", OVERLAP);
    stage.run("build overlap.sql -o overlap.wasm").ok();
    stage.run("keys new room.key-file").ok();
    stage
        .run("keys hash --profile uid2 --kind email --key room.key-file customers.csv -o c.parquet")
        .ok();
    stage
        .run("table add overlap brand.customers --from c.parquet --join-key email=uid2:email:room.key-file --as brand.key")
        .ok();
    stage
}

fn offer_members(stage: &Stage, profile: &str, key: &str) {
    let key_option = if key.is_empty() { String::new() } else { format!("--key {key}") };
    let declared = if key.is_empty() { String::new() } else { format!(":{key}") };
    stage
        .run(&format!("keys hash --profile {profile} --kind email --column mail {key_option} members.csv -o m.parquet"))
        .ok();
    stage
        .run(&format!("table add overlap shop.members --from m.parquet --join-key mail={profile}:email{declared} --as shop.key"))
        .ok();
}

#[test]
fn parties_that_hash_differently_hear_of_it_before_a_run() {
    let stage = brand_and_shop();
    stage.run("keys new stale.key-file").ok();
    for (profile, key) in [("meta", "room.key-file"), ("uid2", "stale.key-file"), ("uid2", "")] {
        offer_members(&stage, profile, key);
        stage
            .run("notebook add overlap overlap.wasm --runner brand --as brand.key")
            .refused("join-key-mismatch");
    }
}

#[test]
fn a_table_that_is_hashed_anew_takes_the_notebook_out_of_service() {
    let stage = brand_and_shop();
    offer_members(&stage, "uid2", "room.key-file");
    stage.run("notebook add overlap overlap.wasm --runner brand --as brand.key").ok();
    let digest = stage.revision("overlap", "overlap");
    stage.run(&format!("review overlap overlap --approve {digest} --as shop.key")).ok();
    stage.run("run overlap overlap --as brand.key").ok();
    offer_members(&stage, "meta", "");
    let done = stage.run("run overlap overlap --as brand.key");
    assert_eq!(done.code, Some(1), "{done}");
    let shown = stage.run("room show overlap").ok().stdout;
    assert!(shown.contains("keys would not match"), "{shown}");
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory)
        .expect("a directory of the host")
        .map(|entry| entry.expect("an entry").path())
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect()
}

#[test]
fn parties_that_agree_see_their_overlap_and_the_host_never_has_their_key() {
    let stage = brand_and_shop();
    offer_members(&stage, "uid2", "room.key-file");
    let shown = stage.run("room show overlap").ok().stdout;
    let fingerprint = stage.run("keys fingerprint room.key-file").ok().stdout;
    let declared = format!("mail: email keys of uid2/1 with room key {}", fingerprint.trim());
    assert!(shown.contains(&declared), "{shown}");
    let key = text(&stage, "room.key-file");
    let secret = key.trim().rsplit(':').next().expect("the key's digits");
    stage.run("notebook add overlap overlap.wasm --runner brand --as brand.key").ok();
    let digest = stage.revision("overlap", "overlap");
    stage.run(&format!("review overlap overlap --approve {digest} --as shop.key")).ok();
    stage.run("run overlap overlap --as brand.key").ok();
    let rows = stage.run("output show overlap latest --as brand.key --json").ok().stdout;
    let rows: serde_json::Value = serde_json::from_str(&rows).expect("JSON");
    assert!(rows.to_string().contains("{\"people\":2}"), "{rows}");
    let log = stage.run("log overlap --json").ok().stdout;
    assert!(!log.contains(secret) && !shown.contains(secret));
    let files = files_below(&stage.path(".glovebox"));
    assert!(files.len() > 3, "{files:?}");
    for file in files {
        let bytes = std::fs::read(&file).expect("a file of the host");
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "the room key is in {}", file.display());
    }
}

#[test]
fn a_declaration_must_be_of_an_offered_column_of_text() {
    let stage = brand_and_shop();
    let check = |option: &str, words: &str| {
        let done = stage.run(&format!(
            "table add overlap shop.members --from members.csv --columns mail,age {option} --as shop.key"
        ));
        assert!(done.code == Some(1) && done.stderr.contains(words), "expected {words}: {done}");
    };
    check("--join-key email=uid2:email", "column `email`, which is not offered");
    check("--join-key age=uid2:phone", "column `age`, which is int64");
    check("--join-key mail=uid2:email --join-key mail=meta:email", "says twice");
    check("--join-key mail=uid2:email:missing.key-file", "cannot read the room key");
    let wrong = stage.run(
        "table add overlap shop.members --from members.csv --join-key mail=uid2 --as shop.key",
    );
    assert_eq!(wrong.code, Some(2), "{wrong}");
}

const VECTORS: &str = include_str!("../../policies/join-keys/vectors.txt");

const HASHED_IN_SQL: &str = r#"/* glovebox notebook
name = "hashed-in-sql"
version = "1.0.0"
description = "Every vector through the library."
libraries.join_keys = {}
[inputs."party.vectors"]
columns = { number = "int64", profile = "utf8", kind = "utf8", input = "utf8" }
[outputs.keys]
max_rows = 1000
columns = ["number int64 not null", "key utf8", "same boolean"]
*/
CREATE TABLE output.keys AS
SELECT
    number,
    join_keys.hash(profile, kind, input) AS key,
    CASE profile || ' ' || kind
        WHEN 'uid2/1 email' THEN join_keys.uid2_email(input)
        WHEN 'uid2/1 phone' THEN join_keys.uid2_phone(input)
        WHEN 'google/2 email' THEN join_keys.google_email(input)
        WHEN 'google/2 phone' THEN join_keys.google_phone(input)
        WHEN 'google/2 device-id' THEN join_keys.google_device_id(input)
        WHEN 'meta/1 email' THEN join_keys.meta_email(input)
        WHEN 'meta/1 phone' THEN join_keys.meta_phone(input)
        WHEN 'meta/1 device-id' THEN join_keys.meta_device_id(input)
        ELSE join_keys.hash(profile, kind, input)
    END IS NOT DISTINCT FROM join_keys.hash(profile, kind, input) AS same
FROM party.vectors
ORDER BY number;
"#;

#[test]
fn the_library_gives_every_vector_in_sql() {
    let (mut rows, mut expect) = (String::new(), Vec::new());
    let lines = VECTORS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with("keyed"));
    for (number, line) in lines.enumerate() {
        let fields: Vec<_> = line.split('|').map(str::trim).collect();
        let (profile, kind) = fields[0].split_once(' ').expect("a profile and a kind");
        let kind = kind.trim();
        rows += &format!(
            "{{\"number\":{number},\"profile\":\"{profile}\",\"kind\":\"{kind}\",\"input\":{}}}\n",
            fields[1]
        );
        let key = (fields[2] != "refused").then_some(fields[3]);
        expect.push(serde_json::json!({ "number": number, "key": key, "same": true }));
    }
    let stage = Stage::new();
    stage.room("vectors", &["party"], "");
    stage.write("vectors.ndjson", rows);
    stage.write("hashed.sql", HASHED_IN_SQL);
    std::fs::copy(guest("guest-sdk/join-keys/library"), stage.path("library.wasm"))
        .expect("the library");
    stage.run("table add vectors party.vectors --from vectors.ndjson --as party.key").ok();
    stage.run("library add vectors library.wasm --as party.key").ok();
    stage.run("build hashed.sql -o hashed.wasm").ok();
    stage.run("notebook add vectors hashed.wasm --runner party --as party.key").ok();
    stage.run("run vectors hashed-in-sql --as party.key").ok();
    stage.run("output export vectors latest keys -o keys.ndjson --as party.key").ok();
    let got: Vec<serde_json::Value> = text(&stage, "keys.ndjson")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a row"))
        .collect();
    assert!(expect.len() > 100, "only {} vectors", expect.len());
    assert_eq!(got, expect);
}
