//! `glovebox diff`: what changed between two components, or two revisions of a notebook.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use glovebox_contract::difference::{
    Change, ComponentFacts, RevisionFacts, between_components, between_revisions,
};
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::manifest::Manifest;
use glovebox_contract::name::{Alias, AssetName};
use glovebox_contract::state::{Notebook, RevisionStatus, RoomState, Version};
use glovebox_contract::statement::Decision;
use glovebox_room::RoomError;
use glovebox_sandbox::Inspection;
use serde_json::{Value, json};

use crate::arguments::Diff;
use crate::context::{self, Context};
use crate::host::OpenRoom;
use crate::terminal::print_json;
use crate::words;

/// `--exit-code` and there is a difference.
const DIFFERENT: u8 = 1;

pub(crate) fn run(context: &Context, diff: &Diff) -> Result<ExitCode> {
    let (old, new) = (Path::new(&diff.old), Path::new(&diff.new));
    let compared = if diff.old_revision.is_none() && old.is_file() && new.is_file() {
        files(old, new)?
    } else {
        revisions(context, diff)?
    };
    if context.json() {
        print_json(&compared.to_json())?;
    } else {
        println!("{}", compared.to_text());
    }
    let different = compared.old.name != compared.new.name;
    Ok(ExitCode::from(if diff.exit_code && different { DIFFERENT } else { 0 }))
}

/// Two sides, and what tells them apart.
pub(crate) struct Compared {
    old: Side,
    new: Side,
    changes: Vec<Change>,
}

pub(crate) struct Side {
    /// The digest of the component or of the revision.
    name: String,
    inspection: Inspection,
    manifest: Manifest,
}

fn files(old: &Path, new: &Path) -> Result<Compared> {
    let read = |file: &Path| -> Result<Side> {
        let shown = file.display();
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {shown}"))?;
        Side::of_component(&bytes).with_context(|| format!("{shown} cannot be compared"))
    };
    Ok(Compared::components(read(old)?, read(new)?))
}

fn revisions(context: &Context, diff: &Diff) -> Result<Compared> {
    let room = context.room(&diff.old, diff.key.as_deref()).with_context(|| {
        format!("`{}` is neither a component beside another nor a room", diff.old)
    })?;
    let notebook: AssetName = diff.new.parse().context("the name of the notebook")?;
    let notebook = room.state().notebook(&notebook).map_err(RoomError::from)?;
    let party = match &diff.key {
        Some(key) => Some(context.party(room.state(), key)?.alias),
        None => None,
    };
    let new = match &diff.new_revision {
        Some(digest) => version(notebook, digest)?,
        None => notebook.latest().context("the notebook has no version")?,
    };
    let old = match &diff.old_revision {
        Some(digest) => version(notebook, digest)?,
        None => reviewed_before(room.state(), notebook, new, party.as_ref()).ok_or_else(|| {
            anyhow!("nothing was approved before this revision: `glovebox inspect` shows it whole")
        })?,
    };
    compare(&room, old, new)
}

/// What changed between two versions as they fit the room now.
pub(crate) fn compare(room: &OpenRoom, old: &Version, new: &Version) -> Result<Compared> {
    let (old_facts, new_facts) = (bound(old)?, bound(new)?);
    let changes = between_revisions(old_facts, new_facts);
    Ok(Compared { old: side(room, old)?, new: side(room, new)?, changes })
}

fn version<'a>(notebook: &'a Notebook, digest: &Blake3Digest) -> Result<&'a Version> {
    notebook.version(digest).ok_or_else(|| {
        let what = format!("{} has no revision {digest} as the room is now", notebook.name());
        RoomError::new(glovebox_contract::reason::ReasonCode::NotFound, what).into()
    })
}

fn bound(version: &Version) -> Result<RevisionFacts<'_>> {
    let bound =
        version.revision().map_err(|refusal| RoomError::from(refusal.clone())).with_context(
            || format!("version {} does not fit the room", version.asset().manifest.version),
        )?;
    Ok(RevisionFacts { revision: bound.revision(), manifest: &version.asset().manifest })
}

