//! What was done for a fleet: a file beside the registry, one line of JSON a step.
//!
//! Which room has which version is in the rooms' own logs, so nothing is lost with this file but two
//! things: the history of roll-outs, and the dates of those under way. A cutover date that was said
//! as `30d` is the same in all rooms of a roll-out, also when half of them get it a day later.
//!
//! The file is locked for as long as a command works on the fleet.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use glovebox_contract::digest::ContentDigest;
use glovebox_contract::name::AssetName;
use glovebox_contract::reason::ReasonCode;
use serde::{Deserialize, Serialize};

use crate::error::{FleetError, Result, Trying as _};
use crate::files;

/// A version of a notebook that is rolled out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// The notebook's name.
    pub notebook: AssetName,
    /// Its version.
    pub version: String,
    /// Its component.
    pub component: ContentDigest,
}

/// When earlier versions stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cutover {
    /// In seconds since 1970-01-01T00:00:00Z.
    pub at: u64,
    /// As it was said, for example `30d`.
    pub said: String,
}

/// A roll-out that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollOut {
    /// Its number in this journal.
    pub number: u64,
    /// When earlier versions stop: the date of its beginning, if it goes on.
    pub cutover: Option<u64>,
    /// How many rooms it reached before, if it goes on.
    pub before: Option<u64>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
enum Step {
    /// A roll-out begins or goes on.
    Begin {
        at: u64,
        rollout: u64,
        offered: Offered,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cutover: Option<Cutover>,
        rooms: usize,
    },
    /// A room was dealt with.
    Room {
        at: u64,
        rollout: u64,
        customer: AssetName,
        outcome: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<ReasonCode>,
    },
    /// Every room has it.
    End { at: u64, rollout: u64 },
}

/// The journal of a fleet, locked.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    steps: Vec<Step>,
    file: Mutex<File>,
}

impl Journal {
    /// Opens the journal beside a registry, for this command alone.
    ///
    /// # Errors
    /// [`FleetError::Busy`] when another command has it; when it is damaged.
    pub fn open(registry: &Path) -> Result<Self> {
        // There is no journal of nothing.
        registry.metadata().trying(|| format!("read the registry `{}`", registry.display()))?;
        let path = files::beside(registry, "journal");
        let opening = || format!("open `{}`", path.display());
        let mut options = File::options();
        let mut file = options.read(true).append(true).create(true).open(&path).trying(opening)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FleetError::Busy(path)),
            Err(TryLockError::Error(error)) => return Err(error).trying(opening),
        }
        let steps = read(&mut file, &path)?;
        Ok(Self { path, steps, file: Mutex::new(file) })
    }

    /// Begins a roll-out, or goes on with the last one of the same component whose cutover was said
    /// in the same words: with the date that it had.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn begin(
        &mut self,
        offered: &Offered,
        cutover: Option<&Cutover>,
        rooms: usize,
    ) -> Result<RollOut> {
        let said = |cutover: Option<&Cutover>| cutover.map(|cutover| cutover.said.clone());
        let known = self.steps.iter().rev().find_map(|step| match step {
            Step::Begin { rollout, offered: before, cutover: date, .. }
                if before == offered && said(date.as_ref()) == said(cutover) =>
            {
                Some((*rollout, date.clone()))
            }
            _ => None,
        });
        let (number, cutover, before) = match known {
            Some((number, date)) => (number, date, Some(self.reached(number))),
            None => (self.next_number(), cutover.cloned(), None),
        };
        let at = cutover.as_ref().map(|cutover| cutover.at);
        let offered = offered.clone();
        let begin = Step::Begin { at: crate::now(), rollout: number, offered, cutover, rooms };
        self.write(&begin)?;
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.sync_all().trying(|| self.writing())?;
        drop(file);
        self.steps.push(begin);
        Ok(RollOut { number, cutover: at, before })
    }

    /// Notes what came of a room.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn note(
        &self,
        rollout: &RollOut,
        customer: &AssetName,
        outcome: &str,
        reason: Option<ReasonCode>,
    ) -> Result<()> {
        self.write(&Step::Room {
            at: crate::now(),
            rollout: rollout.number,
            customer: customer.clone(),
            outcome: outcome.to_owned(),
            reason,
        })
    }

    /// Notes that every room has it.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn end(&self, rollout: &RollOut) -> Result<()> {
        self.write(&Step::End { at: crate::now(), rollout: rollout.number })
    }

    /// How many rooms a roll-out has reached.
    fn reached(&self, number: u64) -> u64 {
        let mut reached = std::collections::BTreeSet::new();
        for step in &self.steps {
            if let Step::Room { rollout, customer, reason: None, .. } = step
                && *rollout == number
            {
                reached.insert(customer);
            }
        }
        u64::try_from(reached.len()).unwrap_or(u64::MAX)
    }

    fn next_number(&self) -> u64 {
        let numbers = self.steps.iter().map(|step| match step {
            Step::Begin { rollout, .. }
            | Step::Room { rollout, .. }
            | Step::End { rollout, .. } => *rollout,
        });
        numbers.max().unwrap_or(0).saturating_add(1)
    }

    fn write(&self, step: &Step) -> Result<()> {
        let mut line =
            serde_json::to_vec(step).map_err(io::Error::from).trying(|| self.writing())?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line).trying(|| self.writing())
    }

    fn writing(&self) -> String {
        format!("write `{}`", self.path.display())
    }
}

