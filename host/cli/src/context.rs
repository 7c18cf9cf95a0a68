//! What every command needs: the host, a room of it, a party's key, a way to sign and submit.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow};
use glovebox_broker::{SourceBroker, SourcePolicy};
use glovebox_client::{Client, Options};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::PrivateKey;
use glovebox_contract::name::Alias;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::state::RoomState;
use glovebox_contract::statement::{Body, JailMode};
use glovebox_job::process::WorkerProgram;
use glovebox_room::crash::{CrashHook, CrashPoint};
use glovebox_room::remote::SealingKey;
use glovebox_room::worker::WorkerSettings;
use glovebox_room::{Home, RoomError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::arguments::{Global, Jail, ReadRoom, RoomOnly, Signer};
use crate::failure::Refused;
use crate::host::{Host, OpenRoom};
use crate::{private_file, program};

/// Where a home keeps what it knows of hosts in the network.
const HOSTS: &str = "hosts";

/// The global options, and what they lead to.
pub(crate) struct Context {
    global: Global,
}

/// A party at this machine: its key and its alias in one room.
pub(crate) struct Party {
    pub(crate) key: PrivateKey,
    pub(crate) alias: Alias,
}

impl Context {
    pub(crate) fn new(global: Global) -> Self {
        Self { global }
    }

    /// The same options with another home, on this machine.
    pub(crate) fn global_in(&self, home: &Path) -> Global {
        Global { home: home.to_owned(), host: None, ..self.global.clone() }
    }

    /// Where the state of this machine is: of the host, or of a party.
    pub(crate) fn home_path(&self) -> &Path {
        &self.global.home
    }

    /// The host in the network, when there is one.
    pub(crate) fn host_url(&self) -> Option<&str> {
        self.global.host.as_deref()
    }

    /// How a client of a host in the network is set up.
    pub(crate) fn client_options(&self) -> Options {
        Options { ca: self.global.ca.clone(), ..Options::new(self.global.home.join(HOSTS)) }
    }

    pub(crate) fn json(&self) -> bool {
        self.global.json
    }

    /// No progress and no hints: asked for, or a machine reads.
    pub(crate) fn quiet(&self) -> bool {
        self.global.quiet || self.global.json
    }

    pub(crate) fn hint(&self, text: impl AsRef<str>) {
        if !self.quiet() {
            eprintln!("hint: {}", text.as_ref());
        }
    }

    fn jail(&self) -> JailMode {
        match self.global.jail {
            Jail::Full => JailMode::Full,
            Jail::Off => JailMode::Off,
        }
    }

    /// The home, made when it is missing.
    pub(crate) fn home(&self) -> Result<Home> {
        let home = Home::open_or_create(&self.global.home)?;
        if let Some(key) = self.sealing_key()? {
            home.use_sealing_key(key)?;
        }
        Ok(home)
    }

    /// The key that seals credentials, when it is not the home's own.
    pub(crate) fn sealing_key(&self) -> Result<Option<SealingKey>> {
        let Some(file) = &self.global.sealing_key else { return Ok(None) };
        let text = private_file::read(file, "a sealing key")?;
        let key = SealingKey::from_file(&text);
        Ok(Some(key.with_context(|| format!("{} is not a key file", file.display()))?))
    }

    /// Who keeps the rooms: this machine, or a host in the network.
    pub(crate) fn host(&self) -> Result<Host> {
        match self.host_url() {
            None => Ok(Host::Local(self.home()?)),
            Some(url) => {
                let client = Client::connect(url, &self.client_options());
                Ok(Host::Remote(client.with_context(|| format!("no connection to {url}"))?))
            }
        }
    }

    /// A room by name or by the beginning of its id, for the party whose key is in `key`.
    pub(crate) fn room(&self, name: &str, key: Option<&Path>) -> Result<OpenRoom> {
        let key = self.key_for_host(key)?;
        self.host()?.room(name, key)
    }

    /// The key that a host in the network has to see. Here none is needed to look.
    pub(crate) fn key_for_host(&self, file: Option<&Path>) -> Result<Option<PrivateKey>> {
        match (self.host_url(), file) {
            (None, _) => Ok(None),
            (Some(_), Some(file)) => Ok(Some(read_key(file)?)),
            (Some(_), None) => Err(needs_key()),
        }
    }

    /// The room that a command reads.
    pub(crate) fn read_room(&self, of: &ReadRoom) -> Result<OpenRoom> {
        self.room(&of.room.room, of.key.as_deref())
    }

    /// The room in which the party with this key acts, and the party.
    pub(crate) fn act(&self, room: &RoomOnly, signer: &Signer) -> Result<(OpenRoom, Party)> {
        let room = self.room(&room.room, Some(&signer.key))?;
        let party = self.party(room.state(), &signer.key)?;
        Ok((room, party))
    }

    /// How this host runs its workers. Parties in the network may have their tables at public
    /// addresses.
    pub(crate) fn worker_settings(&self) -> Result<WorkerSettings> {
        self.worker_settings_with(SourcePolicy::default())
    }

    /// [`Self::worker_settings`] with other places for tables of parties in the network.
    pub(crate) fn worker_settings_with(&self, sources: SourcePolicy) -> Result<WorkerSettings> {
        let crash_hook = match self.global.crash_at.as_deref() {
            Some(step) => Some(crash_hook(step.parse()?)),
            None => None,
        };
        Ok(WorkerSettings {
            program: WorkerProgram::this_program(),
            jail: self.jail(),
            engine: glovebox_sandbox::Engine::new()?.configuration_digest(),
            host_binary: program::digest(&self.global.home.join("cache"))?,
            broker: Some(Arc::new(SourceBroker::new(sources))),
            crash_hook,
        })
    }

    /// The party whose key is in `file`, in a room.
    pub(crate) fn party(&self, state: &RoomState, file: &Path) -> Result<Party> {
        let key = read_key(file)?;
        let alias = state.party_with_key(&key.public()).cloned().ok_or_else(|| Refused {
            reason: ReasonCode::UnknownSigner,
            what: format!(
                "the key in {} is no collaborator's in the room {}",
                file.display(),
                state.document().name
            ),
        })?;
        Ok(Party { key, alias })
    }
}

impl Party {
    /// Signs `body` as this party's next statement in a room.
    pub(crate) fn sign(&self, state: &RoomState, body: Body) -> Result<Envelope> {
        let statement = state.next_statement(&self.alias, body, now()).map_err(RoomError::from)?;
        Ok(Envelope::sign(&statement, &self.key)?)
    }
}

fn needs_key() -> anyhow::Error {
    anyhow!(
        "a host shows a room to its collaborators only: say who you are with `--as KEY` or \
         GLOVEBOX_KEY"
    )
}

/// Kills this process, as an operator or the kernel would, when a run comes to `at`.
fn crash_hook(at: CrashPoint) -> CrashHook {
    Arc::new(move |point| {
        if point == at {
            let _ = kill(Pid::this(), Signal::SIGKILL);
        }
    })
}

/// Reads a key file.
pub(crate) fn read_key(file: &Path) -> Result<PrivateKey> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the key file {}", file.display()))?;
    PrivateKey::from_file(&text).with_context(|| format!("{} is not a key file", file.display()))
}

/// The machine's clock, in Unix seconds.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// 32 random hex digits.
pub(crate) fn nonce() -> Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow!("the system gives no randomness: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
