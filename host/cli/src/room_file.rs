//! The room file: what a creator writes to set up a room.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use glovebox_contract::key::PublicKey;
use glovebox_contract::limits::Limits;
use glovebox_contract::name::{Alias, AssetName};
use glovebox_contract::statement::{
    Amount, Billing, Collaborator, LogReaders, OutputReaders, OutputSettings, Prices, RoomDocument,
};
use serde::Deserialize;

const STANDARD_LIMITS: &str = include_str!("../../../policies/limits/standard.toml");

/// What `glovebox room template` prints.
pub(crate) const TEMPLATE: &str = r#"# A room file. Every collaborator accepts exactly what stands here.
name = "flights-and-weather"
region = "local"              # where the host keeps and processes the data
# host_key = "ed25519:…"      # optional: no other host than the one with this key
# package_provider = "vendor" # optional: a packaged room. This collaborator alone brings notebooks
                              # and libraries, all hidden; the others run them, and it never sees
                              # what comes out

[[collaborators]]             # you, the creator, are one of them
alias = "airline"             # tables are named after it: airline.flights
organisation = "Gotham Air"
public_key = "ed25519:…"      # printed by `glovebox key show airline.key`

[[collaborators]]
alias = "weather"
organisation = "Weather Agency"
public_key = "ed25519:…"

[outputs]
readers = "runner"            # or "all": every collaborator reads every output
time_to_live_days = 30

[logs]
readers = "author"            # or "runner", or "all": who reads log lines and error texts

# [billing]                   # optional: runs cost something
# currency = "EUR"            # three capital letters
# payer = "airline"           # who pays; without it, whoever asks for the run
# cpu_second = "0.00002"      # prices, each optional: a second of processor time,
# gib_second = "0.000005"     # a second with a GiB of memory,
# gib_in = "0.01"             # a GiB that is read, and
# gib_out = "0.02"            # a GiB of outputs

[limits]                      # optional, each overrides policies/limits/standard.toml
wall_seconds = 600
"#;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoomFile {
    name: AssetName,
    region: String,
    host_key: Option<PublicKey>,
    package_provider: Option<Alias>,
    collaborators: Vec<Collaborator>,
    billing: Option<Bill>,
    #[serde(default)]
    outputs: Outputs,
    #[serde(default)]
    logs: Logs,
    #[serde(default)]
    limits: BTreeMap<String, toml::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Outputs {
    readers: OutputReaders,
    time_to_live_days: u64,
}