/// All whole lines. What a dead process left behind the last one is cut off.
fn read(file: &mut File, path: &Path) -> Result<Vec<Step>> {
    let reading = || format!("read `{}`", path.display());
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).trying(reading)?;
    file.read_to_string(&mut text).trying(reading)?;
    let whole = text.rfind('\n').map_or(0, |end| end.saturating_add(1));
    if whole < text.len() {
        file.set_len(u64::try_from(whole).unwrap_or(u64::MAX)).trying(reading)?;
    }
    let lines = text.get(..whole).unwrap_or_default().lines().enumerate();
    let steps = lines.map(|(number, line)| {
        serde_json::from_str(line).map_err(|error| {
            let line = number.saturating_add(1);
            FleetError::file(path.display().to_string(), format!("line {line}: {error}"))
        })
    });
    steps.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry_in(directory: &tempfile::TempDir) -> PathBuf {
        let registry = directory.path().join("fleet.toml");
        std::fs::write(&registry, "").unwrap();
        registry
    }

    fn offered(component: &str) -> Offered {
        Offered {
            notebook: "delays".parse().unwrap(),
            version: "1.0.0".into(),
            component: ContentDigest::of(component.as_bytes()),
        }
    }

    fn cutover(said: &str, at: u64) -> Cutover {
        Cutover { at, said: said.into() }
    }

    #[test]
    fn a_roll_out_that_goes_on_keeps_its_date() {
        let directory = tempfile::tempdir().unwrap();
        let registry = registry_in(&directory);
        let open = || Journal::open(&registry).unwrap();
        let first = open().begin(&offered("a"), Some(&cutover("30d", 100)), 3).unwrap();
        assert_eq!(first, RollOut { number: 1, cutover: Some(100), before: None });
        let journal = open();
        for (customer, reason) in
            [("acme", None), ("acme", None), ("best", Some(ReasonCode::Unavailable))]
        {
            journal.note(&first, &customer.parse().unwrap(), "x", reason).unwrap();
        }
        drop(journal);
        let again = open().begin(&offered("a"), Some(&cutover("30d", 900)), 3).unwrap();
        assert_eq!(again, RollOut { number: 1, cutover: Some(100), before: Some(1) });
        // Other words or another component are another roll-out.
        let check = |component: &str, said: Option<&Cutover>, expect: RollOut| {
            assert_eq!(open().begin(&offered(component), said, 3).unwrap(), expect);
        };
        let new = |number, cutover| RollOut { number, cutover, before: None };
        check("a", Some(&cutover("20d", 70)), new(2, Some(70)));
        check("a", None, new(3, None));
        check("b", Some(&cutover("30d", 900)), new(4, Some(900)));
        check("b", Some(&cutover("30d", 901)), RollOut { before: Some(0), ..new(4, Some(900)) });
    }

    #[test]
    fn half_a_line_is_cut_off_and_a_damaged_one_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let registry = registry_in(&directory);
        let path = directory.path().join("fleet.toml.journal");
        let first = Journal::open(&registry).unwrap().begin(&offered("a"), None, 1).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{whole}{{\"step\":\"ro")).unwrap();
        let journal = Journal::open(&registry).unwrap();
        journal.end(&first).unwrap();
        drop(journal);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(&whole), "{text}");
        assert_eq!(text.lines().count(), 2, "{text}");
        assert_eq!(Journal::open(&registry).unwrap().steps.len(), 2);
        std::fs::write(&path, format!("nonsense\n{whole}")).unwrap();
        let error = Journal::open(&registry).unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
    }

    #[test]
    fn one_command_at_a_time_works_on_a_fleet() {
        let directory = tempfile::tempdir().unwrap();
        let registry = registry_in(&directory);
        let first = Journal::open(&registry).unwrap();
        assert!(matches!(Journal::open(&registry), Err(FleetError::Busy(_))));
        drop(first);
        Journal::open(&registry).unwrap();
        let missing = directory.path().join("other.toml");
        assert!(matches!(Journal::open(&missing), Err(FleetError::Local { .. })));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "no stray journal");
    }
}
