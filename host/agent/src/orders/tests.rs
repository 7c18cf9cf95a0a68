use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::event::EventKind;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n";

/// A directory with a secret that is the agent's alone, and one that anybody may read.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, mode) in [("own.secret", 0o600), ("shared.secret", 0o644)] {
        let path = directory.path().join(name);
        std::fs::write(&path, SECRET).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    directory
}

const ORDER: &str = r#"
[[orders]]
name = "nightly"
room = "delays"
notebook = "delay-by-wind"
cron = "0 3 * * *"
zone = "+01:00"
parameters = { day = "${scheduled_date-1}", least = 20, first = 2013-01-31 }
overlap = "queue"
catch_up = "last"
retries = 5
pause = "1m"
"#;

const ALERT: &str = r#"
[[alerts]]
name = "operations"
url = "https://alerts.airline.example/in"
secret_file = "own.secret"
on = ["run.failed", "room.silent"]
silence = "3d"
expected_rules = ["trusted"]
"#;

fn follower(name: &str, after: &str) -> String {
    format!(
        "[[orders]]\nname = \"{name}\"\nroom = \"reports\"\nnotebook = \"report\"\n\
         after = [\"{after}\"]\n"
    )
}

#[test]
fn orders_say_what_to_run_and_whom_to_tell() {
    let directory = directory();
    let token = "ab".repeat(32);
    let text = format!(
        "watch = [\"audited\"]\n{ORDER}{}{ALERT}\n[[triggers]]\nname = \"flights\"\norder = \
         \"nightly\"\ntoken_sha256 = \"{token}\"\naccepts = [\"day\"]\n",
        follower("report", "nightly")
    );
    let orders = Orders::parse(&text, directory.path()).unwrap();
    let nightly = &orders.orders[&"nightly".parse().unwrap()];
    assert_eq!((nightly.overlap, nightly.catch_up), (Overlap::Queue, CatchUp::Last));
    assert_eq!((nightly.retries, nightly.pause_seconds, nightly.give_up_seconds), (5, 60, 86_400));
    assert_eq!(nightly.next(1_357_862_400, 2), [1_357_869_600, 1_357_956_000]);
    let filled = fill(&nightly.parameters, &BTreeMap::new(), 1_357_869_600, nightly.zone());
    let filled: Vec<_> = filled.iter().map(|(name, text)| format!("{name}={text}")).collect();
    assert_eq!(filled, ["day=2013-01-10", "first=2013-01-31", "least=20"]);
    assert_eq!(orders.rooms().into_iter().collect::<Vec<_>>(), ["audited", "delays", "reports"]);
    let alert = &orders.alerts[&"operations".parse().unwrap()];
    assert_eq!(alert.silence_seconds, Some(3 * 86_400));
    assert_eq!(alert.endpoint(), "https://alerts.airline.example");
}

#[test]
fn the_template_is_one_with_and_without_what_is_switched_off() {
    let directory = directory();
    let orders = Orders::parse(TEMPLATE, directory.path()).unwrap();
    assert_eq!((orders.orders.len(), orders.triggers.len(), orders.alerts.len()), (2, 0, 0));
    let switched_on = |line: &str| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|first: char| !first.is_whitespace()) => {
            format!("{setting}\n")
        }
        _ => format!("{line}\n"),
    };
    let all: String = TEMPLATE.lines().map(switched_on).collect();
    let orders = Orders::parse(&all.replace("operations", "own"), directory.path()).unwrap();
    assert_eq!((orders.orders.len(), orders.triggers.len(), orders.alerts.len()), (2, 1, 1));
    let said: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
    for kind in said.into_iter().filter(|kind| *kind != "test") {
        assert!(TEMPLATE.contains(kind), "{kind} is not explained");
    }
}

#[test]
fn pauses_double_and_have_an_end() {
    let directory = directory();
    let orders = Orders::parse(ORDER, directory.path()).unwrap();
    let nightly = &orders.orders[&"nightly".parse().unwrap()];
    let pauses: Vec<u64> = (1..9).map(|failures| nightly.pause_after(failures)).collect();
    assert_eq!(pauses, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
    assert_eq!(nightly.pause_after(u32::MAX), 3600);
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let directory = directory();
    let check = |text: &str, place: &str, why: &str| {
        let error = Orders::parse(text, directory.path()).unwrap_err().to_string();
        assert!(error.starts_with(place) && error.contains(why), "{text}\n{error}");
    };
    let order = |from: &str, to: &str| ORDER.replace(from, to);
    let nightly = "order `nightly`";
    check("nonsense", "standing orders", "");
    check(&order("retries", "retires"), "standing orders", "retires");
    check(&order("0 3 * * *", "0 25 * * *"), nightly, "cron");
    check(&order("+01:00", "Europe/Berlin"), nightly, "zone");
    check(&order("cron = \"0 3 * * *\"\n", ""), nightly, "`zone` goes with `cron`");
    check(&order("overlap = \"queue\"", "overlap = \"both\""), "standing orders", "both");
    check(&order("scheduled_date-1", "HOME"), nightly, "parameter `day`");
    check(&order("least = 20", "least = [20]"), nightly, "parameter `least`");
    check(&order("retries = 5", "retries = 101"), nightly, "at most");
    check(&order("1m", "0m"), nightly, "span");
    check(&order("1m", "soon"), nightly, "span");
    check(&format!("{ORDER}after = [\"nightly\"]"), nightly, "not both");
    check(&format!("{ORDER}{ORDER}"), nightly, "two of this name");
    check(&follower("a", "a"), "order `a`", "after itself");
    check(&follower("a", "b"), "order `a`", "no order `b`");
    let cycle = format!("{}{}", follower("a", "b"), follower("b", "a"));
    check(&cycle, "order `a`", "wait for it");
    let alert = |from: &str, to: &str| ALERT.replace(from, to);
    let operations = "alert `operations`";
    check(&alert("https", "http"), operations, "plain_http");
    check(&alert("own.secret", "shared.secret"), operations, "others may read");
    check(&alert("own.secret", "no.secret"), operations, "no.secret");
    check(&alert("silence = \"3d\"\n", ""), operations, "silence");
    check(&alert("\"run.failed\", \"room.silent\"", ""), operations, "no events");
    check(&alert("run.failed", "run.succeeded"), "standing orders", "run.succeeded");
    let trigger = "[[triggers]]\nname = \"t\"\norder = \"nightly\"\n";
    check(&format!("{ORDER}{trigger}"), "trigger `t`", "token");
    check(&format!("{ORDER}{trigger}token_sha256 = \"ab\""), "trigger `t`", "64 hex");
    let digest = format!("token_sha256 = \"{}\"", "ab".repeat(32));
    check(&format!("{trigger}{digest}"), "trigger `t`", "no order");
}

#[test]
fn no_secret_is_in_what_is_said_about_orders() {
    let directory = directory();
    let path = directory.path().join("own.secret");
    std::fs::write(&path, "whsec_c2VjcmV0").unwrap();
    let error = Orders::parse(ALERT, directory.path()).unwrap_err().to_string();
    assert!(!error.contains("c2VjcmV0"), "{error}");
    std::fs::write(&path, SECRET).unwrap();
    let shown = format!("{:?}", Orders::parse(ALERT, directory.path()).unwrap());
    assert!(!shown.contains("MfKQ9r8"), "{shown}");
}
