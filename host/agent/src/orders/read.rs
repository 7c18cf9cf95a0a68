//! The file, as it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use glovebox_contract::name::{AssetName, Identifier};
use serde::Deserialize;

use super::alert as endpoint;
use super::values::{Template, text_of};
use super::{Alert, CatchUp, MAX_ENTRIES, Order, Orders, Overlap, Timing, Trigger};
use crate::error::{AgentError, Result};
use crate::event::EventKind;
use crate::files;
use crate::secret::{TokenDigest, WebhookSecret};

/// More than a token or a secret has.
const MAX_SECRET_BYTES: u64 = 4096;

/// Most attempts after the first.
const MAX_RETRIES: u32 = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    orders: Vec<OrderEntry>,
    #[serde(default)]
    triggers: Vec<TriggerEntry>,
    #[serde(default)]
    alerts: Vec<AlertEntry>,
    #[serde(default)]
    watch: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderEntry {
    name: AssetName,
    room: String,
    notebook: AssetName,
    cron: Option<String>,
    zone: Option<String>,
    #[serde(default)]
    after: BTreeSet<AssetName>,
    #[serde(default)]
    parameters: BTreeMap<Identifier, toml::Value>,
    #[serde(default)]
    overlap: Overlap,
    #[serde(default)]
    catch_up: CatchUp,
    #[serde(default = "three")]
    retries: u32,
    pause: Option<String>,
    give_up: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TriggerEntry {
    name: AssetName,
    order: AssetName,
    token_sha256: Option<String>,
    token_file: Option<PathBuf>,
    #[serde(default)]
    accepts: BTreeSet<Identifier>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AlertEntry {
    name: AssetName,
    url: String,
    secret_file: PathBuf,
    on: BTreeSet<EventKind>,
    #[serde(default)]
    rooms: BTreeSet<String>,
    silence: Option<String>,
    #[serde(default)]
    expected_rules: BTreeSet<AssetName>,
    #[serde(default)]
    plain_http: bool,
}

fn three() -> u32 {
    3
}

pub(super) fn read(text: &str, directory: &Path) -> Result<Orders> {
    let file: File = toml::from_str(text).map_err(|error| {
        AgentError::orders("standing orders", error.to_string().trim().to_owned())
    })?;
    for (what, count) in [
        ("orders", file.orders.len()),
        ("triggers", file.triggers.len()),
        ("alerts", file.alerts.len()),
    ] {
        if count > MAX_ENTRIES {
            return Err(AgentError::orders(what, format!("there are more than {MAX_ENTRIES}")));
        }
    }
    let orders = file.orders.into_iter().map(|entry| (entry.name.clone(), order(entry)));
    let triggers =
        file.triggers.into_iter().map(|entry| (entry.name.clone(), trigger(entry, directory)));
    let alerts = file.alerts.into_iter().map(|entry| (entry.name.clone(), alert(entry, directory)));
    Ok(Orders {
        orders: by_name("order", orders)?,
        triggers: by_name("trigger", triggers)?,
        alerts: by_name("alert", alerts)?,
        watch: file.watch,
    })
}

/// The entries by name, each once. What is wrong with one is said with its name.
fn by_name<T>(
    what: &str,
    entries: impl Iterator<Item = (AssetName, Result<T, String>)>,
) -> Result<BTreeMap<AssetName, T>> {
    let mut named = BTreeMap::new();
    for (name, entry) in entries {
        let at = || format!("{what} `{name}`");
        let entry = entry.map_err(|why| AgentError::orders(at(), why))?;
        if named.contains_key(&name) {
            return Err(AgentError::orders(at(), "there are two of this name"));
        }
        named.insert(name, entry);
    }
    Ok(named)
}

fn order(entry: OrderEntry) -> Result<Order, String> {
    let timing = match (&entry.cron, &entry.zone) {
        (Some(cron), zone) => Some(Timing::parse(cron, zone.as_deref().unwrap_or("UTC"))?),
        (None, Some(_)) => return Err("`zone` goes with `cron`".into()),
        (None, None) => None,
    };
    if timing.is_some() && !entry.after.is_empty() {
        return Err("it goes by `cron` or comes `after` others, not both".into());
    }
    if entry.retries > MAX_RETRIES {
        return Err(format!("`retries` is at most {MAX_RETRIES}"));
    }
    let parameter = |(name, value): (Identifier, toml::Value)| {
        let template = text_of(&value).and_then(|text| Template::parse(&text));
        let template = template.map_err(|why| format!("parameter `{name}`: {why}"))?;
        Ok((name, template))
    };
    Ok(Order {
        timing,
        after: entry.after,
        catch_up: entry.catch_up,
        give_up_seconds: span(entry.give_up.as_deref().unwrap_or("1d"))?,
        name: entry.name,
        notebook: entry.notebook,
        overlap: entry.overlap,
        parameters: entry.parameters.into_iter().map(parameter).collect::<Result<_, String>>()?,
        pause_seconds: span(entry.pause.as_deref().unwrap_or("30s"))?,
        retries: entry.retries,
        room: entry.room,
    })
}

fn trigger(entry: TriggerEntry, directory: &Path) -> Result<Trigger, String> {
    let token = match (entry.token_sha256, entry.token_file) {
        (Some(digest), None) => TokenDigest::from_hex(&digest)
            .ok_or_else(|| "`token_sha256` has 64 hex digits".to_owned())?,
        (None, Some(file)) => {
            let token = secret_in(&directory.join(file), "token")?;
            if token.len() < 16 {
                return Err("the token is shorter than 16 characters".into());
            }
            TokenDigest::of(&token)
        }
        _ => return Err("it has `token_sha256` or `token_file`".into()),
    };
    Ok(Trigger { name: entry.name, order: entry.order, accepts: entry.accepts, token })
}

fn alert(entry: AlertEntry, directory: &Path) -> Result<Alert, String> {
    if entry.on.is_empty() {
        return Err("`on` names no events".into());
    }
    let silence_seconds = entry.silence.as_deref().map(span).transpose()?;
    if entry.on.contains(&EventKind::RoomSilent) != silence_seconds.is_some() {
        return Err("`silence` goes with the event `room.silent`".into());
    }
    let secret = secret_in(&directory.join(&entry.secret_file), "secret")?;
    Ok(Alert {
        expected_rules: entry.expected_rules,
        name: entry.name,
        on: entry.on,
        rooms: entry.rooms,
        secret: WebhookSecret::parse(&secret)?,
        silence_seconds,
        url: endpoint::parse_url(&entry.url, entry.plain_http)?,
    })
}

fn secret_in(path: &Path, what: &str) -> Result<String, String> {
    files::read_secret(path, MAX_SECRET_BYTES)
        .map_err(|error| format!("cannot read the {what} in `{}`: {error}", path.display()))
}

/// A span of time: a number and a unit, as in `90s`, `15m`, `12h`, `30d`, `2w`.
fn span(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{}` is not a span of time such as `30s` or `2h`", text.escape_debug());
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return Err(wrong()),
    };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
    number.checked_mul(seconds).filter(|seconds| *seconds > 0).ok_or_else(wrong)
}
