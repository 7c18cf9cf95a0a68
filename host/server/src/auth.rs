//! Who asks: the signature of a request, and the party of a room that its key is.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts as _, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use bytes::Bytes;
use glovebox_api::signature::{self, SignedHeaders, Verified};
use glovebox_api::{headers, limits, media, path};
use glovebox_contract::digest::Blake3Digest;
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::PublicKey;
use glovebox_contract::name::{Alias, RunId};
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::text::printable;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::body;
use crate::error::{HttpError, Result};
use crate::nonces::Seen;
use crate::slot::{Slot, View};
use crate::watch::Notes;

/// A request with a good signature, and its body.
pub(crate) struct Signed {
    pub(crate) key: PublicKey,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    uri: Uri,
    segments: Vec<(String, String)>,
    notes: Notes,
}

/// A party of a room, who asks.
pub(crate) struct Member {
    pub(crate) alias: Alias,
    pub(crate) slot: Arc<Slot>,
    pub(crate) view: View,
}

impl FromRequest<Arc<App>> for Signed {
    type Rejection = HttpError;

    /// Reads the body only after the signature has been verified: a stranger makes the host keep
    /// nothing.
    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self> {
        let (mut parts, body) = request.into_parts();
        let signed = signed_headers(&parts.headers)?;
        let verified = verify(app, &parts, &signed)?;
        let notes = Notes::of(&parts.extensions);
        notes.set_key(&verified.key);
        check_nonce(app, &verified)?;
        let segments = segments(&mut parts, app).await?;
        let body = body::read(app, &parts.headers, body, most_bytes(&parts.method)).await?;
        signature::check_body(&signed.content_digest, &body).map_err(|e| unauthenticated(&e))?;
        let (key, headers, uri) = (verified.key, parts.headers, parts.uri);
        Ok(Self { key, headers, body, uri, segments, notes })
    }
}

/// Most bytes of a body.
fn most_bytes(method: &Method) -> usize {
    match *method {
        Method::POST => limits::MAX_REQUEST_BYTES,
        Method::PATCH => limits::UPLOAD_CHUNK_BYTES,
        _ => 0,
    }
}

fn signed_headers(map: &HeaderMap) -> Result<SignedHeaders> {
    let one = |name: &str| {
        let mut values = map.get_all(name).iter();
        let value = values.next().filter(|_| values.next().is_none());
        value.and_then(|value| value.to_str().ok()).map(str::to_owned).ok_or_else(|| {
            unauthenticated(&format_args!("the request needs the header {name}, once"))
        })
    };
    Ok(SignedHeaders {
        content_digest: one(headers::CONTENT_DIGEST)?,
        signature_input: one(headers::SIGNATURE_INPUT)?,
        signature: one(headers::SIGNATURE)?,
    })
}

fn verify(app: &App, parts: &Parts, signed: &SignedHeaders) -> Result<Verified> {
    let query = parts.uri.query().unwrap_or_default();
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let host = app.home.host_key();
    signature::verify_headers(method, path, query, signed, &host, app.now())
        .map_err(|error| unauthenticated(&error))
}

fn unauthenticated(why: &dyn std::fmt::Display) -> HttpError {
    let challenge = HeaderValue::from_static("Signature realm=\"glovebox\"");
    HttpError::new(ReasonCode::Unauthenticated, printable(&why.to_string()))
        .with_header(header::WWW_AUTHENTICATE, challenge)
}

/// A request is good once. What was used before this process started is forgotten, so requests
/// from before that are not taken.
fn check_nonce(app: &App, request: &Verified) -> Result<()> {
    if request.created < app.started {
        return Err(HttpError::unavailable("the host has been started again: sign again"));
    }
    let known = app.catalog.knows(&request.key);
    let nonces = if known { &app.nonces } else { &app.strangers };
    match nonces.note(request, app.now()) {
        Seen::First => Ok(()),
        Seen::Before => Err(HttpError::new(
            ReasonCode::Replayed,
            "this very request was made before: sign a new one",
        )),
        Seen::TooMany => Err(HttpError::too_many("your key makes too many requests")),
    }
}

/// The variable parts of the path, unescaped.
async fn segments(parts: &mut Parts, app: &Arc<App>) -> Result<Vec<(String, String)>> {
    let raw = RawPathParams::from_request_parts(parts, app).await;
    let raw = raw.map_err(|_| HttpError::not_found("there is nothing at this path"))?;
    Ok(raw.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

impl Signed {
    fn segment(&self, wanted: &str) -> &str {
        let found = self.segments.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// The party of the room in the path that signs with this key now.
    ///
    /// # Errors
    /// `not-found`, whether there is no such room or the key is no party's in it.
    pub(crate) async fn member(&self, app: &Arc<App>) -> Result<Member> {
        let id = path::parse_room(self.segment("id")).ok_or_else(HttpError::no_such_room)?;
        let slot = app.slot(&id).await?;
        let view = app.fresh(&slot).await?;
        let alias = view.party(&self.key).ok_or_else(HttpError::no_such_room)?.clone();
        self.notes.set_party(&alias);
        Ok(Member { alias, slot, view })
    }

    /// The run in the path.
    pub(crate) fn run(&self) -> Result<RunId> {
        let run = self.segment("run").parse();
        run.map_err(|_| HttpError::not_found("the room has no such run"))
    }

    /// The digest in the path.
    pub(crate) fn digest(&self) -> Result<Blake3Digest> {
        let digest = path::parse_digest(self.segment("digest"));
        digest.ok_or_else(|| HttpError::not_found("expected a digest of 64 hex digits"))
    }

    /// The query; unknown names are errors.
    pub(crate) fn query<T: DeserializeOwned>(&self) -> Result<T> {
        let query = axum::extract::Query::try_from_uri(&self.uri);
        let query = query.map_err(|error| {
            HttpError::malformed(format!("query: {}", printable(&error.body_text())))
        })?;
        Ok(query.0)
    }

    /// The body as JSON; unknown names are errors.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        self.check_type(media::JSON)?;
        serde_json::from_slice(&self.body)
            .map_err(|error| HttpError::malformed(printable(&format!("body: {error}"))))
    }

    /// The body as a signed statement of the caller. Nobody hands in what another signed: the
    /// other decides when.
    pub(crate) fn envelope(&self) -> Result<Envelope> {
        self.check_type(media::JSON)?;
        self.own(Envelope::from_bytes(&self.body)?)
    }

    /// `envelope`, if it names the caller's key.
    pub(crate) fn own(&self, envelope: Envelope) -> Result<Envelope> {
        if envelope.key_id() == self.key.id() {
            return Ok(envelope);
        }
        Err(HttpError::new(
            ReasonCode::NotPermitted,
            "the statement is signed with another key than the request",
        ))
    }

    /// The body as bytes.
    pub(crate) fn bytes(&self) -> Result<&Bytes> {
        self.check_type(media::BYTES)?;
        Ok(&self.body)
    }

    fn check_type(&self, wanted: &str) -> Result<()> {
        let found = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = found.and_then(|value| value.split(';').next()).map(str::trim);
        if essence.is_some_and(|essence| essence.eq_ignore_ascii_case(wanted)) {
            return Ok(());
        }
        Err(HttpError::malformed(format!("the body has to be {wanted}"))
            .with_status(axum::http::StatusCode::UNSUPPORTED_MEDIA_TYPE))
    }
}
