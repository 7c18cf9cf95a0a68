//! One room: its log, its state, and the only way to add to it.

use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use glovebox_contract::digest::{Blake3Digest, ContentDigest};
use glovebox_contract::envelope::{Envelope, MAX_ENVELOPE_BYTES};
use glovebox_contract::name::{Alias, AssetName, RoomId, RunId};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::{Applied, Refusal, RoomState};
use glovebox_contract::statement::{
    AssetStatement, Body, Delete, HOST_ALIAS, Kind, Refused, SharedRead, Statement,
};
use rusqlite::Transaction;

use crate::components::ComponentStore;
use crate::error::{Context as _, Result, RoomError};
use crate::files;
use crate::home::{self, Home, HomeLock};
use crate::kept::KeptFiles;
use crate::private::{RunWords, forget_source, forget_volume, put_run_words};
use crate::staging::OutputStore;
use crate::store::{NewEntry, Store, StoredEntry, tampered};
use crate::tree::SignedTree;

/// File of a room's log.
pub(crate) const DATABASE: &str = "room.sqlite";

/// File of the newest checkpoint, beside the log store. It shows when the store is set back.
const ANCHOR: &str = "checkpoint";
const MAX_ANCHOR_BYTES: u64 = 4096;

/// A room of this home.
///
/// What other processes append shows after [`Room::refresh`]; every call that appends refreshes
/// first. Nothing is shared between two values but the disk.
pub struct Room {
    pub(crate) home: Home,
    directory: Dir,
    pub(crate) path: PathBuf,
    pub(crate) store: Store,
    pub(crate) outputs: OutputStore,
    pub(crate) kept: KeptFiles,
    pub(crate) state: RoomState,
    tree: SignedTree,
}

/// A room, without reading its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomSummary {
    /// Its id.
    pub id: RoomId,
    /// Its name. Two rooms may have the same.
    pub name: AssetName,
}

/// An entry of a room's log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogEntry {
    /// Its place, from 0.
    pub position: u64,
    /// Digest of its envelope.
    pub digest: Blake3Digest,
    /// The signed envelope.
    pub envelope: Envelope,
    /// What it says.
    pub statement: Statement,
}

impl From<Refusal> for RoomError {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.reason(), refusal.detail())
    }
}

impl Room {
    /// Opens a room, checks its whole log, and cleans up after runs that died.
    pub(crate) fn open(home: &Home, directory: Dir, path: &Path) -> Result<Self> {
        // Read before the log: another process may append in between, and the log may only be
        // longer than its anchor.
        let anchor = files::read_limited(&directory, ANCHOR, MAX_ANCHOR_BYTES).ok();
        let store = Store::open(&path.join(DATABASE))?;
        let (state, tree) = load(home, &store)?;
        if let Some(note) = anchor.and_then(|bytes| String::from_utf8(bytes).ok()) {
            tree.check_contains(&note, &home.host_key(), state.id())?;
        }
        files::sweep(&directory).trying(|| "look into the room's directory".into())?;
        let outputs = OutputStore::open(&directory)?;
        let kept = KeptFiles::open(&directory, path)?;
        let (home, path) = (home.clone(), path.to_owned());
        let mut room = Self { home, directory, path, store, outputs, kept, state, tree };
        match room.recover() {
            // A full disk keeps nobody from reading; recovery is tried again at the next open.
            Err(error) if error.reason() != ReasonCode::StorageFull => Err(error),
            _ => Ok(room),
        }
    }

    /// The room's id.
    pub fn id(&self) -> &RoomId {
        self.state.id()
    }

    /// The room's name.
    pub fn name(&self) -> &AssetName {
        &self.state.document().name
    }

    /// The state that the log gives.
    pub fn state(&self) -> &RoomState {
        &self.state
    }

    /// This host's time, in seconds since 1970-01-01T00:00:00Z.
    pub fn now(&self) -> u64 {
        self.home.clock().unix_seconds()
    }

    /// The next statement of the party that signs with `key`, ready to sign.
    ///
    /// # Errors
    /// `unknown-signer` when no party of the room signs with it.
    pub fn next_statement(
        &self,
        key: &glovebox_contract::key::PublicKey,
        body: Body,
    ) -> Result<Statement> {
        let party = self.state.party_with_key(key).ok_or_else(|| {
            RoomError::new(
                ReasonCode::UnknownSigner,
                format!("{key} is the present key of no party of the room {}", self.name()),
            )
        })?;
        Ok(self.state.next_statement(party, body, self.now())?)
    }