impl Default for Outputs {
    fn default() -> Self {
        Self { readers: OutputReaders::Runner, time_to_live_days: 30 }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bill {
    currency: String,
    payer: Option<Alias>,
    #[serde(default)]
    cpu_second: Amount,
    #[serde(default)]
    gib_second: Amount,
    #[serde(default)]
    gib_in: Amount,
    #[serde(default)]
    gib_out: Amount,
}

impl From<Bill> for Billing {
    fn from(bill: Bill) -> Self {
        let Bill { currency, payer, cpu_second, gib_second, gib_in, gib_out } = bill;
        Self { currency, payer, prices: Prices { cpu_second, gib_in, gib_out, gib_second } }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Logs {
    readers: Option<LogReaders>,
}

/// The template of a room file for the host at `url`, which has this key.
pub(crate) fn template_for(url: &str, host_key: &PublicKey) -> String {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    // A JSON text is one of TOML, too.
    let region = format!("region = {}", serde_json::Value::from(host));
    let key = format!("host_key = \"{host_key}\"\n");
    let lines = TEMPLATE.split_inclusive('\n').map(|line| match line {
        line if line.starts_with("region = ") => line.replacen("region = \"local\"", &region, 1),
        line if line.starts_with("# host_key = ") => key.clone(),
        line => line.to_owned(),
    });
    lines.collect()
}

/// Reads a room file into the document that the creator signs.
pub(crate) fn parse(
    text: &str,
    creator: &PublicKey,
    host_key: PublicKey,
    created: u64,
    nonce: String,
) -> Result<RoomDocument> {
    let file: RoomFile = toml::from_str(text)?;
    if file.host_key.is_some_and(|wanted| wanted != host_key) {
        bail!("it is for another host: this one's key is {host_key}");
    }
    let creator = creator_alias(&file.collaborators, creator)?;
    // Of a packaged room nobody but the runner reads anything.
    let log_readers = match file.package_provider {
        Some(_) => LogReaders::Runner,
        None => LogReaders::Author,
    };
    Ok(RoomDocument {
        billing: file.billing.map(Billing::from),
        collaborators: file.collaborators,
        created,
        creator,
        host_key,
        limits: limits(file.limits)?,
        log_readers: file.logs.readers.unwrap_or(log_readers),
        name: file.name,
        nonce,
        outputs: OutputSettings {
            readers: file.outputs.readers,
            time_to_live_days: file.outputs.time_to_live_days,
        },
        package_provider: file.package_provider,
        region: file.region,
    })
}

fn creator_alias(collaborators: &[Collaborator], creator: &PublicKey) -> Result<Alias> {
    match collaborators.iter().find(|collaborator| &collaborator.public_key == creator) {
        Some(collaborator) => Ok(collaborator.alias.clone()),
        None => bail!(
            "none of the collaborators has your public key {creator}; add yourself to the room file"
        ),
    }
}

fn limits(overrides: BTreeMap<String, toml::Value>) -> Result<Limits> {
    let mut table: toml::Table =
        toml::from_str(STANDARD_LIMITS).context("the standard limits are not valid")?;
    table.extend(overrides);
    table.try_into().context("[limits]")
}

#[cfg(test)]
mod tests {
    use glovebox_contract::key::PrivateKey;

    use super::*;

    fn key(seed: u8) -> PublicKey {
        PrivateKey::from_seed(&[seed; 32]).public()
    }

    fn read(top: &str) -> Result<RoomDocument> {
        let mut text = format!("name = \"r\"\nregion = \"here\"\n{top}\n");
        for (alias, seed) in [("vendor", 1), ("shop", 2)] {
            let key = key(seed);
            text += &format!(
                "[[collaborators]]\nalias = \"{alias}\"\norganisation = \"x\"\npublic_key = \"{key}\"\n"
            );
        }
        parse(&text, &key(1), key(9), 1, "0".repeat(32))
    }

    #[test]
    fn a_room_file_may_name_its_host() {
        assert_eq!(read("").unwrap().host_key, key(9));
        assert_eq!(read(&format!("host_key = \"{}\"", key(9))).unwrap().host_key, key(9));
        let error = read(&format!("host_key = \"{}\"", key(8))).unwrap_err().to_string();
        assert!(error.contains("another host"), "{error}");
    }

    #[test]
    fn logs_of_a_packaged_room_are_for_the_runner() {
        let plain = read("").unwrap();
        assert_eq!((plain.package_provider, plain.log_readers), (None, LogReaders::Author));
        let packaged = read("package_provider = \"vendor\"").unwrap();
        assert_eq!(packaged.package_provider.unwrap().as_str(), "vendor");
        assert_eq!(packaged.log_readers, LogReaders::Runner);
        assert!(read("package_providers = \"vendor\"").is_err(), "unknown fields are refused");
    }

    #[test]
    fn a_room_file_may_say_what_runs_cost() {
        assert_eq!(read("").unwrap().billing, None);
        let bill = |lines: &str| {
            let text = format!(
                "name = \"r\"\nregion = \"here\"\n[[collaborators]]\nalias = \"shop\"\n\
                 organisation = \"x\"\npublic_key = \"{}\"\n[billing]\n{lines}",
                key(1)
            );
            parse(&text, &key(1), key(9), 1, "0".repeat(32)).map(|document| document.billing)
        };
        let billing = bill("currency = \"EUR\"\ncpu_second = \"0.50\"\n").unwrap().unwrap();
        assert_eq!((billing.currency.as_str(), billing.payer.as_ref()), ("EUR", None));
        assert_eq!(billing.prices.cpu_second.to_string(), "0.5");
        assert!(billing.prices.gib_in.is_zero());
        let paid = bill("currency = \"EUR\"\npayer = \"shop\"\n").unwrap().unwrap();
        assert_eq!(paid.payer.unwrap().as_str(), "shop");
        for wrong in [
            "",
            "currency = \"EUR\"\ncpu_second = \"-1\"\n",
            "currency = \"EUR\"\ncpu_second = 0.5\n",
            "currency = \"EUR\"\ndisk = \"1\"\n",
        ] {
            assert!(bill(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_template_shows_how_runs_are_billed() {
        let filled = TEMPLATE.replace("ed25519:…", &key(1).to_string());
        let bill =
            ["[billing]", "currency", "payer", "cpu_second", "gib_second", "gib_in", "gib_out"];
        let on = bill.iter().fold(filled, |text, line| text.replace(&format!("# {line}"), line));
        let document = parse(&on, &key(1), key(9), 1, "0".repeat(32)).unwrap();
        let billing = document.billing.unwrap();
        assert_eq!(
            (billing.currency.as_str(), billing.payer.unwrap().as_str()),
            ("EUR", "airline")
        );
        assert_eq!(billing.prices.gib_second.to_string(), "0.000005");
    }

    #[test]
    fn templates_are_room_files() {
        let text = template_for("https://rooms.example.org:8443/", &key(9));
        let filled = text.replace("ed25519:…", &key(1).to_string());
        // Both collaborators have the same key in it, which the document refuses later.
        let document = parse(&filled, &key(1), key(9), 1, "0".repeat(32)).unwrap();
        assert_eq!(document.region, "rooms.example.org:8443");
        assert_eq!(document.host_key, key(9));
        assert!(parse(&filled, &key(1), key(8), 1, "0".repeat(32)).is_err());
        let local = TEMPLATE.replace("ed25519:…", &key(1).to_string());
        assert_eq!(parse(&local, &key(1), key(8), 1, "0".repeat(32)).unwrap().region, "local");
        template_for("http://\"\n:1", &key(9)).parse::<toml::Table>().unwrap();
    }
}
