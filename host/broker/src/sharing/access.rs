//! What a recipient's requests carry.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use super::body::read_up_to;
use super::profile::{Access, now};
use crate::error::Failure;
use crate::http::{self, Http};

/// Longest answer that brings a token.
const MAX_TOKEN_BYTES: usize = 64 << 10;

/// Seconds that a token lasts when nobody says it.
const USUAL_SECONDS: i64 = 600;

/// A token that somebody else gave, and until when it is good.
#[derive(Default)]
pub(super) struct Token(Mutex<Option<(String, i64)>>);

/// What RFC 6749 has for it.
#[derive(Deserialize)]
struct Given {
    access_token: String,
    #[serde(default)]
    expires_in: Option<i64>,
}

impl Token {
    /// The request with what lets the recipient in. Asks for a token where the profile says so, at
    /// most one at a time.
    pub(super) async fn authorized(
        &self,
        http: &Http,
        access: &Access,
        request: RequestBuilder,
    ) -> Result<RequestBuilder, Failure> {
        Ok(match access {
            Access::Bearer(token) => request.bearer_auth(token),
            Access::Basic { user, password } => request.basic_auth(user, Some(password)),
            Access::Client { token_endpoint, id, secret, scope } => {
                let mut token = self.0.lock().await;
                let current = token.take().filter(|(_, ends)| *ends > now());
                let current = match current {
                    Some(current) => current,
                    None => ask(http, token_endpoint, (id, secret), scope.as_deref()).await?,
                };
                let request = request.bearer_auth(&current.0);
                *token = Some(current);
                request
            }
        })
    }

    /// Hides the token in what somebody else wrote.
    pub(super) async fn redact(&self, text: &str) -> String {
        match &*self.0.lock().await {
            Some((token, _)) if !token.is_empty() => text.replace(token.as_str(), "[…]"),
            _ => text.to_owned(),
        }
    }

    /// The next request asks for another: it may have been taken back before its time.
    pub(super) async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

/// Asks for a token, by RFC 6749, 4.4.
async fn ask(
    http: &Http,
    endpoint: &Url,
    (id, secret): (&str, &str),
    scope: Option<&str>,
) -> Result<(String, i64), Failure> {
    let fields = [("grant_type", "client_credentials")].into_iter();
    let fields = fields.chain(scope.map(|scope| ("scope", scope)));
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let response = http
        .request(Method::POST, endpoint)?
        .basic_auth(id, Some(secret))
        .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .map_err(|error| http::failure("cannot ask for a token", error))?;
    let status = response.status();
    if status != StatusCode::OK {
        // What it says may hold what it was told.
        let detail = format!("the server of tokens answers {status}");
        let is_passing = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        return Err(match is_passing {
            true => Failure::unavailable(detail),
            false => Failure::denied(detail),
        });
    }
    let text = read_up_to(response, MAX_TOKEN_BYTES).await?;
    let given: Given = serde_json::from_slice(&text)
        .map_err(|_| Failure::denied("what is given is not understood as a token"))?;
    // A little early, so that no request is sent with a token that ends on its way.
    let lasts = given.expires_in.unwrap_or(USUAL_SECONDS).saturating_sub(30).max(0);
    Ok((given.access_token, now().saturating_add(lasts.saturating_mul(1000))))
}
