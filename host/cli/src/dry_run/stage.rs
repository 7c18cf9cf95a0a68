//! A room that exists for one rehearsal: its own home, its own keys, the rules of every room.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::PrivateKey;
use glovebox_contract::name::{Alias, Identifier, TableName};
use glovebox_contract::statement::{
    AssetStatement, Body, Decision, LibraryAsset, NotebookAsset, OutputRead, Review, RunRequest,
    Statement, TableAsset, VolumeAsset,
};
use glovebox_room::run::EndedRun;
use glovebox_room::tables::DescribedTable;
use glovebox_room::worker::WorkerSettings;
use glovebox_room::{LogLine, Room};
use glovebox_sandbox::Inspection;
use tempfile::TempDir;

use crate::context::{self, Context, Party};
use crate::room_file;

/// Alias of the party that brings the component.
const AUTHOR: &str = "author";

/// A room with its parties, all played by this process.
pub(super) struct Stage {
    room: Room,
    author: Alias,
    parties: BTreeMap<Alias, Party>,
    settings: WorkerSettings,
    /// Last, so that the room is closed before its home is removed.
    home: TempDir,
}

/// A run that ended, and what its author may know of it.
pub(super) struct Played {
    pub(super) ended: EndedRun,
    pub(super) took: Duration,
    pub(super) log: Vec<LogLine>,
    pub(super) detail: Option<String>,
}

impl Stage {
    /// Makes the room of the owners whom the inputs name and the author, accepted by all.
    pub(super) fn new(context: &Context, owners: BTreeSet<Alias>) -> Result<Self> {
        let home = TempDir::new().context("cannot make a temporary home")?;
        let inner = Context::new(context.global_in(&home.path().join("home")));
        let author = free_alias(&owners)?;
        let parties: BTreeMap<_, _> = owners
            .into_iter()
            .chain([author.clone()])
            .map(|alias| Ok((alias.clone(), Party { key: new_key()?, alias })))
            .collect::<Result<_>>()?;
        let mut room = create(&inner, &parties, &author)?;
        for party in parties.values().filter(|party| party.alias != author) {
            room.submit(&party.sign(room.state(), Body::Accept)?)?;
        }
        Ok(Self { room, author, parties, settings: inner.worker_settings()?, home })
    }

    pub(super) fn room(&self) -> &Room {
        &self.room
    }

    pub(super) fn path(&self) -> &Path {
        self.home.path()
    }

    fn party(&self, alias: &Alias) -> Result<&Party> {
        self.parties.get(alias).ok_or_else(|| anyhow!("{alias} takes no part"))
    }

    /// The author offers a library.
    pub(super) fn add_library(&mut self, bytes: &[u8], inspection: Inspection) -> Result<()> {
        let manifest = inspection.manifest.context("the library has no manifest")?;
        let asset = LibraryAsset {
            component: inspection.digest,
            component_bytes: inspection.bytes,
            exports: inspection.exports,
            hidden: inspection.source.is_empty(),
            interfaces: inspection.imports,
            manifest,
        };
        let body = Body::Asset(AssetStatement::Library(Box::new(asset)));
        let envelope = self.party(&self.author)?.sign(self.room.state(), body)?;
        self.room.add_library(&self.settings, &envelope, bytes)?;
        Ok(())
    }

    /// The author offers the notebook and is its runner.
    pub(super) fn add_notebook(&mut self, bytes: &[u8], inspection: Inspection) -> Result<()> {
        let manifest = inspection.manifest.context("the component has no manifest")?;
        let asset = NotebookAsset {
            bindings: BTreeMap::new(),
            component: inspection.digest,
            component_bytes: inspection.bytes,
            cutover: None,
            hidden: inspection.source.is_empty(),
            interfaces: inspection.imports,
            manifest,
            runners: [self.author.clone()].into(),
        };
        let body = Body::Asset(AssetStatement::Notebook(Box::new(asset)));
        let envelope = self.party(&self.author)?.sign(self.room.state(), body)?;
        self.room.add_notebook(&self.settings, &envelope, bytes)?;
        Ok(())
    }

    /// The owner of a table offers the rows in `file`, all columns of them.
    pub(super) fn add_table(&mut self, table: &TableName, file: &Path) -> Result<()> {
        let described = DescribedTable::read(&self.settings, table, file, None)?;
        let body = Body::Asset(AssetStatement::Table(TableAsset {
            columns: described.columns(),
            description: String::new(),
            join_keys: BTreeMap::new(),
            name: table.clone(),
            output: None,
            view: None,
        }));
        let owner: Alias = table.schema().parse()?;
        let envelope = self.party(&owner)?.sign(self.room.state(), body)?;
        self.room.add_table(&envelope, &described)?;
        Ok(())
    }

