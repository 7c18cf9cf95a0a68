//! Adds an asset: finds its files, brings them to the host, signs what is offered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use glovebox_api::wire::{Described, TableFiles, UploadedFile, ViewFiles};
use glovebox_build::BuildOptions;
use glovebox_client::{RemoteRoom, Session};
use glovebox_contract::column::Column;
use glovebox_contract::manifest::ComponentKind;
use glovebox_contract::name::{Alias, TableName};
use glovebox_contract::statement::{
    AssetStatement, Body, FileDigest, NotebookAsset, TableAsset, VolumeAsset,
};

use super::body::{Asset, Kind, Name, Offered};
use crate::Inspected;
use crate::app::App;
use crate::call::shown;
use crate::catalog::Offer;
use crate::error::Failure;
use crate::local;
use crate::store::Pending;

/// What every component starts with.
const WASM_MAGIC: &[u8] = b"\0asm";

/// Adds what a call asked for. `again` after a restart, when it may have been added already.
pub(super) fn add(app: &App, pending: &Pending, again: bool) -> Result<(), Failure> {
    let mut room = app.host.open(&pending.room)?;
    let kind: Kind = pending.kind.parse()?;
    let name = Name::read(kind, &pending.name)?;
    match Asset::read(&pending.asset)?.offered(kind)? {
        Offered::Notebook { content, description, replaces, runners } => {
            let content = Content { bytes: content, description, replaces, runners };
            add_notebook(app, &mut room, &name, content, again)
        }
        Offered::Local { local_name, columns } => {
            let table = name.table()?;
            let me = app.me(room.state())?;
            if table.schema() != me.as_str() {
                return Err(Failure::invalid(format!("the assets of {me} are named {me}.…")));
            }
            match kind {
                Kind::Volume => add_volume(app, &mut room, &table, &local_name)?,
                _ => add_table(app, &mut room, kind, &table, &local_name, &columns)?,
            }
            app.store.set_local_name(&pending.room, kind.as_str(), &name.plain, &local_name)
        }
    }
}

fn add_table(
    app: &App,
    room: &mut RemoteRoom,
    kind: Kind,
    name: &TableName,
    local_name: &str,
    columns: &[String],
) -> Result<(), Failure> {
    let catalog = app.catalog()?;
    let session = room.session().clone();
    let (offer, source) = if kind == Kind::View {
        let view = catalog.view(local_name)?;
        let mut tables = BTreeMap::new();
        for (table, path) in &view.tables {
            tables.insert(table.clone(), upload_table(&session, local_name, path)?);
        }
        let view_files = ViewFiles { sql: view.sql, tables };
        let aliases = view.offer.aliases.clone();
        (view.offer, TableFiles { aliases, view: Some(view_files), ..TableFiles::default() })
    } else {
        let (offer, path) = catalog.table(local_name)?;
        let files = upload_table(&session, local_name, &path)?;
        let aliases = offer.aliases.clone();
        (offer, TableFiles { aliases, files, ..TableFiles::default() })
    };
    let described = room.describe(&source)?;
    let asset = TableAsset {
        columns: chosen(&described, &offer, columns)?,
        description: offer.description,
        join_keys: offer.join_keys,
        name: name.clone(),
        output: None,
        view: described.definition,
    };
    room.add_table_with(&source, |_| Ok(Body::Asset(AssetStatement::Table(asset.clone()))))?;
    Ok(())
}

/// The columns that the catalog offers, or those of them that the caller names.
fn chosen(described: &Described, offer: &Offer, asked: &[String]) -> Result<Vec<Column>, Failure> {
    let open = |name: &String| offer.columns.is_empty() || offer.columns.contains(name);
    if let Some(name) = asked.iter().find(|name| !open(name)) {
        let name = shown(name);
        return Err(Failure::invalid(format!("the catalog does not offer the column `{name}`")));
    }
    let wanted = if asked.is_empty() { &offer.columns } else { asked };
    let there = |name: &String| described.columns.iter().any(|column| column.name == *name);
    if let Some(name) = wanted.iter().find(|name| !there(name)) {
        let name = shown(name);
        return Err(Failure::invalid(format!("the table has no column `{name}`")));
    }
    let columns = described.columns.iter();
    let columns = columns.filter(|column| wanted.is_empty() || wanted.contains(&column.name));
    Ok(columns.cloned().collect())
}

