//! Uploads: files on their way into a room, named by their digest, resumed where they stopped.
//! They belong to the key that makes them; nobody else can use or see them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use glovebox_api::headers::{UPLOAD_LENGTH, UPLOAD_OFFSET};
use glovebox_contract::reason::ReasonCode;
use glovebox_room::uploads::{Upload, UploadLimits, Uploads};

use crate::app::{App, blocking};
use crate::auth::Signed;
use crate::error::{HttpError, Result};

const OFFSET: HeaderName = HeaderName::from_static(UPLOAD_OFFSET);
const LENGTH: HeaderName = HeaderName::from_static(UPLOAD_LENGTH);

/// The uploads of the host, with the operator's limits.
pub(crate) fn uploads(app: &App) -> Result<Uploads> {
    let limits = UploadLimits { bytes: app.limits.upload_bytes_per_key, ..UploadLimits::default() };
    Ok(app.home.uploads_with(limits)?)
}

/// `HEAD /v1/uploads/{digest}`
pub(crate) async fn status(State(app): State<Arc<App>>, signed: Signed) -> Result<Response> {
    check_known(&app, &signed)?;
    let (key, digest) = (signed.key, signed.digest()?);
    let found = blocking(move || Ok(uploads(&app)?.status(&key, &digest)?)).await?;
    let Upload { offset, length } =
        found.ok_or_else(|| HttpError::not_found("your key has no such upload"))?;
    let headers = [(OFFSET, HeaderValue::from(offset)), (LENGTH, HeaderValue::from(length))];
    Ok((headers, StatusCode::OK).into_response())
}

/// `PATCH /v1/uploads/{digest}`
pub(crate) async fn append(State(app): State<Arc<App>>, signed: Signed) -> Result<Response> {
    check_known(&app, &signed)?;
    let digest = signed.digest()?;
    let (offset, length) = (number(&signed, &OFFSET)?, number(&signed, &LENGTH)?);
    let (key, piece) = (signed.key, signed.bytes()?.clone());
    app.metrics.uploaded(piece.len());
    let taken = blocking(move || {
        let uploads = uploads(&app)?;
        uploads.append(&key, &digest, offset, length, &piece).map_err(|error| {
            let conflict = error.reason() == ReasonCode::UploadIncomplete;
            let error = HttpError::from(error);
            // Where to go on is in the answer, so that it costs no other request.
            match uploads.status(&key, &digest) {
                Ok(found) if conflict => {
                    error.with_header(OFFSET, found.map_or(0, |upload| upload.offset))
                }
                _ => error,
            }
        })
    });
    let headers = [(OFFSET, HeaderValue::from(taken.await?.offset))];
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}

/// Only parties of rooms put files on this host.
fn check_known(app: &App, signed: &Signed) -> Result<()> {
    if app.catalog.knows(&signed.key) {
        return Ok(());
    }
    Err(HttpError::new(ReasonCode::NotPermitted, "only members of rooms of this host may upload"))
}

fn number(signed: &Signed, name: &HeaderName) -> Result<u64> {
    let mut values = signed.headers.get_all(name).iter();
    let one = values.next().filter(|_| values.next().is_none());
    one.and_then(|value| value.to_str().ok())
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| {
            HttpError::malformed(format!("the request needs the header {name}, once: a number"))
        })
}