    /// The owner of a volume offers the files at `path`.
    pub(super) fn add_volume(&mut self, volume: &TableName, path: &Path) -> Result<()> {
        let measured = self.room.measure_volume(volume, path, &mut |_, _| {})?;
        let body = Body::Asset(AssetStatement::Volume(VolumeAsset {
            description: String::new(),
            files: measured.files().clone(),
            name: volume.clone(),
        }));
        let owner: Alias = volume.schema().parse()?;
        let envelope = self.party(&owner)?.sign(self.room.state(), body)?;
        self.room.add_volume(&envelope, &measured)?;
        Ok(())
    }

    /// Everyone but the author approves the newest revision.
    pub(super) fn approve(&mut self, notebook: &glovebox_contract::name::AssetName) -> Result<()> {
        let state = self.room.state();
        let version = state.notebook(notebook).map_err(glovebox_room::RoomError::from)?.latest();
        let version = version.context("the notebook has no version")?;
        let revision = *version
            .revision()
            .map_err(|refusal| glovebox_room::RoomError::from(refusal.clone()))?
            .digest();
        for party in self.parties.values().filter(|party| party.alias != self.author) {
            let review = Review {
                comment: String::new(),
                decision: Decision::Approve,
                notebook: notebook.clone(),
                revision,
            };
            self.room.submit(&party.sign(self.room.state(), Body::Review(review))?)?;
        }
        Ok(())
    }

    /// The author runs the notebook.
    pub(super) fn run(
        &mut self,
        notebook: &glovebox_contract::name::AssetName,
        parameters: &BTreeMap<String, String>,
    ) -> Result<Played> {
        let state = self.room.state();
        let approved = state
            .approved(notebook, None, &self.author, self.room.now())
            .map_err(glovebox_room::RoomError::from)?;
        let body = Body::RunRequest(RunRequest {
            notebook: notebook.clone(),
            parameters: approved
                .read_parameters(parameters)
                .map_err(glovebox_room::RoomError::from)?,
            revision: *approved.revision().digest(),
        });
        let envelope = self.party(&self.author)?.sign(self.room.state(), body)?;
        let started = Instant::now();
        let ended = self.room.run(&self.settings, &envelope, &mut ())?;
        let took = started.elapsed();
        let text = self.room.run_text(&ended.run, &self.author)?;
        Ok(Played { ended, took, log: text.log, detail: text.detail })
    }

    /// An output of a run, read by its runner.
    pub(super) fn output(&mut self, played: &Played, name: &Identifier) -> Result<std::fs::File> {
        let body = Body::OutputRead(OutputRead { output: name.clone(), run: played.ended.run });
        let envelope = self.party(&self.author)?.sign(self.room.state(), body)?;
        Ok(self.room.read_output(&envelope)?.file)
    }
}

fn new_key() -> Result<PrivateKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| anyhow!("the system gives no randomness: {error}"))?;
    Ok(PrivateKey::from_seed(&seed))
}

/// `author`, or the next name that owns no table.
fn free_alias(owners: &BTreeSet<Alias>) -> Result<Alias> {
    let names = std::iter::once(AUTHOR.to_owned()).chain((2..).map(|n| format!("{AUTHOR}{n}")));
    for name in names {
        let alias: Alias = name.parse()?;
        if !owners.contains(&alias) {
            return Ok(alias);
        }
    }
    Err(anyhow!("there is no name left for the author"))
}

fn create(context: &Context, parties: &BTreeMap<Alias, Party>, author: &Alias) -> Result<Room> {
    let mut text = String::from("name = \"dry-run\"\nregion = \"this machine\"\n");
    for (alias, party) in parties {
        let key = party.key.public();
        text += &format!(
            "[[collaborators]]\nalias = \"{alias}\"\norganisation = \"{alias}\"\npublic_key = \"{key}\"\n"
        );
    }
    let key = &parties.get(author).context("the author takes no part")?.key;
    let home = context.home()?;
    let now = context::now();
    let document = room_file::parse(&text, &key.public(), home.host_key(), now, context::nonce()?)?;
    let statement = Statement {
        party: author.clone(),
        body: Body::Room(document),
        issued_at: now,
        room: None,
        sequence: 1,
    };
    Ok(home.create_room(&Envelope::sign(&statement, key)?)?)
}
