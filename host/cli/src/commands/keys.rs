//! `glovebox keys`: join keys, made on the machine of the party whose rows they are of.

mod format;
mod hasher;
mod lines;
mod table;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::join_key::{JoinKey, JoinKeyKind};
use glovebox_join_keys::{KeyKind, RoomKey};
use serde_json::json;

use crate::arguments::{HashKeys, JoinKeyOption, Keys};
use crate::context::Context;
use crate::terminal::{self, plain, print_json};
use format::Format;
use hasher::{Counts, Hasher};

pub(crate) fn run(context: &Context, command: &Keys) -> Result<ExitCode> {
    match command {
        Keys::New { file } => {
            let key = create(file)?;
            show_fingerprint(context, file, &key)?;
            context.hint(
                "give the file to the other parties by a way that the host does not see; the \
                 line above says which key it is and may be told to anybody",
            );
        }
        Keys::Fingerprint { file } => show_fingerprint(context, file, &read_room_key(file)?)?,
        Keys::Hash(hash) => hash_file(context, hash)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn create(file: &Path) -> Result<RoomKey> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow!("the system gives no randomness: {error}"))?;
    let key = RoomKey::from_bytes(bytes);
    let mut to = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("cannot create the room key {}", file.display()))?;
    to.write_all(key.to_file().as_bytes()).and_then(|()| to.sync_all())?;
    Ok(key)
}

/// Reads a room key file.
pub(crate) fn read_room_key(file: &Path) -> Result<RoomKey> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the room key {}", file.display()))?;
    text.parse().with_context(|| format!("{} is not usable", file.display()))
}

/// What may be told of a room key: the digest of its file, which `b3sum` shows as well. The key is
/// 32 random bytes, so nobody finds it from this.
pub(crate) fn fingerprint(key: &RoomKey) -> Blake3Digest {
    Blake3Digest::of(key.to_file().as_bytes())
}

/// What a table declares about its columns of join keys.
pub(crate) fn declarations(options: &[JoinKeyOption]) -> Result<BTreeMap<String, JoinKey>> {
    let mut declared = BTreeMap::new();
    for option in options {
        let key = option.key.as_deref().map(read_room_key).transpose()?;
        let declaration = JoinKey {
            key: key.as_ref().map(fingerprint),
            kind: match option.kind {
                KeyKind::Email => JoinKeyKind::Email,
                KeyKind::Phone => JoinKeyKind::Phone,
                KeyKind::DeviceId => JoinKeyKind::DeviceId,
            },
            profile: option.profile.name().parse()?,
            version: option.profile.version().into(),
        };
        if declared.insert(option.column.clone(), declaration).is_some() {
            bail!("`--join-key` says twice how column `{}` was hashed", option.column);
        }
    }
    Ok(declared)
}

/// A declaration as people read it.
pub(crate) fn described(declared: &JoinKey) -> String {
    let key = declared.key.map(|key| format!(" with room key {key}")).unwrap_or_default();
    format!("{} keys of {}/{}{key}", declared.kind.as_str(), declared.profile, declared.version)
}

fn show_fingerprint(context: &Context, file: &Path, key: &RoomKey) -> Result<()> {
    if context.json() {
        return print_json(&json!({ "file": file, "fingerprint": fingerprint(key) }));
    }
    println!("{}", fingerprint(key));
    Ok(())
}

fn hash_file(context: &Context, command: &HashKeys) -> Result<()> {
    let input = Format::of_input(&command.input)?;
    let output = match &command.output {
        Some(path) => Format::of_output(path)?,
        None if context.json() => bail!("the summary as JSON needs `--output` for the data"),
        None => input,
    };
    if (input == Format::Lines) != (output == Format::Lines) {
        bail!("lines make lines: give a table with a `.csv`, `.ndjson` or `.parquet` ending");
    }
    let key = command.key.as_deref().map(read_room_key).transpose()?;
    let column = command.column.clone().unwrap_or_else(|| command.kind.as_str().replace('-', "_"));
    let mut hasher = Hasher::new(command.profile, command.kind, key);
    let bar = terminal::spinner(context.quiet(), format!("hashing {}", command.input.display()));
    match input {
        Format::Lines => lines::hash(command, &mut hasher, &bar)?,
        Format::Csv | Format::Ndjson | Format::Parquet => {
            table::hash(command, (input, output), &column, &mut hasher, &bar)?;
        }
    }
    bar.finish_and_clear();
    report(context, command, &column, &hasher)
}

/// How many values made a key, and how to declare them. Goes where the data does not.
fn report(context: &Context, command: &HashKeys, column: &str, hasher: &Hasher) -> Result<()> {
    let counts = hasher.counts();
    let hashed_column = command.into.as_deref().unwrap_or(column);
    let option = declaration(command, hashed_column);
    if context.json() {
        return print_json(&json!({
            "profile": command.profile.as_str(),
            "kind": command.kind.as_str(),
            "key": hasher.key().map(fingerprint),
            "column": hashed_column,
            "hashed": counts.hashed,
            "empty": counts.empty,
            "invalid": counts.invalid(),
            "invalid_because": counts.because(),
            "output": command.output,
            "table_add_option": option,
        }));
    }
    let text = summary(command, counts);
    if command.output.is_some() {
        println!("{text}")
    } else {
        eprintln!("{text}")
    }
    if Format::of_input(&command.input)? != Format::Lines {
        context.hint(format!("offer it with `glovebox table add … {}`", plain(&option)));
        if command.into.is_some() {
            context.hint(format!("the values are still in column {}", plain(column)));
        }
    }
    Ok(())
}

fn summary(command: &HashKeys, counts: &Counts) -> String {
    let mut text = format!(
        "{} keys of {}{}: {} hashed, {} empty, {} invalid",
        command.kind,
        command.profile,
        if command.key.is_some() { " with the room key" } else { "" },
        counts.hashed,
        counts.empty,
        counts.invalid(),
    );
    for (why, count) in counts.because() {
        text += &format!("\n  {why}: {count}");
    }
    text
}

/// The option of `table add` that says how the column was made.
fn declaration(command: &HashKeys, column: &str) -> String {
    let key = command.key.as_ref().map(|file| format!(":{}", file.display())).unwrap_or_default();
    format!("--join-key {column}={}:{}{key}", command.profile, command.kind)
}

/// Where the result is written: a file that appears when it is complete, or standard output.
enum Destination {
    File(tempfile::NamedTempFile, PathBuf),
    Stdout,
}

impl Destination {
    fn new(output: Option<&Path>) -> Result<Self> {
        let Some(path) = output else { return Ok(Self::Stdout) };
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let file = tempfile::NamedTempFile::new_in(directory)
            .with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self::File(file, path.to_owned()))
    }

    fn writer(&self) -> Result<Box<dyn std::io::Write + Send>> {
        Ok(match self {
            Self::File(file, _) => Box::new(std::io::BufWriter::new(file.reopen()?)),
            Self::Stdout => Box::new(std::io::BufWriter::new(std::io::stdout())),
        })
    }

    fn finish(self) -> Result<()> {
        if let Self::File(file, path) = self {
            file.as_file().sync_all()?;
            file.persist(&path).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}
