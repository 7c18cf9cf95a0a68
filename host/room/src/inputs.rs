//! The inputs of a run: what its grants name, opened where this host knows it to be.

use std::collections::BTreeMap;
use std::path::PathBuf;

use glovebox_contract::column::Column;
use glovebox_contract::digest::{Blake3Digest, ContentDigest};
use glovebox_contract::grants::{Grants, TableSource};
use glovebox_contract::name::{Identifier, TableName};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::statement::{FileDigest, Snapshot};

use crate::error::{Result, RoomError};
use crate::kept::HeldFiles;
use crate::remote::{OpenedRemote, RemoteInputs};
use crate::room::Room;
use crate::sources::{self, DigestCache, Files, OpenedSource, Progress, Rows, Source};
use crate::volumes::OpenedVolumes;
use crate::worker::WorkerSettings;

/// How often the place of a table is looked up again when it changes meanwhile.
pub(crate) const ATTEMPTS: usize = 3;

/// Everything that a run reads.
pub(crate) struct OpenedInputs {
    /// The tables, by the notebook's names.
    pub(crate) tables: BTreeMap<TableName, OpenedInput>,
    pub(crate) remote: RemoteInputs,
    pub(crate) volumes: OpenedVolumes,
}

/// A table or a view that a run reads.
pub(crate) struct OpenedInput {
    /// The files' name, or the view's, of each granted column that is called otherwise there.
    pub(crate) renamed: BTreeMap<String, String>,
    pub(crate) rows: OpenedRows,
}

/// Where the rows of an input are.
pub(crate) enum OpenedRows {
    Files(OpenedFiles),
    View { sql: String, tables: BTreeMap<Identifier, OpenedFiles> },
    Remote(Box<OpenedRemote>),
}

/// The files of a table.
pub(crate) struct OpenedFiles {
    pub(crate) opened: OpenedSource,
    place: PathBuf,
    /// What holds the files, when this host keeps them.
    kept: Option<HeldFiles>,
    /// All columns of the files, granted or not.
    pub(crate) columns: Vec<Column>,
}

impl OpenedInput {
    /// The tables of files that it reads: one, or those behind a view, in order of their names.
    fn tables(&self) -> Vec<&OpenedFiles> {
        match &self.rows {
            OpenedRows::Files(files) => vec![files],
            OpenedRows::View { tables, .. } => tables.values().collect(),
            OpenedRows::Remote(_) => Vec::new(),
        }
    }

    fn count_files(&self) -> usize {
        self.tables().iter().map(|table| table.opened.files.len()).sum()
    }

    /// What its files hold now. `name` is for messages.
    /// `progress` may end the reading.
    pub(crate) fn snapshot(
        &self,
        name: &TableName,
        cache: &dyn DigestCache,
        progress: &mut Progress<'_>,
    ) -> Result<Snapshot> {
        if let OpenedRows::Remote(remote) = &self.rows {
            return Ok(remote.snapshot.clone());
        }
        let mut snapshot = Snapshot::default();
        for table in self.tables() {
            let digests = table.opened.digests(name, cache, progress)?;
            table.check_pinned(name, &digests)?;
            if let OpenedRows::View { .. } = self.rows {
                snapshot.tables.push(u64::try_from(digests.len()).unwrap_or(u64::MAX));
            }
            let files = digests.into_iter().map(|(digest, bytes)| FileDigest { bytes, digest });
            snapshot.files.extend(files);
        }
        Ok(snapshot)
    }
}

impl OpenedFiles {
    /// Files that a party uploaded are those that it uploaded.
    fn check_pinned(&self, table: &TableName, digests: &[(ContentDigest, u64)]) -> Result<()> {
        let Some(kept) = &self.kept else { return Ok(()) };
        let files = self.opened.files.iter().zip(digests);
        let unchanged = self.opened.files.len() == kept.count(&self.place)
            && files.into_iter().all(|(file, (digest, bytes))| {
                let pin = file.name.to_str().and_then(|name| kept.pin(&self.place, name));
                pin == Some(&FileDigest { bytes: *bytes, digest: *digest })
            });
        if unchanged {
            return Ok(());
        }
        Err(RoomError::new(
            ReasonCode::InputChanged,
            format!("table {table}: its files on this host are not those that were uploaded"),
        ))
    }
}