fn side(room: &OpenRoom, version: &Version) -> Result<Side> {
    let asset = version.asset();
    let inspection = match room.component(&asset.component) {
        Ok(bytes) => glovebox_sandbox::inspect(&bytes)?,
        Err(_) if asset.hidden => Inspection::unread(asset),
        Err(error) => return Err(error),
    };
    let name = match version.revision_digest() {
        Some(digest) => digest.to_string(),
        None => bail!("the version does not fit the room"),
    };
    Ok(Side { name, inspection, manifest: asset.manifest.clone() })
}

/// What `party` approved last before `new`, or what all did when no party asks.
pub(crate) fn reviewed_before<'a>(
    state: &RoomState,
    notebook: &'a Notebook,
    new: &Version,
    party: Option<&Alias>,
) -> Option<&'a Version> {
    let statuses = state.statuses(notebook.name(), context::now()).ok()?;
    let earlier = notebook.versions().iter().zip(statuses).rev();
    let mut earlier =
        earlier.filter(|(version, _)| version.revision_digest() != new.revision_digest());
    let approved =
        |version: &Version, status: &RevisionStatus| match (party, version.revision_digest()) {
            (_, None) => false,
            (Some(party), Some(digest)) if party != notebook.author() => {
                notebook.decisions(digest).get(party) == Some(&Decision::Approve)
            }
            _ => matches!(status, RevisionStatus::Approved | RevisionStatus::Superseded { .. }),
        };
    earlier.find(|(version, status)| approved(version, status)).map(|(version, _)| version)
}

impl Side {
    pub(crate) fn of_component(bytes: &[u8]) -> Result<Self> {
        let inspection = glovebox_sandbox::inspect(bytes)?;
        let manifest =
            inspection.manifest.clone().ok_or_else(|| anyhow!("the component has no manifest"))?;
        Ok(Self { name: inspection.digest.blake3.to_string(), inspection, manifest })
    }

    pub(crate) fn hidden(&self) -> bool {
        self.inspection.source.is_empty()
    }

    fn facts(&self) -> ComponentFacts<'_> {
        ComponentFacts {
            imports: &self.inspection.imports,
            exports: &self.inspection.exports,
            hidden: self.hidden(),
            manifest: &self.manifest,
        }
    }
}

impl Compared {
    pub(crate) fn components(old: Side, new: Side) -> Self {
        let changes = between_components(old.facts(), new.facts());
        Self { old, new, changes }
    }

    fn source(&self) -> Option<String> {
        let (old, new) = (&self.old.inspection.source, &self.new.inspection.source);
        if old.is_empty() || new.is_empty() {
            return None;
        }
        words::source_difference(old, new)
    }

    fn same_code(&self) -> bool {
        self.old.inspection.code == self.new.inspection.code
    }

    pub(crate) fn to_json(&self) -> Value {
        let side = |side: &Side| {
            json!({
                "digest": side.name,
                "blake3": side.inspection.digest.blake3,
                "sha256": side.inspection.digest.sha256,
                "version": side.manifest.version,
                "bytes": side.inspection.bytes,
                "hidden": side.hidden(),
            })
        };
        json!({
            "old": side(&self.old),
            "new": side(&self.new),
            "changes": self.changes,
            "same_code": self.same_code(),
            "source": self.source(),
        })
    }

    pub(crate) fn to_text(&self) -> String {
        let title = |mark: &str, side: &Side| {
            format!("{mark} {} {} {}", side.manifest.name, side.manifest.version, side.name)
        };
        let mut parts = vec![format!("{}\n{}", title("old", &self.old), title("new", &self.new))];
        if self.old.name == self.new.name {
            parts.push("They are the same.".into());
            return parts.join("\n\n");
        }
        parts.push(
            words::changes(&self.changes, &self.old.manifest, &self.new.manifest).unwrap_or_else(
                || "Nothing differs in what they may read, write, import or say.".into(),
            ),
        );
        let source = self.source();
        parts.push(words::code(&self.old.inspection, &self.new.inspection, source.as_deref()));
        parts.join("\n\n")
    }
}
