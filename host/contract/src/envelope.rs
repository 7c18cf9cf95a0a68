//! DSSE envelopes: a statement's bytes and one signature over them.
//!
//! The signature covers the payload bytes as they are and their type (DSSE's pre-authentication
//! encoding), so nothing needs to be parsed before it has been verified.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::canonical::{self, CanonicalError};
use crate::digest::{Blake3Digest, ContentDigest};
use crate::key::{KeyId, PrivateKey, PublicKey, SignatureError};
use crate::reason::ReasonCode;
use crate::statement::{MAX_STATEMENT_BYTES, PAYLOAD_TYPE, Statement, StatementError};

/// Most bytes of an envelope: a statement of [`MAX_STATEMENT_BYTES`] in base64, and its frame.
pub const MAX_ENVELOPE_BYTES: usize = MAX_STATEMENT_BYTES / 3 * 4 + 1024;

/// Why an envelope is refused.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct EnvelopeError(Kind);

#[derive(Debug, thiserror::Error)]
enum Kind {
    #[error("envelope: {0}")]
    Encoding(CanonicalError),
    #[error("statement: {0}")]
    StatementEncoding(CanonicalError),
    #[error("statement: {0}")]
    Statement(StatementError),
    #[error("statement: {bytes} bytes are too many, at most {MAX_STATEMENT_BYTES} are allowed")]
    TooLarge { bytes: usize },
    #[error("the envelope names the key {named}, not {expected}")]
    KeyId { named: KeyId, expected: KeyId },
    #[error(transparent)]
    Signature(SignatureError),
}

impl EnvelopeError {
    /// The public reason.
    pub fn reason(&self) -> ReasonCode {
        match &self.0 {
            Kind::Encoding(error) | Kind::StatementEncoding(error) if error.is_encoding_only() => {
                ReasonCode::NotCanonical
            }
            Kind::KeyId { .. } => ReasonCode::UnknownSigner,
            Kind::Signature(_) => ReasonCode::BadSignature,
            _ => ReasonCode::Malformed,
        }
    }
}

/// A signed statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    payload: Vec<u8>,
    key_id: KeyId,
    signature: [u8; 64],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: [WireSignature; 1],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSignature {
    keyid: KeyId,
    sig: String,
}

/// DSSE's pre-authentication encoding of a payload.
fn signed_bytes(payload: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

impl Envelope {
    /// Signs `statement`, after checking that it makes sense in itself and that everyone can read
    /// what is signed.
    ///
    /// # Errors
    /// When it does not, or is too large.
    pub fn sign(statement: &Statement, key: &PrivateKey) -> Result<Self, EnvelopeError> {
        statement.validate().map_err(|error| EnvelopeError(Kind::Statement(error)))?;
        let payload = canonical::encode(statement)
            .map_err(|error| EnvelopeError(Kind::StatementEncoding(error)))?;
        if payload.len() > MAX_STATEMENT_BYTES {
            return Err(EnvelopeError(Kind::TooLarge { bytes: payload.len() }));
        }
        let signature = key.sign(&signed_bytes(&payload));
        let envelope = Self { payload, key_id: key.public().id(), signature };
        // A value can be built in memory that has no readable text, such as a parameter that is NaN.
        envelope.unverified()?;
        Ok(envelope)
    }

    /// Reads an envelope from its canonical bytes. Nothing is verified yet.
    ///
    /// # Errors
    /// When the bytes are no envelope, or not in the one encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        canonical::decode(bytes, MAX_ENVELOPE_BYTES)
            .map_err(|error| EnvelopeError(Kind::Encoding(error)))
    }

    /// The canonical bytes: what is stored, sent and hashed.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Base64 and hex need no escapes and the names are in order, so this is canonical JSON.
        format!(
            r#"{{"payload":"{}","payloadType":"{PAYLOAD_TYPE}","signatures":[{{"keyid":"{}","sig":"{}"}}]}}"#,
            BASE64.encode(&self.payload),
            self.key_id,
            BASE64.encode(self.signature),
        )
        .into_bytes()
    }

    /// Both digests of the canonical bytes.
    pub fn content_digest(&self) -> ContentDigest {
        ContentDigest::of(&self.to_bytes())
    }

    /// The BLAKE3 digest of the canonical bytes, by which other statements refer to this one.
    pub fn digest(&self) -> Blake3Digest {
        Blake3Digest::of(&self.to_bytes())
    }

    /// The key that the envelope says it was signed with. A hint where to look; proves nothing.
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The statement, if `key` signed it.
    ///
    /// # Errors
    /// When the envelope names another key, the signature does not verify strictly, or the payload
    /// is not a canonical statement that makes sense.
    pub fn verify(&self, key: &PublicKey) -> Result<Statement, EnvelopeError> {
        let expected = key.id();
        if self.key_id != expected {
            return Err(EnvelopeError(Kind::KeyId { named: self.key_id, expected }));
        }
        key.verify(&signed_bytes(&self.payload), &self.signature)
            .map_err(|error| EnvelopeError(Kind::Signature(error)))?;
        self.unverified()
    }

    /// The statement that the payload claims to be, whoever signed it. For the statement that
    /// creates a room, which names its own key, and for showing what was refused.
    ///
    /// # Errors
    /// When the payload is not a canonical statement that makes sense.
    pub fn unverified(&self) -> Result<Statement, EnvelopeError> {
        let statement: Statement = canonical::decode(&self.payload, MAX_STATEMENT_BYTES)
            .map_err(|error| EnvelopeError(Kind::StatementEncoding(error)))?;
        statement.validate().map_err(|error| EnvelopeError(Kind::Statement(error)))?;
        Ok(statement)
    }
}

impl Serialize for Envelope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire {
            payload: BASE64.encode(&self.payload),
            payload_type: PAYLOAD_TYPE.into(),
            signatures: [WireSignature { keyid: self.key_id, sig: BASE64.encode(self.signature) }],
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Envelope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;

        let Wire { payload, payload_type, signatures: [signature] } =
            Wire::deserialize(deserializer)?;
        if payload_type != PAYLOAD_TYPE {
            return Err(D::Error::custom("the payload type is not the one of a statement"));
        }
        let signature_bytes = BASE64.decode(signature.sig).map_err(D::Error::custom)?;
        Ok(Self {
            payload: BASE64.decode(payload).map_err(D::Error::custom)?,
            key_id: signature.keyid,
            signature: signature_bytes
                .try_into()
                .map_err(|_| D::Error::custom("a signature has 64 bytes"))?,
        })
    }
}