    /// Every entry of the log, oldest first.
    pub fn entries(&self) -> Result<Vec<LogEntry>> {
        let (entries, _) = self.store.read_from(0)?;
        // What another process appended meanwhile is not in the state yet.
        let known = entries.into_iter().zip(0..self.state.statements());
        known
            .map(|(entry, position)| {
                let envelope = read_entry(&entry)?;
                let statement = envelope.unverified().map_err(Refusal::from)?;
                Ok(LogEntry { position, digest: entry.digest, envelope, statement })
            })
            .collect()
    }

    /// At most `limit` envelopes of the log from position `from` on, oldest first, as far as this
    /// value knows the log.
    pub fn entries_from(&self, from: u64, limit: usize) -> Result<Vec<Envelope>> {
        let known = self.state.statements().saturating_sub(from);
        let limit = usize::try_from(known).map_or(limit, |known| known.min(limit));
        if limit == 0 {
            return Ok(Vec::new());
        }
        self.store.read_some(from, limit)?.iter().map(read_entry).collect()
    }

    /// How many entries the log has on disk. More than [`RoomState::statements`] of this value when
    /// others have appended since; cheap, so whoever waits for that may ask often.
    pub fn log_size_on_disk(&self) -> Result<u64> {
        self.store.size()
    }

    /// Everything that an auditor needs to verify the room: the bytes of a bundle.
    pub fn bundle(&self) -> Result<Vec<u8>> {
        let entries = self.entries()?.into_iter().map(|entry| entry.envelope).collect();
        self.tree.bundle(entries)
    }

    /// The newest checkpoint, signed by the host.
    pub fn checkpoint(&self) -> &str {
        self.tree.checkpoint()
    }

    /// A component that was added to this home, both digests verified.
    ///
    /// # Errors
    /// `component-mismatch` when this host does not have those very bytes.
    pub fn component(&self, component: &ContentDigest) -> Result<Vec<u8>> {
        let limit = self.state.document().limits.component_bytes;
        ComponentStore::open(&self.home)?.read(component, limit)
    }

    /// [`Room::component`] for `reader`: any version of a notebook, or a library, that is in the
    /// room. A hidden one is for its owner only. The caller has made sure that it speaks for
    /// `reader`, by its key.
    ///
    /// # Errors
    /// `not-found` when the room has no such component; `not-permitted` when it is hidden from this
    /// party.
    pub fn component_for(&self, reader: &Alias, component: &Blake3Digest) -> Result<Vec<u8>> {
        self.state.member(reader)?;
        let notebooks = self.state.notebooks().flat_map(|notebook| {
            let versions = notebook.versions().iter().map(|version| version.asset());
            versions.map(|asset| (asset.component, asset.hidden, notebook.author()))
        });
        let libraries = self.state.libraries().map(|library| {
            let asset = library.asset();
            (asset.component, asset.hidden, library.owner())
        });
        let mut found = None;
        for (digest, hidden, owner) in notebooks.chain(libraries) {
            if digest.blake3 == *component {
                if !hidden || owner == reader {
                    return self.component(&digest);
                }
                found = Some(owner);
            }
        }
        Err(match found {
            Some(owner) => RoomError::new(
                ReasonCode::NotPermitted,
                format!("the component {component} is hidden: {owner} alone may read it"),
            ),
            None => RoomError::not_found(format!("the room has no component {component}")),
        })
    }

    /// Logs that a recipient of a party read a shared table. Returns the digest of the statement.
    ///
    /// # Errors
    /// With the reason when the room's state does not allow the read: nothing may be served then.
    pub fn record_shared_read(&mut self, read: SharedRead) -> Result<Blake3Digest> {
        self.locked(|room, _| room.append_own(Body::SharedRead(read)))
    }

    /// Takes in what other processes appended since.
    pub fn refresh(&mut self) -> Result<()> {
        let (entries, checkpoint) = self.store.read_from(self.state.statements())?;
        if entries.is_empty() {
            return Ok(());
        }
        let mut state = self.state.clone();
        let mut tree = self.tree.clone();
        for entry in entries {
            let envelope = read_entry(&entry)?;
            let applied = state.apply(&envelope).map_err(|refusal| bad_entry(&state, &refusal))?;
            tree.push(applied.statement.body.kind(), &envelope);
        }
        tree.confirm(checkpoint, &self.home.host_key(), state.id())?;
        (self.state, self.tree) = (state, tree);
        Ok(())
    }

