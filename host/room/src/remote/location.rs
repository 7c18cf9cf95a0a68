//! Where a table is, as its owner writes it.

use std::fmt;
use std::str::FromStr;

use glovebox_job::job::FileFormat;
use serde::{Deserialize, Serialize};

/// Longest text of a location in bytes.
const MAX_BYTES: usize = 2048;

/// Where a table is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Location {
    /// An object, or all objects below a prefix: `s3://`, `gs://`, `az://` or, for Delta tables of
    /// this machine, `file://`.
    Objects {
        /// The URL.
        url: String,
    },
    /// `delta-sharing://share.schema.table`; the profile is the credential.
    Shared {
        /// The share.
        share: String,
        /// The schema.
        schema: String,
        /// The table.
        table: String,
    },
    /// `postgresql://host:port/database#schema.table`; user and password are the credential.
    Postgres {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
        /// Database.
        database: String,
        /// Schema.
        schema: String,
        /// Table or view.
        table: String,
    },
}

/// A remote table, as its owner describes it. Stays with the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteTable {
    /// Format of plain files; found by their names when absent. A prefix that holds `_delta_log` is
    /// a Delta table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<FileFormat>,
    /// Where it is.
    pub location: Location,
    /// Which partitions the room may have, all when there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<PartitionFilter>,
}

/// Rows of which partitions: those where the column has one of the values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionFilter {
    /// The partition column.
    pub column: String,
    /// The texts of its values, at least one.
    pub values: Vec<String>,
}

/// Why a text is no location. Never shows a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LocationError(String);

impl Location {
    /// Whether `text` is meant to be a location and not a path: it begins with one of the schemes.
    pub fn is_meant_by(text: &str) -> bool {
        SCHEMES
            .iter()
            .any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| rest.starts_with("://")))
    }
}

const SCHEMES: [&str; 11] = [
    "s3",
    "s3a",
    "gs",
    "az",
    "azure",
    "abfs",
    "abfss",
    "file",
    "delta-sharing",
    "postgres",
    "postgresql",
];

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let wrong = |why: &str| Err(LocationError(why.to_owned()));
        if text.len() > MAX_BYTES || text.chars().any(char::is_control) {
            return wrong("the place is too long, or holds control characters");
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return wrong("expected a place such as s3://bucket/folder");
        };
        match scheme {
            "s3" | "s3a" | "gs" | "az" | "azure" | "abfs" | "abfss" | "file" => {
                let authority = rest.split('/').next().unwrap_or_default();
                if scheme.starts_with("abfs") {
                    // abfss://container@account.dfs.core.windows.net/…
                    if authority.contains(':') {
                        return wrong("a place holds no password; give it with --credentials");
                    }
                } else if authority.contains('@') {
                    return wrong("a place holds no password; give it with --credentials");
                }
                if rest.contains(['?', '#']) {
                    return wrong("a place has neither `?` nor `#` after the folder");
                }
                if scheme != "file" && authority.is_empty() {
                    return wrong("the bucket is missing, as in s3://bucket/folder");
                }
                Ok(Self::Objects { url: text.to_owned() })
            }
            "delta-sharing" => {
                let parts: Vec<&str> = rest.split('.').collect();
                match parts.as_slice() {
                    [share, schema, table] if parts.iter().all(|part| is_name(part)) => {
                        Ok(Self::Shared {
                            share: (*share).into(),
                            schema: (*schema).into(),
                            table: (*table).into(),
                        })
                    }
                    _ => wrong("expected delta-sharing://share.schema.table"),
                }
            }
            "postgres" | "postgresql" => postgres(rest),
            _ => wrong("known places are s3, gs, az, file, delta-sharing and postgresql"),
        }
    }
}

/// What Delta Sharing lets names hold.
fn is_name(part: &str) -> bool {
    !part.is_empty()
        && part.len() <= 255
        && !part.chars().any(|c| c.is_whitespace() || c.is_control() || c == '/')
}