fn upload_table(
    session: &Session,
    local_name: &str,
    path: &Path,
) -> Result<Vec<UploadedFile>, Failure> {
    let files = local::table_files(path).map_err(|error| unreadable(local_name, error))?;
    let upload = |(name, path): (String, PathBuf)| {
        Ok(UploadedFile { digest: upload(session, local_name, &path)?, name })
    };
    files.into_iter().map(upload).collect()
}

fn upload(session: &Session, local_name: &str, file: &Path) -> Result<FileDigest, Failure> {
    session.upload(file, &mut |_, _| {}).map_err(|error| match error {
        glovebox_client::ClientError::Local { source, .. } => unreadable(local_name, source),
        other => other.into(),
    })
}

/// The caller knows the local name; where it leads is the gateway's own business.
fn unreadable(local_name: &str, error: std::io::Error) -> Failure {
    tracing::error!(local_name, %error, "local files cannot be read");
    let name = shown(local_name);
    Failure::state(format!("the files of `{name}` cannot be read; the gateway's log says why"))
}

fn add_volume(
    app: &App,
    room: &mut RemoteRoom,
    name: &TableName,
    local_name: &str,
) -> Result<(), Failure> {
    let catalog = app.catalog()?;
    let (volume, path) = catalog.volume(local_name)?;
    let session = room.session().clone();
    let found = local::volume_files(&path).map_err(|error| unreadable(local_name, error))?;
    let mut files = BTreeMap::new();
    for (file, path) in found {
        files.insert(file, upload(&session, local_name, &path)?);
    }
    let asset = VolumeAsset { description: volume.description.clone(), files, name: name.clone() };
    room.submit_with(|_| Ok(Body::Asset(AssetStatement::Volume(asset.clone()))))?;
    Ok(())
}

struct Content {
    bytes: Vec<u8>,
    description: Option<String>,
    replaces: Option<String>,
    runners: Option<Vec<Alias>>,
}

fn add_notebook(
    app: &App,
    room: &mut RemoteRoom,
    name: &Name,
    content: Content,
    again: bool,
) -> Result<(), Failure> {
    let me = app.me(room.state())?;
    let packaged = room.state().document().package_provider.as_ref() == Some(&me);
    check_replaced(room, name, content.replaces.as_deref())?;
    let component = component(content.bytes, packaged)?;
    let inspected = (app.inspect)(&component).map_err(|why| {
        Failure::invalid(format!("notebook_content is not a component that a room takes: {why}"))
    })?;
    let Inspected { digest, manifest, imports, hidden, .. } = inspected;
    if manifest.kind != ComponentKind::Notebook {
        return Err(Failure::invalid(
            "the component is a library: add it with `glovebox library add`",
        ));
    }
    if manifest.name.as_str() != name.plain {
        let own = &manifest.name;
        return Err(Failure::invalid(format!(
            "the notebook calls itself `{own}`, and that is its name in the room"
        )));
    }
    if content.description.is_some_and(|text| text != manifest.description) {
        return Err(Failure::invalid(
            "description: it stands in the notebook itself, where approvals cover it; leave it out",
        ));
    }
    let runners = match content.runners {
        Some(runners) => runners.into_iter().collect(),
        None => {
            let members = room.state().members().map(|member| member.alias().clone());
            members.filter(|alias| *alias != me).collect()
        }
    };
    let asset = NotebookAsset {
        bindings: BTreeMap::new(),
        component: digest,
        component_bytes: component.len() as u64,
        cutover: None,
        hidden,
        interfaces: imports,
        manifest,
        runners,
    };
    let newest = room.state().notebook(&asset.manifest.name).ok().and_then(|known| known.latest());
    if again && newest.is_some_and(|version| *version.asset() == asset) {
        return Ok(());
    }
    room.session().upload_bytes(&component)?;
    room.submit_with(|_| Ok(Body::Asset(AssetStatement::Notebook(Box::new(asset.clone())))))?;
    Ok(())
}