    /// Takes a signed statement: checks it against the room's state and appends it.
    ///
    /// A refused statement leaves the state as it was; the refusal itself is logged, signed by
    /// the host. Tables, notebooks, runs and reads of outputs have their own calls, since there
    /// is more to them than the statement.
    ///
    /// # Errors
    /// With the reason of the refusal.
    pub fn submit(&mut self, envelope: &Envelope) -> Result<Applied> {
        let own_call = match envelope.unverified().map(|statement| statement.body) {
            Ok(Body::Asset(AssetStatement::Table(table))) if table.output.is_some() => {
                return self.add_derived_table(envelope);
            }
            Ok(Body::Asset(asset)) => Some(match asset {
                AssetStatement::Table(_) => "a table, with its files",
                AssetStatement::Volume(_) => "a volume, with its files",
                AssetStatement::Notebook(_) => "a notebook, with its component",
                AssetStatement::Library(_) => "a library, with its component",
            }),
            Ok(Body::RunRequest(_)) => Some("a run request, to be run at once"),
            Ok(Body::OutputRead(_)) => Some("a read of an output, to be answered with it"),
            _ => None,
        };
        if let Some(what) = own_call {
            return Err(RoomError::internal(format!("{what}: it has a call of its own")));
        }
        let deleted = match envelope.unverified().map(|statement| statement.body) {
            Ok(Body::Delete(delete)) => Some(delete),
            _ => None,
        };
        self.locked(|room, _| {
            let applied = room.take(envelope, |transaction| match &deleted {
                Some(Delete::Table { table }) => forget_source(transaction, table),
                Some(Delete::Volume { volume }) => forget_volume(transaction, volume),
                _ => Ok(()),
            })?;
            match &deleted {
                Some(Delete::Outputs { run }) => room.outputs.remove(run)?,
                Some(_) => room.remove_unused_files()?,
                None => {}
            }
            Ok(applied)
        })
    }

    /// [`Room::submit`] for bytes that may be anything.
    ///
    /// # Errors
    /// As [`Room::submit`]; what is no envelope at all is refused and logged as well.
    pub fn submit_bytes(&mut self, bytes: &[u8]) -> Result<Applied> {
        match Envelope::from_bytes(bytes) {
            Ok(envelope) => self.submit(&envelope),
            Err(error) => {
                let refused = Refused {
                    party: None,
                    reason: error.reason(),
                    run: None,
                    statement: Some(Blake3Digest::of(bytes)),
                    what: "statement".into(),
                };
                self.locked(|room, _| room.append_own(Body::Refused(refused)))?;
                Err(Refusal::from(error).into())
            }
        }
    }

    /// Runs `act` while no other process changes anything, on the newest state.
    pub(crate) fn locked<T>(
        &mut self,
        act: impl FnOnce(&mut Self, &HomeLock) -> Result<T>,
    ) -> Result<T> {
        let lock = home::lock(&self.directory)?;
        self.refresh()?;
        act(self, &lock)
    }

