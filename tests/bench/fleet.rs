//! A fleet: rooms for many customers on one host, and a notebook for all of them.
//!
//! `cargo bench --bench fleet [-- ROOMS]` (default 200). The host, the owner of the fleet and this
//! program share the machine. Every room is created, accepted by its customer, and gets two versions
//! of a notebook: one with eight rooms at a time, one with one room after the other.

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod support;

#[path = "../support/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use glovebox_api::wire::{TableFiles, UploadedFile};
use glovebox_client::{Client, Options, RemoteRoom};
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::key::PrivateKey;
use glovebox_contract::statement::{AssetStatement, Body, TableAsset};
use server::Server;
use support::Stage;

fn main() {
    let rooms: usize = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(200);
    let stage = Stage::new();
    let vendor = stage.key("vendor");
    let server = Server::start(&stage);
    let customers: Vec<_> = (0..rooms).map(Customer::new).collect();
    write_registry(&stage, &server, &customers);
    write_template(&stage, &vendor);
    println!("{rooms} rooms on one host");
    let fleet = Fleet { stage: &stage, rooms };
    fleet.time("create the rooms, 8 at a time", "create room.toml");
    come_in(&stage, &server, &customers);
    for version in ["1.0.0", "1.1.0"] {
        let notebook = NOTEBOOK.replace("VERSION", version);
        stage.write(&format!("{version}.sql"), notebook);
        stage.run(&format!("build {version}.sql -o {version}.wasm")).ok();
    }
    let together = fleet.time("publish 1.0.0, 8 rooms at a time", "publish 1.0.0.wasm");
    let alone = fleet.time("publish 1.1.0, one after another", "publish 1.1.0.wasm --parallel 1");
    fleet.time("publish 1.1.0 again: all have it", "publish 1.1.0.wasm");
    fleet.time("status of all", "status");
    println!(
        "8 at a time ÷ one after another  {:.3}",
        together.as_secs_f64() / alone.as_secs_f64()
    );
}

struct Customer {
    name: String,
    key: PrivateKey,
}

impl Customer {
    fn new(number: usize) -> Self {
        let name = format!("c{number:04}");
        Self { key: PrivateKey::from_seed(Blake3Digest::of(name.as_bytes()).as_bytes()), name }
    }
}

struct Fleet<'a> {
    stage: &'a Stage,
    rooms: usize,
}

impl Fleet<'_> {
    /// Runs a command of the fleet's owner, with the home of a party and not the host's.
    fn time(&self, what: &str, command: &str) -> Duration {
        let line = format!("fleet {command} --as vendor.key --json --home owner");
        let started = Instant::now();
        let done = self.stage.run(&line).ok();
        let time = started.elapsed();
        let said = done.json();
        assert_eq!(said["failed"], 0, "{done}");
        assert_eq!(said["rooms"].as_array().map(Vec::len), Some(self.rooms), "{done}");
        let each = time.as_secs_f64() * 1000.0 / self.rooms as f64;
        println!("{what:34} {:8.2} s   {each:7.1} ms a room", time.as_secs_f64());
        time
    }
}

fn write_registry(stage: &Stage, server: &Server, customers: &[Customer]) {
    let mut text =
        format!("[defaults]\nhost = \"{}\"\nrunners = [\"${{customer}}\"]\n", server.url);
    text += "bind = { \"shop.sales\" = \"${customer}.sales\" }\n";
    for Customer { name, key } in customers {
        let key = key.public();
        let _ = write!(text, "[[customers]]\nname = \"{name}\"\nvalues = {{ key = \"{key}\" }}\n");
    }
    stage.write("fleet.toml", text);
}

fn write_template(stage: &Stage, vendor: &str) {
    let mut text = "name = \"sales-${customer}\"\nregion = \"bench\"\n".to_owned();
    for (alias, key) in [("vendor", vendor), ("${customer}", "${key}")] {
        let _ = write!(
            text,
            "[[collaborators]]\nalias = \"{alias}\"\norganisation = \"{alias}\"\npublic_key = \"{key}\"\n"
        );
    }
    stage.write("room.toml", text);
}

/// All customers accept their rooms and offer a table.
fn come_in(stage: &Stage, server: &Server, customers: &[Customer]) {
    let client = Client::connect(&server.url, &Options::new(stage.path("customers")));
    let client = client.expect("the host");
    let started = Instant::now();
    for customer in customers {
        let session = client.party(customer.key.clone());
        let mut room = session.room(&format!("sales-{}", customer.name)).expect("its room");
        room.submit_with(|_| Ok(Body::Accept)).expect("an acceptance");
        offer_table(&mut room, &customer.name);
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("(the customers accept and offer a table each in {seconds:.2} s)");
}

fn offer_table(room: &mut RemoteRoom, customer: &str) {
    let file = room.session().upload_bytes(b"amount\n1\n2\n").expect("an upload");
    let file = UploadedFile { digest: file, name: "sales.csv".into() };
    let files = TableFiles { files: vec![file], ..TableFiles::default() };
    let table = TableAsset {
        columns: room.describe(&files).expect("columns").columns,
        description: String::new(),
        join_keys: BTreeMap::new(),
        name: format!("{customer}.sales").parse().expect("a name"),
        output: None,
        view: None,
    };
    let body = Body::Asset(AssetStatement::Table(table));
    room.add_table_with(&files, |_| Ok(body.clone())).expect("a table");
}

const NOTEBOOK: &str = r#"/* glovebox notebook
name = "total"
version = "VERSION"
[inputs."shop.sales"]
columns = { amount = "int64" }
[outputs.total]
columns = [ { name = "sold", type = "int64" } ]
*/
CREATE TABLE output.total AS SELECT sum(amount) AS sold FROM shop.sales;
"#;
