use glovebox_contract::digest::Blake3Digest;

use super::*;

const FLEET: &str = r#"
[defaults]
host = "https://rooms.example"
runners = ["${customer}"]
[defaults.bind]
"shop.sales" = "${customer}.sales"
"shop.sales.total" = "amount"

[[customers]]            # the first
name = "acme"            # in lower case
[[customers]]
name = "best.buy"
runners = ["${alias}", "auditor"]
bind = { "shop.sales" = "${alias}.orders" }
values = { alias = "best_buy" }
host = "https://other.example"
"#;

fn room(seed: &str) -> RoomId {
    RoomId(Blake3Digest::of(seed.as_bytes()))
}

fn name(text: &str) -> AssetName {
    text.parse().unwrap()
}

fn stored(text: &str) -> (tempfile::TempDir, Registry) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fleet.toml");
    std::fs::write(&path, text).unwrap();
    let registry = Registry::read(&path).unwrap();
    (directory, registry)
}

#[test]
fn customers_have_what_they_say_and_else_the_defaults() {
    let customers = parse(FLEET).unwrap();
    let [acme, best] = customers.as_slice() else { panic!("{customers:?}") };
    let said = |customer: &Customer| {
        let runners: Vec<_> = customer.runners.iter().map(ToString::to_string).collect();
        let binding = &customer.bindings[&"shop.sales".parse().unwrap()];
        format!(
            "{} {} {} {}",
            customer.host.as_deref().unwrap(),
            runners.join(" "),
            binding.table,
            binding.columns["total"]
        )
    };
    assert_eq!(said(acme), "https://rooms.example acme acme.sales amount");
    assert_eq!(said(best), "https://other.example auditor best_buy best_buy.orders amount");
    assert_eq!(acme.fill("room-${customer}").unwrap(), "room-acme");
    assert_eq!(parse("").unwrap(), []);
    assert_eq!(parse(TEMPLATE).unwrap(), []);
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let check = |text: &str, expect: &str| {
        let why = parse(text).unwrap_err();
        assert!(why.contains(expect), "{text}: {why}");
    };
    let id = room("a");
    check("[[customers]]\nname = \"a\"\n[[customers]]\nname = \"a\"\n", "two customers a");
    check(
        &format!(
            "[[customers]]\nname = \"a\"\nroom = \"{id}\"\n[[customers]]\nname = \"b\"\nroom = \"{id}\"\n"
        ),
        "a and b have the same room",
    );
    check("[[customers]]\nname = \"A\"\n", "`A` is not a name");
    check("[[customers]]\nname = \"a\"\nrooms = 1\n", "unknown field `rooms`");
    check("[[customers]]\nname = \"a\"\nroom = \"lab\"\n", "lab");
    check("[[customers]]\nname = \"a\"\nrunners = [\"${x}\"]\n", "no value for `${x}`");
    check("[[customers]]\nname = \"a\"\nrunners = [\"${x\"]\n", "has no `}`");
    check("[[customers]]\nname = \"a-b\"\nrunners = [\"${customer}\"]\n", "not an alias");
    check("[[customers]]\nname = \"a\"\nbind = { sales = \"a.sales\" }\n", "bind of a");
    check("[[customers]]\nname = \"a\"\nbind = { \"s.t\" = \"sales\" }\n", "bind of a");
    // A value must not get out of the quotes around its placeholder.
    for value in ["x\\\" y", "x\\n", "x\\\\", "x'"] {
        let text = format!(
            "[[customers]]\nname = \"a\"\nrunners = [\"${{x}}\"]\nvalues = {{ x = \"{value}\" }}\n"
        );
        check(&text, "has quotes");
    }
}

#[test]
fn a_room_is_written_below_its_customer_and_nothing_else_changes() {
    let (_directory, mut registry) = stored(FLEET);
    registry.record_room(&name("acme"), &room("a")).unwrap();
    let line = format!("room = \"{}\"\n", room("a"));
    let after = std::fs::read_to_string(registry.path()).unwrap();
    assert_eq!(after.replacen(&line, "", 1), FLEET);
    assert!(after.contains(&format!("# in lower case\n{line}")), "{after}");
    assert_eq!(registry.customers()[0].room, Some(room("a")));
    // The same again changes nothing, another room is refused.
    registry.record_room(&name("acme"), &room("a")).unwrap();
    assert_eq!(std::fs::read_to_string(registry.path()).unwrap(), after);
    let error = registry.record_room(&name("acme"), &room("b")).unwrap_err().to_string();
    assert!(error.contains("another room"), "{error}");
    assert!(registry.record_room(&name("nobody"), &room("b")).is_err());
}

#[test]
fn an_entry_without_a_line_of_its_own_is_left_alone() {
    let text = "customers = [{ name = \"acme\" }, { name = \"b\" }]\n";
    let (_directory, mut registry) = stored(text);
    let error = registry.record_room(&name("acme"), &room("a")).unwrap_err().to_string();
    assert!(error.contains("by hand"), "{error}");
    assert_eq!(std::fs::read_to_string(registry.path()).unwrap(), text);
}

#[test]
fn a_customer_that_is_added_reads_as_it_was_said() {
    let (_directory, mut registry) = stored(FLEET.trim_end());
    let new = NewCustomer {
        name: name("delta"),
        host: Some("https://d.example/\"x\"".into()),
        room: Some(room("d")),
        runners: vec!["vendor".parse().unwrap()],
        bind: BTreeMap::from([("shop.sales".into(), "delta.sales".into())]),
        values: BTreeMap::from([("key".into(), "k = 1".into())]),
    };
    registry.add(&new).unwrap();
    let read = Registry::read(registry.path()).unwrap();
    let found = read.chosen(&[name("delta")]).unwrap()[0].clone();
    assert_eq!((found.host, found.room), (new.host.clone(), new.room));
    assert_eq!(found.values, new.values);
    assert_eq!(found.bindings[&"shop.sales".parse().unwrap()].table.as_str(), "delta.sales");
    assert!(registry.add(&new).unwrap_err().to_string().contains("two customers delta"));
    assert!(read.chosen(&[name("nobody")]).is_err());
    assert_eq!(read.chosen(&[]).unwrap().len(), 3);
}

#[test]
fn a_new_registry_is_one_and_replaces_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fleet.toml");
    Registry::init(&path, Some("https://h.example")).unwrap();
    let mut registry = Registry::read(&path).unwrap();
    let new = NewCustomer {
        name: name("a"),
        host: None,
        room: None,
        runners: Vec::new(),
        bind: BTreeMap::new(),
        values: BTreeMap::new(),
    };
    registry.add(&new).unwrap();
    assert_eq!(registry.customers()[0].host.as_deref(), Some("https://h.example"));
    assert_eq!(registry.customers()[0].runners.len(), 1);
    assert!(Registry::init(&path, None).is_err());
}
