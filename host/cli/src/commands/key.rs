//! `glovebox key`: a party's key file.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use glovebox_contract::key::PrivateKey;
use serde_json::json;

use crate::arguments::Key;
use crate::context::{Context, read_key};
use crate::terminal::print_json;

pub(crate) fn run(context: &Context, command: &Key) -> Result<ExitCode> {
    let (file, key) = match command {
        Key::New { file } => (file, create(file)?),
        Key::Show { file } => (file, read_key(file)?),
    };
    if context.json() {
        print_json(&json!({ "file": file, "public_key": key.public() }))?;
    } else {
        println!("{}", key.public());
        if matches!(command, Key::New { .. }) {
            context.hint(format!(
                "{} is yours alone; the line above is your public key, for the room file",
                file.display()
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn create(file: &Path) -> Result<PrivateKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| anyhow!("the system gives no randomness: {error}"))?;
    let key = PrivateKey::from_seed(&seed);
    let mut to = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("cannot create the key file {}", file.display()))?;
    to.write_all(key.to_file().as_bytes()).and_then(|()| to.sync_all())?;
    Ok(key)
}