    /// Takes a statement under the lock, or logs why not. `also` writes to the same transaction.
    pub(crate) fn take(
        &mut self,
        envelope: &Envelope,
        also: impl FnOnce(&Transaction<'_>) -> Result<()>,
    ) -> Result<Applied> {
        let mut state = self.state.clone();
        match state.apply(envelope) {
            Ok(applied) => {
                self.append(state, envelope, &applied, also)?;
                Ok(applied)
            }
            Err(refusal) => {
                self.log_refusal(envelope, refusal.reason())?;
                Err(refusal.into())
            }
        }
    }

    /// Logs that the host turned `envelope` down.
    pub(crate) fn log_refusal(&mut self, envelope: &Envelope, reason: ReasonCode) -> Result<()> {
        let what = match envelope.unverified() {
            Ok(statement) => statement.body.kind().as_str(),
            Err(_) => "statement",
        };
        let refused = Refused {
            party: self.verified_signer(envelope),
            reason,
            run: None,
            statement: Some(envelope.digest()),
            what: what.into(),
        };
        self.append_own(Body::Refused(refused)).map(drop)
    }

    /// The party whose signature the envelope really bears.
    fn verified_signer(&self, envelope: &Envelope) -> Option<Alias> {
        let signs = |key| envelope.verify(key).is_ok();
        let member = self.state.members().find(|member| signs(member.public_key()))?;
        Some(member.alias().clone())
    }

    /// Appends a statement of the host under the lock. Returns the digest of its envelope.
    pub(crate) fn append_own(&mut self, body: Body) -> Result<Blake3Digest> {
        self.append_own_with(body, self.now(), |_| Ok(()))
    }

    /// [`Room::append_own`] with the time that the statement shall claim and what to write to the
    /// same transaction.
    pub(crate) fn append_own_with(
        &mut self,
        body: Body,
        issued_at: u64,
        also: impl FnOnce(&Transaction<'_>) -> Result<()>,
    ) -> Result<Blake3Digest> {
        let host: Alias = HOST_ALIAS.parse().map_err(Refusal::from)?;
        let statement = self.state.next_statement(&host, body, issued_at)?;
        let envelope =
            Envelope::sign(&statement, self.home.private_key()).map_err(Refusal::from)?;
        let mut state = self.state.clone();
        let applied = state.apply(&envelope)?;
        self.append(state, &envelope, &applied, also)?;
        Ok(applied.digest)
    }

    /// Appends the host's statement that ends a run, and stores what the run said. The statement
    /// matters more than the words, should there be no room for both.
    pub(crate) fn append_end(
        &mut self,
        run: &RunId,
        body: Body,
        words: &RunWords,
    ) -> Result<Blake3Digest> {
        let issued_at = self.now();
        if words.is_empty() {
            return self.append_own_with(body, issued_at, |_| Ok(()));
        }
        let with_words = self.append_own_with(body.clone(), issued_at, |transaction| {
            put_run_words(transaction, run, words)
        });
        match with_words {
            Err(error) if error.reason() == ReasonCode::StorageFull => {
                self.append_own_with(body, issued_at, |_| Ok(()))
            }
            other => other,
        }
    }

    /// Makes `state`, which has taken `envelope`, the state of this room.
    fn append(
        &mut self,
        state: RoomState,
        envelope: &Envelope,
        applied: &Applied,
        also: impl FnOnce(&Transaction<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut tree = self.tree.clone();
        tree.push(applied.statement.body.kind(), envelope);
        tree.sign(state.id(), self.home.private_key());
        let bytes = envelope.to_bytes();
        let entry = NewEntry {
            position: self.state.statements(),
            digest: applied.digest,
            envelope: &bytes,
            checkpoint: tree.checkpoint(),
        };
        self.store.append(&entry, also)?;
        // The log is committed; a lost anchor is only a lost warning.
        let _ = files::write_casually(&self.directory, ANCHOR, tree.checkpoint().as_bytes());
        (self.state, self.tree) = (state, tree);
        Ok(())
    }
}

/// Writes the log of a new room: its first statement and checkpoint.
pub(crate) fn create_log(home: &Home, path: &Path, envelope: &Envelope) -> Result<RoomId> {
    let state = RoomState::open(envelope)?;
    if state.document().host_key != home.host_key() {
        return Err(RoomError::new(
            ReasonCode::NotPermitted,
            format!("the room names another host's key; this host's is {}", home.host_key()),
        ));
    }
    let mut tree = SignedTree::new();
    tree.push(Kind::Room, envelope);
    tree.sign(state.id(), home.private_key());
    let bytes = envelope.to_bytes();
    let entry = NewEntry {
        position: 0,
        digest: envelope.digest(),
        envelope: &bytes,
        checkpoint: tree.checkpoint(),
    };
    Store::create(&path.join(DATABASE))?.append(&entry, |_| Ok(()))?;
    Ok(*state.id())
}

/// Folds the whole log again and compares it with what the host signed last.
fn load(home: &Home, store: &Store) -> Result<(RoomState, SignedTree)> {
    let mut tree = SignedTree::new();
    let mut state: Option<RoomState> = None;
    let (entries, checkpoint) = store.read_from(0)?;
    for entry in entries {
        let envelope = read_entry(&entry)?;
        let kind = match &mut state {
            None => {
                let opened = RoomState::open(&envelope)
                    .map_err(|refusal| tampered(format!("entry 0: {refusal}")))?;
                state = Some(opened);
                Kind::Room
            }
            Some(state) => {
                let applied = state.apply(&envelope);
                applied.map_err(|refusal| bad_entry(state, &refusal))?.statement.body.kind()
            }
        };
        tree.push(kind, &envelope);
    }
    let state = state.ok_or_else(|| tampered("it is empty"))?;
    if state.document().host_key != home.host_key() {
        return Err(RoomError::internal(
            "the room names another host's key: it was made in another home",
        ));
    }
    tree.confirm(checkpoint, &home.host_key(), state.id())?;
    Ok((state, tree))
}

/// The first statement of a room's log, without checking the others.
pub(crate) fn read_summary(path: &Path) -> Result<RoomSummary> {
    let store = Store::open(&path.join(DATABASE))?;
    let entry = store.first_entry()?.ok_or_else(|| tampered("it is empty"))?;
    let state = RoomState::open(&read_entry(&entry)?)
        .map_err(|refusal| tampered(format!("entry 0: {refusal}")))?;
    Ok(RoomSummary { id: *state.id(), name: state.document().name.clone() })
}

fn bad_entry(state: &RoomState, refusal: &Refusal) -> RoomError {
    tampered(format!("entry {}: {refusal}", state.statements()))
}

fn read_entry(entry: &StoredEntry) -> Result<Envelope> {
    if entry.envelope.len() > MAX_ENVELOPE_BYTES
        || Blake3Digest::of(&entry.envelope) != entry.digest
    {
        return Err(tampered("an entry does not have its digest"));
    }
    Envelope::from_bytes(&entry.envelope)
        .map_err(|error| tampered(format!("an entry is no envelope: {error}")))
}
