//! The inputs of a run: what its grants name, opened where this host knows it to be.

use std::collections::BTreeMap;

use glovebox_contract::column::Column;
use glovebox_contract::grants::{Grants, TableSource};
use glovebox_contract::name::TableName;
use glovebox_contract::reason::ReasonCode;

use crate::error::{Result, RoomError};
use crate::room::Room;
use crate::sources::{self, OpenedSource};
use crate::volumes::OpenedVolumes;

/// Everything that a run reads.
pub(crate) struct OpenedInputs {
    /// The tables, by the notebook's names.
    pub(crate) tables: BTreeMap<TableName, OpenedInput>,
    pub(crate) volumes: OpenedVolumes,
}

/// An input table of a run.
pub(crate) struct OpenedInput {
    pub(crate) opened: OpenedSource,
    /// All columns of the files, granted or not.
    pub(crate) file_columns: Vec<Column>,
    /// The files' name of each granted column that they call otherwise.
    pub(crate) renamed: BTreeMap<String, String>,
}

impl OpenedInputs {
    /// Fails when something is not what it was when it was opened.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        self.tables.values().try_for_each(|input| input.opened.check_unchanged())?;
        self.volumes.iter().try_for_each(|(name, volume)| volume.check_unchanged(name))
    }
}

impl Room {
    /// Opens the tables and the volumes of a run.
    pub(crate) fn open_inputs(&self, grants: &Grants) -> Result<OpenedInputs> {
        let pinned: usize = grants.volumes().values().map(BTreeMap::len).sum();
        let tables: BTreeMap<_, _> = grants
            .sources()
            .iter()
            .map(|(name, source)| Ok((name.clone(), self.open_table(grants, name, source)?)))
            .collect::<Result<_>>()?;
        let read: usize = tables.values().map(|input: &OpenedInput| input.opened.files.len()).sum();
        let most = grants.limits().open_files;
        // The worker opens the machine code and its outputs besides.
        let others = grants.outputs().len().saturating_add(1);
        let all = read.saturating_add(pinned).saturating_add(others);
        if u64::try_from(all).is_ok_and(|all| all <= most) {
            return Ok(OpenedInputs { tables, volumes: self.open_volumes(grants)? });
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
        grants: &Grants,
        input: &TableName,
        TableSource { table, renamed }: &TableSource,
    ) -> Result<OpenedInput> {
        let source = self.store.source(table)?.ok_or_else(|| {
            RoomError::new(
                ReasonCode::InputUnreadable,
                format!("table {table}: this host does not know where it is; add it again"),
            )
        })?;
        let opened = sources::open(table, &source.path, Some(source.format))?;
        let granted = grants.tables().get(input).map(Vec::as_slice).unwrap_or_default();
        let renamed = chain(granted, renamed, &source.aliases);
        Ok(OpenedInput { opened, file_columns: source.file_columns, renamed })
    }
}

/// The files' names of the granted columns that they call otherwise: the notebook's name stands
/// for the table's, and that for the files'.
fn chain(
    granted: &[Column],
    renamed: &BTreeMap<String, String>,
    aliases: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let names = granted.iter().filter_map(|Column { name, .. }| {
        let published = renamed.get(name).unwrap_or(name);
        let in_files = aliases.get(published).unwrap_or(published);
        (in_files != name).then(|| (name.clone(), in_files.clone()))
    });
    names.collect()
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
            let chained = chain(&granted, &pairs(renamed), &pairs(aliases));
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
}