/// Whoever says which revision it replaces learns when another came in between.
fn check_replaced(room: &RemoteRoom, name: &Name, replaces: Option<&str>) -> Result<(), Failure> {
    let Some(etag) = replaces else { return Ok(()) };
    let notebook = room.state().notebook(&name.notebook()?)?;
    let newest = notebook.latest().and_then(|version| version.revision_digest());
    if newest.is_some_and(|newest| newest.to_string() == etag) {
        return Ok(());
    }
    Err(Failure::conflict(format!(
        "etag: the newest revision of {} is another; read it, then update that",
        name.plain
    )))
}

/// The component itself, or what its source makes. The build runs nothing of the source outside of
/// WebAssembly: a single file has no build scripts.
fn component(content: Vec<u8>, packaged: bool) -> Result<Vec<u8>, Failure> {
    if content.starts_with(WASM_MAGIC) {
        return Ok(content);
    }
    let extension = extension_of(&content)?;
    let directory = tempfile::tempdir().map_err(Failure::internal)?;
    let file = directory.path().join(format!("notebook.{extension}"));
    std::fs::write(&file, &content).map_err(Failure::internal)?;
    // The code of a packaged room is hidden from those who run it.
    let options = BuildOptions { hidden: packaged, ..BuildOptions::default() };
    let built =
        glovebox_build::build(&file, &options, &mut |step| tracing::debug!(step, "building"));
    let built = built.map_err(|error| {
        let at = error.position().map(|at| format!("line {}, column {}: ", at.line, at.column));
        let help = error.help_text().map(|help| format!("; {help}")).unwrap_or_default();
        let (at, what) = (at.unwrap_or_default(), error.message());
        Failure::invalid(format!("notebook_content: {at}{what}{help}"))
    })?;
    Ok(built.into_bytes())
}

/// What a source is written in: Jupyter's file is JSON, a SQL notebook starts with a comment of its
/// own, the rest is Python.
fn extension_of(content: &[u8]) -> Result<&'static str, Failure> {
    let text = std::str::from_utf8(content).map_err(|_| {
        Failure::invalid("notebook_content: neither a component nor the text of a notebook")
    })?;
    let start = text.trim_start_matches('\u{feff}').trim_start();
    if start.starts_with('<') {
        return Err(Failure::invalid(
            "notebook_content: HTML is what a notebook looks like; give its source, which is .sql, \
             .py or .ipynb, or a built component",
        ));
    }
    Ok(match start.chars().next() {
        Some('{') => "ipynb",
        Some('/') => "sql",
        _ => "py",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart() {
        let check = |text: &str, extension: &str| {
            assert_eq!(extension_of(text.as_bytes()).unwrap(), extension, "{text}");
        };
        check("/* glovebox notebook\n*/ SELECT 1", "sql");
        check("\n{\"cells\": []}", "ipynb");
        check("# /// glovebox\n# %%", "py");
        assert!(extension_of(b"<!DOCTYPE html>").is_err());
        assert!(extension_of(b"\xff\xfe").is_err());
        assert!(component(b"SELECT 1".to_vec(), false).is_err());
    }

    #[test]
    fn a_caller_narrows_what_the_catalog_offers_and_never_widens_it() {
        let column = |name: &str| Column {
            name: name.into(),
            nullable: true,
            column_type: "utf8".parse().unwrap(),
        };
        let columns = ["a", "b", "c"].map(column).to_vec();
        let described = Described { bytes: 1, columns, definition: None, files: 1 };
        let check = |offered: &[&str], asked: &[&str], expect: Option<&[&str]>| {
            let texts = |names: &[&str]| -> Vec<String> {
                names.iter().map(|name| (*name).to_owned()).collect()
            };
            let offer = Offer { columns: texts(offered), ..Offer::default() };
            let chosen = chosen(&described, &offer, &texts(asked)).ok();
            let chosen: Option<Vec<String>> =
                chosen.map(|columns| columns.into_iter().map(|column| column.name).collect());
            assert_eq!(chosen, expect.map(texts), "{offered:?} {asked:?}");
        };
        check(&[], &[], Some(&["a", "b", "c"]));
        check(&["c", "a"], &[], Some(&["a", "c"]));
        check(&["a", "b"], &["b"], Some(&["b"]));
        check(&["a"], &["b"], None);
        check(&[], &["d"], None);
        check(&["d"], &[], None);
    }
}
