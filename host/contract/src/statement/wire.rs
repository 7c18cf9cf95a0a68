//! The in-toto form of a statement.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{Body, Kind, Statement};
use crate::canonical;
use crate::digest::ContentDigest;
use crate::name::{Alias, RoomId};

/// The DSSE payload type of a statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(rename = "_type")]
    statement_type: String,
    predicate: Predicate,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    subject: Vec<Subject>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Predicate {
    body: Value,
    issued_at: u64,
    party: Alias,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    room: Option<RoomId>,
    sequence: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subject {
    digest: DigestSet,
    name: String,
}

/// in-toto writes digests as plain hex under the name of the algorithm.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DigestSet {
    blake3: String,
    sha256: String,
}

impl Kind {
    /// The predicate type, for example `urn:glovebox:run-request:v1`.
    pub fn predicate_type(self) -> String {
        format!("urn:glovebox:{self}:v1")
    }
}

impl Subject {
    fn new(name: String, digest: &ContentDigest) -> Self {
        let digest = DigestSet { blake3: digest.blake3.to_hex(), sha256: digest.sha256.to_hex() };
        Self { digest, name }
    }
}

impl Body {
    fn to_value(&self) -> serde_json::Result<Value> {
        match self {
            Self::Room(body) => serde_json::to_value(body),
            Self::Accept => Ok(Value::Object(Map::new())),
            Self::Asset(body) => serde_json::to_value(body),
            Self::Review(body) => serde_json::to_value(body),
            Self::RunRequest(body) => serde_json::to_value(body),
            Self::RunStart(body) => serde_json::to_value(body),
            Self::RunReceipt(body) => serde_json::to_value(body),
            Self::OutputRead(body) => serde_json::to_value(body),
            Self::Pause(body) => serde_json::to_value(body),
            Self::Resume(body) => serde_json::to_value(body),
            Self::Rotate(body) => serde_json::to_value(body),
            Self::Delete(body) => serde_json::to_value(body),
            Self::Refused(body) => serde_json::to_value(body),
            Self::Cancel(body) => serde_json::to_value(body),
            Self::Rule(body) => serde_json::to_value(body),
            Self::Share(body) => serde_json::to_value(body),
            Self::SharedRead(body) => serde_json::to_value(body),
            Self::Deprecate(body) => serde_json::to_value(body),
        }
    }

    fn from_value(kind: Kind, value: Value) -> serde_json::Result<Self> {
        fn read<T: DeserializeOwned>(value: Value) -> serde_json::Result<T> {
            serde_json::from_value(value)
        }
        match kind {
            Kind::Room => read(value).map(Self::Room),
            Kind::Accept => match value {
                Value::Object(fields) if fields.is_empty() => Ok(Self::Accept),
                _ => Err(serde::de::Error::custom("an accept statement has an empty body")),
            },
            Kind::Asset => read(value).map(Self::Asset),
            Kind::Review => read(value).map(Self::Review),
            Kind::RunRequest => read(value).map(Self::RunRequest),
            Kind::RunStart => read(value).map(Self::RunStart),
            Kind::RunReceipt => read(value).map(Self::RunReceipt),
            Kind::OutputRead => read(value).map(Self::OutputRead),
            Kind::Pause => read(value).map(Self::Pause),
            Kind::Resume => read(value).map(Self::Resume),
            Kind::Rotate => read(value).map(Self::Rotate),
            Kind::Delete => read(value).map(Self::Delete),
            Kind::Refused => read(value).map(Self::Refused),
            Kind::Cancel => read(value).map(Self::Cancel),
            Kind::Rule => read(value).map(Self::Rule),
            Kind::Share => read(value).map(Self::Share),
            Kind::SharedRead => read(value).map(Self::SharedRead),
            Kind::Deprecate => read(value).map(Self::Deprecate),
        }
    }
}

impl Wire {
    fn of(statement: &Statement) -> Result<Self, String> {
        let kind = statement.body.kind();
        let predicate = Predicate {
            body: statement.body.to_value().map_err(|error| error.to_string())?,
            issued_at: statement.issued_at,
            party: statement.party.clone(),
            room: statement.room,
            sequence: statement.sequence,
        };
        let subject = match statement.body.subjects() {
            Some(subjects) => {
                subjects.into_iter().map(|(name, digest)| Subject::new(name, &digest)).collect()
            }
            None => {
                let bytes = canonical::encode(&predicate).map_err(|error| error.to_string())?;
                vec![Subject::new(kind.to_string(), &ContentDigest::of(&bytes))]
            }
        };
        Ok(Self {
            statement_type: STATEMENT_TYPE.into(),
            predicate,
            predicate_type: kind.predicate_type(),
            subject,
        })
    }
}

impl Serialize for Statement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire::of(self).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// Reads the predicate. Type and subject follow from it; [`canonical::decode`] compares them by
/// writing the statement again.
impl<'de> Deserialize<'de> for Statement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        let kind = Kind::ALL
            .iter()
            .find(|kind| kind.predicate_type() == wire.predicate_type)
            .ok_or_else(|| serde::de::Error::custom("the predicate type is unknown"))?;
        let Predicate { body, issued_at, party, room, sequence } = wire.predicate;
        let body = Body::from_value(*kind, body).map_err(serde::de::Error::custom)?;
        Ok(Self { body, issued_at, party, room, sequence })
    }
}