fn postgres(rest: &str) -> Result<Location, LocationError> {
    const SHAPE: &str = "expected postgresql://host:port/database#schema.table";
    let wrong = || LocationError(SHAPE.to_owned());
    if rest.contains('@') {
        return Err(LocationError(
            "a place holds neither user nor password; give them with --credentials".into(),
        ));
    }
    let (place, table) = rest.split_once('#').ok_or_else(wrong)?;
    let (address, database) = place.split_once('/').ok_or_else(wrong)?;
    let (host, port) = match address.rsplit_once(':') {
        // An IPv6 address has its own colons and stands in brackets.
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
        _ => (address, 5432),
    };
    let (schema, table) = table.split_once('.').unwrap_or(("public", table));
    if host.is_empty() || database.is_empty() || schema.is_empty() || table.is_empty() {
        return Err(wrong());
    }
    if database.contains(['?', '/']) {
        return Err(LocationError("settings of a connection are given with --credentials".into()));
    }
    Ok(Location::Postgres {
        host: host.into(),
        port,
        database: database.into(),
        schema: schema.into(),
        table: table.into(),
    })
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Objects { url } => f.write_str(url),
            Self::Shared { share, schema, table } => {
                write!(f, "delta-sharing://{share}.{schema}.{table}")
            }
            Self::Postgres { host, port, database, schema, table } => {
                write!(f, "postgresql://{host}:{port}/{database}#{schema}.{table}")
            }
        }
    }
}

impl From<Location> for String {
    fn from(location: Location) -> Self {
        location.to_string()
    }
}

impl TryFrom<String> for Location {
    type Error = LocationError;

    fn try_from(text: String) -> Result<Self, LocationError> {
        text.parse()
    }
}

impl FromStr for PartitionFilter {
    type Err = LocationError;

    /// `year=2013` or `month=1,2,3`.
    fn from_str(text: &str) -> Result<Self, LocationError> {
        match text.split_once('=') {
            Some((column, values)) if !column.is_empty() => Ok(Self {
                column: column.to_owned(),
                values: values.split(',').map(str::to_owned).collect(),
            }),
            _ => Err(LocationError("expected column=value or column=value,value".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_written() {
        let check = |text: &str, expect: Result<&str, &str>| {
            let read = text.parse::<Location>();
            let written = read.as_ref().map(ToString::to_string).map_err(ToString::to_string);
            assert_eq!(written, expect.map(str::to_owned).map_err(str::to_owned), "{text}");
        };
        check("s3://bucket/a/b.parquet", Ok("s3://bucket/a/b.parquet"));
        check("gs://bucket", Ok("gs://bucket"));
        check("file:///srv/delta", Ok("file:///srv/delta"));
        check("abfss://c@a.dfs.core.windows.net/x", Ok("abfss://c@a.dfs.core.windows.net/x"));
        check("delta-sharing://s.d.t", Ok("delta-sharing://s.d.t"));
        check("postgres://db/shop#orders", Ok("postgresql://db:5432/shop#public.orders"));
        check("postgresql://[::1]:55/x#a.b", Ok("postgresql://[::1]:55/x#a.b"));
        let secret = "a place holds no password; give it with --credentials";
        check("s3://key:secret@bucket/a", Err(secret));
        check("abfss://c@a:secret/x", Err(secret));
        check(
            "postgres://me:secret@db/shop#orders",
            Err("a place holds neither user nor password; give them with --credentials"),
        );
        check(
            "postgresql://db/shop?password=x#orders",
            Err("settings of a connection are given with --credentials"),
        );
        check("delta-sharing://s.t", Err("expected delta-sharing://share.schema.table"));
        check("s3://", Err("the bucket is missing, as in s3://bucket/folder"));
        check("ftp://x/y", Err("known places are s3, gs, az, file, delta-sharing and postgresql"));
        check("s3://b/a?x=1", Err("a place has neither `?` nor `#` after the folder"));
        check("s3://b/\u{7}", Err("the place is too long, or holds control characters"));
    }
}