impl OpenedInputs {
    /// Fails when something of this host is not what it was when it was opened.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        let tables = self.tables.values().flat_map(OpenedInput::tables);
        tables.into_iter().try_for_each(|table| table.opened.check_unchanged())?;
        self.volumes.iter().try_for_each(|(name, volume)| volume.check_unchanged(name))
    }
}

impl Room {
    /// Opens the tables and the volumes of a run.
    /// `progress` may end the opening of tables and the reading of volumes.
    pub(crate) fn open_inputs(
        &self,
        settings: &WorkerSettings,
        grants: &Grants,
        progress: &mut Progress<'_>,
    ) -> Result<OpenedInputs> {
        let pinned: usize = grants.volumes().values().map(BTreeMap::len).sum();
        let mut remote = RemoteInputs::default();
        let mut tables = BTreeMap::new();
        for (name, source) in grants.sources() {
            progress(0).map_err(|error| RoomError::io("cannot open the tables of a run", error))?;
            let opened = self.open_table(settings, (grants, name), source, &mut remote)?;
            tables.insert(name.clone(), opened);
        }
        let read: usize = tables.values().map(OpenedInput::count_files).sum();
        let most = grants.limits().open_files;
        // The worker opens the machine code and its outputs besides.
        let others = grants.outputs().len().saturating_add(1);
        let all = read.saturating_add(pinned).saturating_add(others);
        if u64::try_from(all).is_ok_and(|all| all <= most) {
            let volumes = self.open_volumes(grants, progress)?;
            return Ok(OpenedInputs { tables, remote, volumes });
        }
        Err(RoomError::new(
            ReasonCode::PolicyLimit,
            format!(
                "the run needs {all} open files, {read} of its tables and {pinned} of its volumes; \
                 the room allows {most}"
            ),
        ))
    }

    fn open_table(
        &self,
        settings: &WorkerSettings,
        (grants, input): (&Grants, &TableName),
        TableSource { table, renamed }: &TableSource,
        remote: &mut RemoteInputs,
    ) -> Result<OpenedInput> {
        let granted = grants.tables().get(input).map(Vec::as_slice).unwrap_or_default();
        if let Some(files) = self.derived_files(table)? {
            let rows = OpenedRows::Files(self.open_own_files(table, files)?);
            return Ok(OpenedInput { renamed: chain(granted, [renamed]), rows });
        }
        // Files that are kept here are removed when their table is replaced, perhaps just now.
        let mut attempts = 0;
        loop {
            let source = self.known_source(table)?;
            attempts += 1;
            let names = (granted, renamed);
            match self.open_source(settings, table, names, source.clone(), remote) {
                Err(_) if attempts < ATTEMPTS && self.known_source(table)? != source => {}
                result => return result,
            }
        }
    }

    fn known_source(&self, table: &TableName) -> Result<Source> {
        self.table_source(table)?.ok_or_else(|| {
            RoomError::new(
                ReasonCode::InputUnreadable,
                format!("table {table}: this host does not know where it is; add it again"),
            )
        })
    }

    fn open_source(
        &self,
        settings: &WorkerSettings,
        table: &TableName,
        (granted, renamed): (&[Column], &BTreeMap<String, String>),
        Source { aliases, rows }: Source,
        remote: &mut RemoteInputs,
    ) -> Result<OpenedInput> {
        let rows = match rows {
            Rows::Files(files) => OpenedRows::Files(self.open_files(table, files)?),
            Rows::View { sql, tables } => {
                self.check_definition(table, &sql)?;
                let tables = tables.into_iter();
                let tables = tables.map(|(name, files)| Ok((name, self.open_files(table, files)?)));
                OpenedRows::View { sql, tables: tables.collect::<Result<_>>()? }
            }
            Rows::Remote(rows) => {
                let opened = remote.open(self, settings, table, (rows.as_ref(), &aliases))?;
                let renamed = chain(granted, [renamed, &aliases, &opened.names_in_files]);
                return Ok(OpenedInput { renamed, rows: OpenedRows::Remote(Box::new(opened)) });
            }
        };
        Ok(OpenedInput { renamed: chain(granted, [renamed, &aliases]), rows })
    }

