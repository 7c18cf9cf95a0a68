//! Headers and bodies of answers, as far as they are read.

use bytes::{Buf as _, Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::HeaderMap;

use crate::error::Failure;
use crate::http;

/// A header's text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The body of an answer, when it is no longer than that.
pub(super) async fn read_up_to(mut response: Response, most: usize) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let cut = |error| http::failure("the answer of the server broke off", error);
    while let Some(piece) = response.chunk().await.map_err(cut)? {
        if text.len().saturating_add(piece.len()) > most {
            return Err(Failure::unsupported(format!(
                "the answer of the server is longer than {most} bytes"
            )));
        }
        text.extend_from_slice(&piece);
    }
    Ok(text)
}

/// `length` bytes of a body behind the first `skipped`.
pub(super) async fn piece(
    mut response: Response,
    mut skipped: u64,
    length: u64,
) -> Result<Bytes, Failure> {
    let cut = || Failure::unavailable("a shared file is shorter than the table says, or broke off");
    let length = usize::try_from(length).map_err(|_| cut())?;
    // What is asked for is bounded, and so is what is kept.
    let mut bytes = BytesMut::with_capacity(length.min(8 << 20));
    while bytes.len() < length {
        let read = response.chunk().await;
        let Some(mut piece) =
            read.map_err(|error| http::failure("a shared file broke off", error))?
        else {
            return Err(cut());
        };
        let drop = usize::try_from(skipped).unwrap_or(usize::MAX).min(piece.len());
        skipped = skipped.saturating_sub(u64::try_from(drop).unwrap_or(u64::MAX));
        piece.advance(drop);
        piece.truncate(length.saturating_sub(bytes.len()));
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}
