//! Requests to a server of Delta Sharing.

use std::time::Duration;

use glovebox_contract::reason::ReasonCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::access::Token;
use super::answer::Answer;
use super::body::{header, read_up_to};
use super::profile::{Access, Profile};
use super::tries::{LONGEST_WAIT, Tries};
use crate::error::Failure;
use crate::http::{self, Http};

/// What this client understands, in the words of the protocol.
const CAPABILITIES: &str = "responseformat=delta,parquet;\
    readerfeatures=deletionvectors,columnmapping,timestampntz;includeendstreamaction=true";

/// Longest answer about one table, in bytes.
const MAX_ANSWER_BYTES: usize = 128 << 20;

/// Longest error that is read.
const MAX_ERROR_BYTES: usize = 16 << 10;

/// Most pages of one answer.
const MAX_PAGES: usize = 200;

/// A table of a server.
pub(super) struct Server {
    http: Http,
    profile: Profile,
    /// Where the table is.
    table: Url,
    token: Token,
}

impl Server {
    pub(super) fn new(
        http: Http,
        profile: Profile,
        share: &str,
        schema: &str,
        table: &str,
    ) -> Result<Self, Failure> {
        let mut place = profile.endpoint.clone();
        place
            .path_segments_mut()
            .map_err(|()| Failure::denied("the `endpoint` of the profile is no address"))?
            .pop_if_empty()
            .extend(["shares", share, "schemas", schema, "tables", table, "query"]);
        Ok(Self { http, profile, table: place, token: Token::default() })
    }

    /// What sends requests.
    pub(super) fn http(&self) -> &Http {
        &self.http
    }

    /// The table with all its files, at a version or as it is now.
    pub(super) async fn query(&self, version: Option<u64>) -> Result<(Answer, u64), Failure> {
        let mut answer = Answer::default();
        let mut page: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut body = serde_json::Map::new();
            if let Some(version) = version {
                body.insert("version".into(), json!(version));
            }
            if let Some(page) = page.take() {
                body.insert("pageToken".into(), json!(page));
            }
            let (headers, text) = self.ask(&Value::Object(body)).await?;
            answer.read(&text).map_err(|failure| self.redacted(failure))?;
            if says_how_it_ends(&headers) && !answer.is_ended {
                return Err(Failure::unavailable("the server's answer is not whole"));
            }
            page = answer.next_page.take();
            if page.is_none() {
                let said = header(&headers, "delta-table-version").and_then(|it| it.parse().ok());
                let found = said.or(answer.version).ok_or_else(|| {
                    Failure::unreadable("the server does not say which version its answer is of")
                })?;
                answer.sort_files()?;
                return Ok((answer, found));
            }
        }
        Err(Failure::unsupported(format!("the server's answer has more than {MAX_PAGES} pages")))
    }

    /// Asks, and asks again when that may help.
    async fn ask(&self, body: &Value) -> Result<(HeaderMap, Vec<u8>), Failure> {
        let mut tries = Tries::default();
        let mut is_renewed = false;
        loop {
            let failure = match self.ask_once(body).await {
                Ok(answer) => return Ok(answer),
                Err(Refusal { status: Some(StatusCode::UNAUTHORIZED), .. })
                    if !is_renewed && matches!(self.profile.access, Access::Client { .. }) =>
                {
                    is_renewed = true;
                    self.token.forget().await;
                    continue;
                }
                Err(Refusal { failure, wait, .. }) => {
                    tries.wait = tries.wait.max(wait.unwrap_or_default());
                    failure
                }
            };
            tries.next(failure).await?;
        }
    }

    async fn ask_once(&self, body: &Value) -> Result<(HeaderMap, Vec<u8>), Refusal> {
        let request = self
            .http
            .request(Method::POST, &self.table)?
            .header("delta-sharing-capabilities", CAPABILITIES)
            .json(body);
        let response = self
            .token
            .authorized(&self.http, &self.profile.access, request)
            .await?
            .send()
            .await
            .map_err(|error| http::failure("cannot ask the sharing server", error))?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(response).await);
        }
        let headers = response.headers().clone();
        let text = read_up_to(response, MAX_ANSWER_BYTES).await?;
        Ok((headers, text))
    }

    /// Why a server does not answer as asked, with its own words.
    async fn refusal(&self, response: Response) -> Refusal {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Said {
            #[serde(default)]
            error_code: String,
            #[serde(default)]
            message: String,
        }
        let status = response.status();
        let wait = header(response.headers(), RETRY_AFTER.as_str())
            .and_then(|seconds| seconds.parse().ok())
            .map(|seconds: u64| Duration::from_secs(seconds).min(LONGEST_WAIT));
        let text = read_up_to(response, MAX_ERROR_BYTES).await.unwrap_or_default();
        let said = serde_json::from_slice::<Said>(&text)
            .map(|said| format!(": {} {}", said.error_code, said.message))
            .unwrap_or_default();
        let detail = format!("the sharing server answers {status}{said}");
        let detail = self.token.redact(&detail).await;
        let failure = self.redacted(Failure::new(reason(status), detail));
        Refusal { failure, status: Some(status), wait }
    }

    fn redacted(&self, mut failure: Failure) -> Failure {
        failure.detail = self.profile.redact(&failure.detail);
        failure
    }
}

/// What a status means for whoever asks for a table.
fn reason(status: StatusCode) -> ReasonCode {
    match status.as_u16() {
        401 | 403 => ReasonCode::SourceDenied,
        404 | 410 => ReasonCode::InputUnreadable,
        408 | 429 | 500..=599 => ReasonCode::SourceUnavailable,
        300..=399 => ReasonCode::SourceRefused,
        _ => ReasonCode::SourceUnsupported,
    }
}

/// Whether a server said that it ends its answers with a line that says so.
fn says_how_it_ends(headers: &HeaderMap) -> bool {
    header(headers, "delta-sharing-capabilities").is_some_and(|said| {
        said.split(';').any(|it| it.trim().eq_ignore_ascii_case("includeendstreamaction=true"))
    })
}

/// Why one request failed.
struct Refusal {
    failure: Failure,
    status: Option<StatusCode>,
    wait: Option<Duration>,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { failure, status: None, wait: None }
    }
}
