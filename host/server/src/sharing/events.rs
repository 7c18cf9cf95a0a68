//! What the log of a room says about the tables that can be shared.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use glovebox_contract::column::Column;
use glovebox_contract::digest::{Blake3Digest, ContentDigest};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::manifest::{Manifest, OutputDeclaration, OutputMode};
use glovebox_contract::name::{Identifier, RunId, TableName};
use glovebox_contract::receipt::Receipt;
use glovebox_contract::statement::{AssetStatement, Body, Delete, Statement, TableAsset};
use glovebox_delta::{Event, Mode, Removal, Write};
use glovebox_room::Room;

use super::names::Key;
use crate::error::Result;

/// Entries read from the log at a time.
const AT_A_TIME: usize = 1000;

/// The events of every table of a room, from the beginning of its log on.
#[derive(Default)]
pub(crate) struct Events {
    /// How many entries of the log have been read.
    read: u64,
    tables: BTreeMap<Key, TableEvents>,
    /// What each component that was added declares to write.
    declared: HashMap<ContentDigest, BTreeMap<Identifier, OutputDeclaration>>,
    /// The writes of each run.
    writes: HashMap<RunId, Vec<Key>>,
}

/// The events of one table.
#[derive(Default, Clone)]
pub(crate) struct TableEvents {
    pub(crate) events: Vec<Event>,
    /// The run of each write of an output.
    pub(crate) runs: HashMap<Blake3Digest, RunId>,
    /// What the owner's newest statement about a plain table says, while the table is there.
    pub(crate) offered: Option<TableAsset>,
}

impl Events {
    /// Whether the log has not more than this has read.
    pub(crate) fn is_at(&self, entries: u64) -> bool {
        self.read >= entries
    }

    /// The events of a table.
    pub(crate) fn of(&self, key: &Key) -> Option<&TableEvents> {
        self.tables.get(key)
    }

    /// All tables that have had events.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.tables.keys()
    }

    /// Reads what the log has got since.
    pub(crate) fn read(&mut self, room: &Room) -> Result<()> {
        while self.read < room.state().statements() {
            let entries = room.entries_from(self.read, AT_A_TIME)?;
            if entries.is_empty() {
                break;
            }
            for envelope in entries {
                self.take(room, &envelope)?;
                self.read = self.read.saturating_add(1);
            }
        }
        Ok(())
    }

    fn take(&mut self, room: &Room, envelope: &Envelope) -> Result<()> {
        let statement = envelope.unverified()?;
        let (id, at) = (envelope.digest(), statement.issued_at);
        match statement {
            Statement { body: Body::Asset(AssetStatement::Notebook(asset)), .. } => {
                let Manifest { outputs, .. } = asset.manifest;
                self.declared.insert(asset.component, outputs);
            }
            Statement { body: Body::Asset(AssetStatement::Table(asset)), .. } => {
                self.offer(id, at, asset);
            }
            Statement { body: Body::Delete(Delete::Table { table }), .. } => {
                self.withdraw(id, at, table);
            }
            Statement { body: Body::RunReceipt(receipt), .. } => self.end(room, id, &receipt),
            Statement { body: Body::Delete(Delete::Outputs { run }), .. } => {
                self.remove(id, at, &run);
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, room: &Room, id: Blake3Digest, receipt: &Receipt) {
        let Some(outputs) = receipt.outputs() else { return };
        let Ok(run) = room.state().run(&receipt.run) else { return };
        let mut keys = Vec::new();
        for output in outputs.keys() {
            let declared = self.declared.get(run.component()).and_then(|all| all.get(output));
            let Some(OutputDeclaration { columns, mode, .. }) = declared else { continue };
            let key = Key::Output {
                runner: run.runner().clone(),
                notebook: run.notebook().clone(),
                output: output.clone(),
            };
            let table = self.tables.entry(key.clone()).or_default();
            // None when the output is gone by now.
            let file = room.output_path(run.id(), output).ok();
            let mode = if *mode == OutputMode::Append { Mode::Append } else { Mode::Replace };
            table.push(write(id, receipt.finished_at, columns, file, mode));
            table.runs.insert(id, *run.id());
            keys.push(key);
        }
        self.writes.insert(receipt.run, keys);
    }

    fn remove(&mut self, id: Blake3Digest, at: u64, run: &RunId) {
        for key in self.writes.remove(run).into_iter().flatten() {
            let Some(table) = self.tables.get_mut(&key) else { continue };
            let of = table.runs.iter().find(|(_, of)| *of == run).map(|(write, _)| *write);
            if let Some(of) = of {
                table.push(Event::Removal(Removal { id, of, committed_at: at }));
            }
        }
    }

    fn offer(&mut self, id: Blake3Digest, at: u64, asset: TableAsset) {
        let table = self.tables.entry(Key::Plain { table: asset.name.clone() }).or_default();
        let before = table.last_write();
        table.push(write(id, at, &asset.columns, None, Mode::Replace));
        // Where the rows were before is not known any more, and nobody shall read them.
        if let Some(of) = before {
            table.push(Event::Removal(Removal { id: follow_up(&id), of, committed_at: at }));
        }
        table.offered = Some(asset);
    }

    fn withdraw(&mut self, id: Blake3Digest, at: u64, name: TableName) {
        let Some(table) = self.tables.get_mut(&Key::Plain { table: name }) else { return };
        if let Some(of) = table.last_write() {
            table.push(Event::Removal(Removal { id, of, committed_at: at }));
        }
        table.offered = None;
    }
}

/// The second of two events that one statement makes.
fn follow_up(id: &Blake3Digest) -> Blake3Digest {
    Blake3Digest::of(id.as_bytes())
}

fn write(
    id: Blake3Digest,
    committed_at: u64,
    columns: &[Column],
    file: Option<PathBuf>,
    mode: Mode,
) -> Event {
    let files = file.into_iter().collect();
    Event::Write(Write { id, columns: columns.to_vec(), files, link: true, mode, committed_at })
}

impl TableEvents {
    fn push(&mut self, event: Event) {
        self.events.push(event);
    }

    /// The write that made the newest rows.
    pub(crate) fn last_write(&self) -> Option<Blake3Digest> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Write(write) => Some(write.id),
            Event::Removal(_) => None,
        })
    }

    /// The events with the files of the newest rows, which may be linked or not.
    pub(crate) fn with_files(&self, files: Vec<PathBuf>, link: bool) -> Vec<Event> {
        let mut events = self.events.clone();
        let newest = events.iter_mut().rev().find_map(|event| match event {
            Event::Write(write) => Some(write),
            Event::Removal(_) => None,
        });
        if let Some(newest) = newest {
            newest.files = files;
            newest.link = link;
        }
        events
    }
}
