//! The party's catalog: what its people call local tables, and where those are on this machine.
//!
//! A TOML file, read anew at each use. Nothing outside of it can be named over REST, so a caller
//! cannot reach other files of this machine. Relative paths start at the catalog's folder.
//!
//! ```toml
//! [tables."sales.core.orders"]
//! path = "data/orders"                  # a file, or a folder of files
//! description = "One row for each order."
//! columns = ["day", "region", "email_hash"]   # offered; all when absent
//! aliases = { email_hash = "mail_h" }         # published name = name in the files
//! join_keys.email_hash = { kind = "email", profile = "uid2", version = 1 }
//!
//! [views."sales.core.recent"]
//! sql = "recent.sql"
//! tables = { orders = "sales.core.orders" }   # name in the SQL = local name of a table
//!
//! [volumes."sales.models.v1"]
//! path = "models/v1"
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use glovebox_contract::join_key::JoinKey;
use glovebox_contract::name::Identifier;
use serde::Deserialize;

use crate::call::shown;
use crate::error::Failure;

/// Most bytes of a catalog file.
const MAX_CATALOG_BYTES: u64 = 4 << 20;

/// The catalog as its file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Catalog {
    tables: BTreeMap<String, LocalTable>,
    views: BTreeMap<String, LocalView>,
    volumes: BTreeMap<String, LocalVolume>,
    #[serde(skip)]
    folder: PathBuf,
}

/// A table of this machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LocalTable {
    path: PathBuf,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    join_keys: BTreeMap<String, JoinKey>,
}

/// A view over tables of this machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LocalView {
    sql: PathBuf,
    tables: BTreeMap<Identifier, String>,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    join_keys: BTreeMap<String, JoinKey>,
}

/// What of a table or a view is offered, and what is said about it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offer {
    /// The files' name of each column that is published under another.
    pub(crate) aliases: BTreeMap<String, String>,
    /// The columns that are offered; all when there is none.
    pub(crate) columns: Vec<String>,
    /// What it holds.
    pub(crate) description: String,
    /// How columns of join keys were made.
    pub(crate) join_keys: BTreeMap<String, JoinKey>,
}

/// Files of this machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LocalVolume {
    path: PathBuf,
    /// What it holds.
    #[serde(default)]
    pub(crate) description: String,
}

impl Catalog {
    /// Reads the file.
    ///
    /// # Errors
    /// The caller learns that it cannot be read; the gateway's log says why, with the path.
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        let broken = |why: String| {
            tracing::error!(file = %file.display(), why, "the catalog cannot be read");
            Failure::unavailable("the party's catalog cannot be read; the gateway's log says why")
        };
        let size = std::fs::metadata(file).map_err(|error| broken(error.to_string()))?.len();
        if size > MAX_CATALOG_BYTES {
            return Err(broken(format!("it has {size} bytes")));
        }
        let text = std::fs::read_to_string(file).map_err(|error| broken(error.to_string()))?;
        let mut catalog: Self = toml::from_str(&text).map_err(|error| broken(error.to_string()))?;
        catalog.folder = file.parent().unwrap_or_else(|| Path::new("")).to_owned();
        Ok(catalog)
    }

    /// How the table with this local name is offered, and where its files are.
    pub(crate) fn table(&self, local_name: &str) -> Result<(Offer, PathBuf), Failure> {
        let table = self.tables.get(local_name).ok_or_else(|| unknown("table", local_name))?;
        let LocalTable { path, aliases, columns, description, join_keys } = table.clone();
        Ok((Offer { aliases, columns, description, join_keys }, self.folder.join(path)))
    }

    /// The view with this local name, its SQL, and where the files behind it are.
    pub(crate) fn view(&self, local_name: &str) -> Result<View, Failure> {
        let view = self.views.get(local_name).ok_or_else(|| unknown("view", local_name))?;
        let mut tables = BTreeMap::new();
        for (name, local) in &view.tables {
            tables.insert(name.clone(), self.table(local)?.1);
        }
        let file = self.folder.join(&view.sql);
        let sql = std::fs::read_to_string(&file).map_err(|error| {
            tracing::error!(file = %file.display(), %error, "the SQL of a view cannot be read");
            let name = shown(local_name);
            Failure::unavailable(format!("the SQL of the view `{name}` cannot be read"))
        })?;
        let LocalView { aliases, columns, description, join_keys, .. } = view.clone();
        Ok(View { offer: Offer { aliases, columns, description, join_keys }, sql, tables })
    }

    /// The volume with this local name, and where its files are.
    pub(crate) fn volume(&self, local_name: &str) -> Result<(&LocalVolume, PathBuf), Failure> {
        let volume = self.volumes.get(local_name).ok_or_else(|| unknown("volume", local_name))?;
        Ok((volume, self.folder.join(&volume.path)))
    }
}

/// A view with what is behind it.
#[derive(Debug)]
pub(crate) struct View {
    /// How it is offered.
    pub(crate) offer: Offer,
    /// Its query.
    pub(crate) sql: String,
    /// Where the files of each table in the query are.
    pub(crate) tables: BTreeMap<Identifier, PathBuf>,
}

fn unknown(kind: &str, local_name: &str) -> Failure {
    let name = shown(local_name);
    Failure::missing(format!("the party's catalog has no {kind} with the local name `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(text: &str) -> (tempfile::TempDir, Result<Catalog, Failure>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("catalog.toml");
        std::fs::write(&file, text).unwrap();
        std::fs::write(folder.path().join("recent.sql"), "SELECT 1").unwrap();
        let read = Catalog::read(&file);
        (folder, read)
    }

    #[test]
    fn the_example_reads() {
        let text: String = include_str!("catalog.rs")
            .lines()
            .skip_while(|line| *line != "//! ```toml")
            .skip(1)
            .take_while(|line| *line != "//! ```")
            .map(|line| format!("{}\n", line.trim_start_matches("//!")))
            .collect();
        let (folder, catalog) = catalog(&text);
        let catalog = catalog.unwrap();
        let (offer, path) = catalog.table("sales.core.orders").unwrap();
        assert_eq!(path, folder.path().join("data/orders"));
        assert_eq!(offer.columns, ["day", "region", "email_hash"]);
        assert_eq!(offer.join_keys.len(), 1);
        let view = catalog.view("sales.core.recent").unwrap();
        assert_eq!((view.sql.as_str(), view.tables.len()), ("SELECT 1", 1));
        assert_eq!(catalog.volume("sales.models.v1").unwrap().1, folder.path().join("models/v1"));
    }

    #[test]
    fn what_is_not_in_it_cannot_be_named() {
        let (_folder, catalog) = catalog("[tables.a]\npath = \"a.csv\"\n");
        let catalog = catalog.unwrap();
        for name in ["/etc/passwd", "../a", "a.csv", "", "A"] {
            assert_eq!(catalog.table(name).unwrap_err().code(), "RESOURCE_DOES_NOT_EXIST");
        }
        assert!(catalog.view("a").is_err());
    }

    #[test]
    fn a_broken_file_is_not_half_read_and_not_shown() {
        for text in ["tables = 1", "[tables.a]\npath = 'a'\nsecret = 'x'", "[more]"] {
            let failure = catalog(text).1.unwrap_err();
            assert_eq!(failure.code(), "TEMPORARILY_UNAVAILABLE", "{text}");
            assert!(!failure.message().contains("secret"));
        }
        let view = "[views.v]\nsql = 'recent.sql'\ntables = { t = 'missing' }";
        assert!(catalog(view).1.unwrap().view("v").is_err());
    }
}
