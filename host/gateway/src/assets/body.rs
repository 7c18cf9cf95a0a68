//! What a caller says about an asset: the `CleanRoomAsset` object as the client sends it.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use glovebox_contract::name::{Alias, AssetName, TableName};
use serde::Deserialize;
use serde_json::Value;

use crate::call::shown;
use crate::error::Failure;

/// The types of assets that a room here has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Notebook,
    Table,
    View,
    Volume,
}

impl Kind {
    /// Databricks' word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Notebook => "NOTEBOOK_FILE",
            Self::Table => "TABLE",
            Self::View => "VIEW",
            Self::Volume => "VOLUME",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let all = [Self::Notebook, Self::Table, Self::View, Self::Volume];
        if let Some(kind) = all.into_iter().find(|kind| kind.as_str() == text) {
            return Ok(kind);
        }
        Err(Failure::invalid(match text {
            "JAR_ANALYSIS" => {
                "JAR_ANALYSIS: a compiled program is a component, and is added as NOTEBOOK_FILE"
                    .into()
            }
            "FOREIGN_TABLE" => "FOREIGN_TABLE: add the files of the table as TABLE".into(),
            other => format!("`{}` is no asset type of a clean room", shown(other)),
        }))
    }
}

/// The `CleanRoomAsset` object.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Asset {
    added_at: Option<Value>,
    pub(super) asset_type: Option<String>,
    pub(super) clean_room_name: Option<String>,
    foreign_table: Option<Value>,
    foreign_table_local_details: Option<Value>,
    jar_analysis: Option<Value>,
    pub(super) name: Option<String>,
    notebook: Option<Notebook>,
    owner_collaborator_alias: Option<String>,
    status: Option<Value>,
    table: Option<Columns>,
    table_local_details: Option<TableDetails>,
    view: Option<Columns>,
    view_local_details: Option<LocalDetails>,
    volume_local_details: Option<LocalDetails>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Notebook {
    description: Option<String>,
    environment_version: Option<String>,
    etag: Option<String>,
    notebook_content: Option<String>,
    review_state: Option<Value>,
    reviews: Option<Value>,
    runner_collaborator_aliases: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Columns {
    columns: Vec<ColumnName>,
}

/// A `ColumnInfo`, of which the name counts: the files say the rest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "a client may send back all that it was told")]
struct ColumnName {
    name: String,
    #[serde(default)]
    comment: Option<Value>,
    #[serde(default)]
    mask: Option<Value>,
    #[serde(default)]
    nullable: Option<Value>,
    #[serde(default)]
    partition_index: Option<Value>,
    #[serde(default)]
    position: Option<Value>,
    #[serde(default)]
    type_interval_type: Option<Value>,
    #[serde(default)]
    type_json: Option<Value>,
    #[serde(default)]
    type_name: Option<Value>,
    #[serde(default)]
    type_precision: Option<Value>,
    #[serde(default)]
    type_scale: Option<Value>,
    #[serde(default)]
    type_text: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TableDetails {
    local_name: String,
    partitions: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LocalDetails {
    local_name: String,
}

/// What a caller offers, read and checked as far as that needs no room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Offered {
    /// A table, a view or a volume of the catalog.
    Local {
        /// Its name in the catalog.
        local_name: String,
        /// The columns that are offered; as the catalog says when there is none.
        columns: Vec<String>,
    },
    /// A notebook.
    Notebook {
        /// A component, or the source of one.
        content: Vec<u8>,
        /// What the caller says that it does, if anything.
        description: Option<String>,
        /// The revision that the caller means to replace, if it says so.
        replaces: Option<String>,
        /// Who may run it; everyone but the author when absent.
        runners: Option<Vec<Alias>>,
    },
}

impl Asset {
    /// Reads the asset from JSON.
    pub(super) fn read(json: &str) -> Result<Self, Failure> {
        serde_json::from_str(json).map_err(|error| Failure::invalid(format!("the body: {error}")))
    }

    /// The type and the name.
    pub(super) fn identity(&self) -> Result<(Kind, Name), Failure> {
        let kind: Kind = self.asset_type.as_deref().unwrap_or_default().parse()?;
        Ok((kind, Name::read(kind, self.name.as_deref().unwrap_or_default())?))
    }

    /// Whether the body is about the room and the asset that the path names.
    pub(super) fn is_about(&self, room: &AssetName, wanted: Option<(Kind, &Name)>) -> bool {
        let in_room = self.clean_room_name.as_ref().is_none_or(|name| name == room.as_str());
        let named = |kind, name: &Name| {
            self.asset_type.as_ref().is_none_or(|said| said == Kind::as_str(kind))
                && self.name.as_ref().is_none_or(|said| {
                    Name::read(kind, said).is_ok_and(|said| said.plain == name.plain)
                })
        };
        in_room && wanted.is_none_or(|(kind, name)| named(kind, name))
    }

    /// What is offered.
    pub(super) fn offered(&self, kind: Kind) -> Result<Offered, Failure> {
        let needed = |field: &str| Failure::invalid(format!("{field} is needed for a {kind}"));
        let names = |columns: &Option<Columns>| -> Vec<String> {
            let columns = columns.as_ref().map(|columns| columns.columns.as_slice());
            columns.unwrap_or_default().iter().map(|column| column.name.clone()).collect()
        };
        let local = |local_name: &str, columns| {
            Ok(Offered::Local { local_name: local_name.to_owned(), columns })
        };
        match kind {
            Kind::Notebook => self.notebook.as_ref().ok_or_else(|| needed("notebook"))?.offered(),
            Kind::Table => {
                let details = self
                    .table_local_details
                    .as_ref()
                    .ok_or_else(|| needed("table_local_details"))?;
                if !details.partitions.is_empty() {
                    return Err(Failure::invalid(
                        "partitions: offer a view that selects these rows instead",
                    ));
                }
                local(&details.local_name, names(&self.table))
            }
            Kind::View => {
                let details =
                    self.view_local_details.as_ref().ok_or_else(|| needed("view_local_details"))?;
                local(&details.local_name, names(&self.view))
            }
            Kind::Volume => {
                let details = self.volume_local_details.as_ref();
                let details = details.ok_or_else(|| needed("volume_local_details"))?;
                local(&details.local_name, Vec::new())
            }
        }
    }
}

impl Notebook {
    fn offered(&self) -> Result<Offered, Failure> {
        let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if text(&self.environment_version).is_some() {
            return Err(Failure::invalid(
                "environment_version: a component brings all that it needs",
            ));
        }
        let content = text(&self.notebook_content)
            .ok_or_else(|| Failure::invalid("notebook_content is needed"))?;
        let content = BASE64
            .decode(content)
            .map_err(|_| Failure::invalid("notebook_content is not in base64"))?;
        let runners = self.runner_collaborator_aliases.as_ref().filter(|list| !list.is_empty());
        let runners = runners.map(|aliases| {
            let read = |alias: &String| {
                alias.parse().map_err(|error| {
                    Failure::invalid(format!("runner_collaborator_aliases: {error}"))
                })
            };
            aliases.iter().map(read).collect::<Result<Vec<Alias>, Failure>>()
        });
        Ok(Offered::Notebook {
            content,
            description: text(&self.description),
            replaces: text(&self.etag),
            runners: runners.transpose()?,
        })
    }
}

/// The name of an asset, as it was asked for and as the room has it.
///
/// A table is `alias.table` in a room. Unity Catalog has names of three parts, so
/// `alias.default.table` is the same table, and whoever asks with that name is answered with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// As the room has it.
    pub(crate) plain: String,
    /// As it was asked for.
    pub(crate) asked: String,
}

/// The schema that stands between an alias and a table where three parts are wanted.
const SCHEMA: &str = "default";

impl Name {
    /// Reads a name.
    pub(crate) fn read(kind: Kind, asked: &str) -> Result<Self, Failure> {
        let wrong =
            |error: &dyn fmt::Display| Failure::invalid(format!("the asset's name: {error}"));
        let plain = match kind {
            Kind::Notebook => {
                let name: AssetName = asked.parse().map_err(|error| wrong(&error))?;
                name.to_string()
            }
            _ => {
                let parts: Vec<&str> = asked.split('.').collect();
                let two = match parts.as_slice() {
                    [alias, SCHEMA, table] => format!("{alias}.{table}"),
                    _ => asked.to_owned(),
                };
                let name: TableName = two.parse().map_err(|error| wrong(&error))?;
                name.to_string()
            }
        };
        Ok(Self { plain, asked: asked.to_owned() })
    }

    /// The name that a list has.
    pub(crate) fn listed(plain: impl fmt::Display) -> Self {
        let plain = plain.to_string();
        Self { asked: plain.clone(), plain }
    }

    /// As the name of a table, a view or a volume.
    pub(crate) fn table(&self) -> Result<TableName, Failure> {
        self.plain.parse().map_err(|error| Failure::invalid(format!("the asset's name: {error}")))
    }

    /// As the name of a notebook.
    pub(crate) fn notebook(&self) -> Result<AssetName, Failure> {
        self.plain.parse().map_err(|error| Failure::invalid(format!("the asset's name: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_two_names() {
        let check = |asked: &str, plain: Option<&str>| {
            let name = Name::read(Kind::Table, asked).ok();
            assert_eq!(name.as_ref().map(|name| name.plain.as_str()), plain, "{asked}");
            assert!(name.is_none_or(|name| name.asked == asked));
        };
        check("retail.orders", Some("retail.orders"));
        check("retail.default.orders", Some("retail.orders"));
        check("retail.other.orders", None);
        check("orders", None);
        check("../etc.passwd", None);
        check("a.b/../../c", None);
    }

    #[test]
    fn bodies_are_read_strictly() {
        let offered = |json: &str| {
            let asset = Asset::read(json)?;
            asset.offered(asset.identity()?.0)
        };
        let table = r#"{"name":"a.b","asset_type":"TABLE","clean_room_name":"r",
            "table_local_details":{"local_name":"c.s.t"},"table":{"columns":[{"name":"day"}]}}"#;
        let local = Offered::Local { local_name: "c.s.t".into(), columns: vec!["day".into()] };
        assert_eq!(offered(table), Ok(local));
        for wrong in [
            r#"{"name":"a.b","asset_type":"TABLE"}"#,
            r#"{"name":"a.b","asset_type":"TABLE","table_local_details":{"local_name":"x","path":"/"}}"#,
            r#"{"name":"a.b","asset_type":"TABLE","table_local_details":{"local_name":"x","partitions":[{"values":[]}]}}"#,
            r#"{"name":"a.b","asset_type":"GENIE_SPACE"}"#,
            r#"{"name":"a.b","asset_type":"JAR_ANALYSIS","jar_analysis":{}}"#,
            r#"{"name":"n","asset_type":"NOTEBOOK_FILE","notebook":{"notebook_content":"***"}}"#,
            r#"{"name":"n","asset_type":"NOTEBOOK_FILE","notebook":{"notebook_content":"YQ==","environment_version":"2"}}"#,
            r#"{"name":"n","asset_type":"NOTEBOOK_FILE","notebook":{"notebook_content":"YQ==","runner_collaborator_aliases":["A B"]}}"#,
            r#"{"name":"n","asset_type":"NOTEBOOK_FILE","unknown":1}"#,
        ] {
            assert_eq!(offered(wrong).unwrap_err().code(), "INVALID_PARAMETER_VALUE", "{wrong}");
        }
    }
}