    fn open_files(&self, table: &TableName, files: Files) -> Result<OpenedFiles> {
        let kept = self.kept.hold(&files.path);
        let kept = kept.map_err(|error| sources::unreadable(table, error))?;
        let opened = sources::open(table, &files.path, Some(files.format))?;
        let opened = if kept.is_some() { opened.owned() } else { opened };
        Ok(OpenedFiles { opened, columns: files.columns, kept, place: files.path })
    }

    /// Opens files that this host made.
    fn open_own_files(&self, table: &TableName, files: Files) -> Result<OpenedFiles> {
        let opened = self.open_files(table, files)?;
        Ok(OpenedFiles { opened: opened.opened.owned(), ..opened })
    }

    /// The SQL that this host keeps is the one that the view's statement is about.
    fn check_definition(&self, view: &TableName, sql: &str) -> Result<()> {
        let stated = self.state.table(view).and_then(|table| table.view);
        if stated == Some(Blake3Digest::of(sql.as_bytes())) {
            return Ok(());
        }
        Err(RoomError::new(
            ReasonCode::InputChanged,
            format!(
                "view {view}: this host keeps another definition than was published; add it again"
            ),
        ))
    }
}

/// The files' names of the granted columns that they call otherwise. Each of `names` leads one step
/// on: the notebook's name stands for the table's, and that for the files'.
fn chain<const STEPS: usize>(
    granted: &[Column],
    names: [&BTreeMap<String, String>; STEPS],
) -> BTreeMap<String, String> {
    let renamed = granted.iter().filter_map(|Column { name, .. }| {
        let in_files = names.iter().fold(name, |name, step| step.get(name).unwrap_or(name));
        (in_files != name).then(|| (name.clone(), in_files.clone()))
    });
    renamed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_notebook_table_and_files_chain() {
        let check = |names: &str, renamed: &str, aliases: &str, expect: &str| {
            let pairs = |text: &str| -> BTreeMap<String, String> {
                let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
                pairs.map(|(name, other)| (name.into(), other.into())).collect()
            };
            let column = |name: &str| {
                let json = serde_json::json!({ "name": name, "type": "utf8" });
                serde_json::from_value(json).unwrap()
            };
            let granted: Vec<Column> = names.split_whitespace().map(column).collect();
            let chained = chain(&granted, [&pairs(renamed), &pairs(aliases)]);
            assert_eq!(chained, pairs(expect), "{names}, {renamed}, {aliases}");
        };
        check("email age", "", "", "");
        check("email age", "email=mail", "", "email=mail");
        check("email age", "", "email=eml", "email=eml");
        check("email age", "email=mail", "mail=eml", "email=eml");
        // The files' own `mail` is another column, or published as another.
        check("email mail", "email=mail mail=email", "mail=email email=mail", "");
        check("a b", "", "a=b b=a", "a=b b=a");
        check("a b", "a=x b=x", "x=eml", "a=eml b=eml");
        // Not granted.
        check("age", "", "email=eml", "");
    }

    #[test]
    fn names_of_a_mapped_table_are_one_step_further() {
        let column = serde_json::from_value(serde_json::json!({ "name": "a", "type": "utf8" }));
        let step = |from: &str, to: &str| BTreeMap::from([(from.to_owned(), to.to_owned())]);
        let steps = [&step("a", "b"), &step("b", "c"), &step("c", "col-1")];
        assert_eq!(chain(&[column.unwrap()], steps), step("a", "col-1"));
    }
}
