//! The calls about one table: version, metadata, query, changes.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use glovebox_contract::digest::Blake3Digest;
use glovebox_delta::{Change, Commit, DataFile, ReadError, Snapshot};
use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::capabilities::{self, Capabilities, Format};
use super::error::{Result, SharingError};
use super::lines::{End, Lines};
use super::links::{self, Links};
use super::names::{Key, Listed};
use super::parameters::{self, Body, Parameters};
use super::predicate::{Columns, Figures, Predicate};
use super::reads;
use super::tables::Table;

const VERSION: HeaderName = HeaderName::from_static("delta-table-version");

/// A table that a recipient asks about.
pub(crate) struct Asked {
    caller: Caller,
    listed: Listed,
    table: Table,
}

/// Where an answer in pages goes on, or which one it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    version: u64,
    offset: usize,
}

impl Asked {
    /// The table at the path, if the caller may read it. What has expired by the clock is taken
    /// out of the log's tables first.
    pub(crate) async fn at(caller: Caller, path: [&str; 3]) -> Result<Self> {
        let listed = caller.find(path)?;
        let table = Table::open(&caller, &listed).await?;
        let asked = Self { caller, listed, table };
        if asked.is_newest_readable() {
            return Ok(asked);
        }
        asked.caller.app.with(&asked.caller.slot, |room| Ok(room.sweep_expired()?)).await?;
        let caller = asked.caller.again().await?;
        let listed = caller.find(path)?;
        let table = Table::open(&caller, &listed).await?;
        Ok(Self { caller, listed, table })
    }

    fn is_newest_readable(&self) -> bool {
        let newest = self.table.history.latest();
        let snapshot = newest.map(|newest| self.table.history.snapshot(newest));
        match snapshot {
            Some(Ok(snapshot)) => {
                snapshot.files.iter().all(|file| self.table.may_read(&self.caller, file))
            }
            _ => true,
        }
    }

    /// `GET …/version`, and `HEAD` of the table.
    pub(crate) fn version(&self, parameters: &Parameters) -> Result<Response> {
        let history = &self.table.history;
        let version = match parameters.time("startingTimestamp")? {
            Some(time) => history.version_from(time).ok_or_else(|| {
                SharingError::invalid("startingTimestamp is after the newest version of the table")
            })?,
            None => history.latest().ok_or_else(|| SharingError::missing("table"))?,
        };
        let mut response = StatusCode::OK.into_response();
        response.headers_mut().insert(VERSION, HeaderValue::from(version));
        Ok(response)
    }

    /// `GET …/metadata`.
    pub(crate) fn metadata(
        &self,
        parameters: &Parameters,
        headers: &HeaderMap,
    ) -> Result<Response> {
        let version = parameters::version(
            &self.table.history,
            parameters.number("version")?,
            parameters.time("timestamp")?,
        )?;
        let schema = self.table.history.schema(version)?;
        let format = Capabilities::of(headers).format(&schema.protocol)?;
        let mut lines = Lines::new(format);
        match self.snapshot(version) {
            Ok(snapshot) => lines.head(&snapshot),
            Err(_) => {
                lines.protocol(&schema.protocol);
                lines.metadata(&schema.metadata, version, None);
            }
        }
        answer(lines, format, version, false, headers)
    }

    /// `POST …/query`.
    pub(crate) async fn query(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        bytes: &Bytes,
    ) -> Result<Response> {
        let body = Body::of(bytes)?;
        if let Some(start) = body.number("startingVersion")? {
            if body.number("version")?.is_some() || body.time("timestamp")?.is_some() {
                return Err(SharingError::invalid(
                    "give one of version, timestamp and startingVersion",
                ));
            }
            let end = body.number("endingVersion")?;
            return self.changed(uri, headers, start, end, true).await;
        }
        let capabilities = Capabilities::of(headers);
        let wanted = Wanted::of(&body, &capabilities)?;
        let purpose = self.purpose(&body)?;
        let place = self.place(&body, &purpose, &wanted)?;
        let snapshot = self.snapshot(place.version)?;
        let format = capabilities.format(&snapshot.protocol)?;
        let links =
            Links::new(&self.caller, &self.listed, links::base(&self.caller.app, uri, headers)?)?;
        reads::record(&self.caller, &self.listed, place.version).await?;

        let mut lines = Lines::new(format);
        lines.head(&snapshot);
        let files = choose(&snapshot, &body)?;
        let most = wanted.most_files.unwrap_or(usize::MAX);
        for file in files.iter().skip(place.offset).take(most) {
            lines.file(file, &links.to(&file.name, self.table.ends(&self.caller, file)));
        }
        if wanted.end_line {
            let seal = &self.caller.app.sharing().seal;
            let purpose: Vec<&str> = purpose.iter().map(String::as_str).collect();
            let offset = place.offset.saturating_add(most);
            let next = Place { offset, ..place };
            let again = Place { offset: 0, ..place };
            lines.end(End {
                next_page: (offset < files.len()).then(|| seal.token(&purpose, &next)),
                refresh: wanted.refresh.then(|| seal.token(&purpose, &again)),
            });
        }
        answer(lines, format, place.version, wanted.end_line, headers)
    }

    /// `GET …/changes`.
    pub(crate) async fn changes(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        parameters: &Parameters,
    ) -> Result<Response> {
        let history = &self.table.history;
        let start =
            match (parameters.number("startingVersion")?, parameters.time("startingTimestamp")?) {
                (Some(version), None) => version,
                (None, Some(time)) => history.version_from(time).ok_or_else(|| {
                    SharingError::invalid(
                        "startingTimestamp is after the newest version of the table",
                    )
                })?,
                _ => {
                    return Err(SharingError::invalid(
                        "give a startingVersion or a startingTimestamp, one of them",
                    ));
                }
            };
        let end = match (parameters.number("endingVersion")?, parameters.time("endingTimestamp")?) {
            (Some(_), Some(_)) => {
                return Err(SharingError::invalid(
                    "give an endingVersion or an endingTimestamp, not both",
                ));
            }
            (Some(version), None) => Some(version),
            (None, Some(time)) => Some(history.version_at(time)?),
            (None, None) => None,
        };
        let historical = parameters.flag("includeHistoricalMetadata")?;
        self.changed(uri, headers, start, end, historical).await
    }

    /// What changed from one version to another.
    async fn changed(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        start: u64,
        end: Option<u64>,
        historical: bool,
    ) -> Result<Response> {
        if matches!(self.listed.key, Key::Audit { .. }) {
            return Err(SharingError::unsupported(
                "this table has no change data feed: rows only come, so read those whose position \
                 is greater than the last that you have",
            ));
        }
        let history = &self.table.history;
        let latest = history.latest().ok_or_else(|| SharingError::missing("table"))?;
        if start > latest {
            return Err(ReadError::NoVersion { version: start, latest }.into());
        }
        // Versions to come are none to wait for.
        let end = end.unwrap_or(latest).min(latest);
        let commits = history.changes(start, end)?;
        for commit in commits {
            self.check(told(commit), commit.version)?;
        }
        // The newest protocol of all versions that are told has to be understood.
        let last = history.schema(end)?;
        let capabilities = Capabilities::of(headers);
        let format = capabilities.format(&last.protocol)?;
        let links =
            Links::new(&self.caller, &self.listed, links::base(&self.caller.app, uri, headers)?)?;
        reads::record(&self.caller, &self.listed, end).await?;

        let mut lines = Lines::new(format);
        lines.protocol(&last.protocol);
        let first = if historical { history.schema(start)? } else { last };
        lines.metadata(&first.metadata, first.version, None);
        for commit in commits {
            if let Some(metadata) =
                commit.metadata.as_ref().filter(|_| historical && commit.version > start)
            {
                lines.metadata(metadata, commit.version, None);
            }
            if matches!(commit.change, Change::Removal { .. }) {
                continue;
            }
            let link = |file: &DataFile| links.to(&file.name, self.table.ends(&self.caller, file));
            for file in &commit.removed {
                lines.removed(commit, file, &link(file));
            }
            for file in &commit.added {
                lines.added(commit, file, &link(file));
            }
        }
        if capabilities.end_line {
            lines.end(End::default());
        }
        answer(lines, format, start, capabilities.end_line, headers)
    }

    /// The table at a version, if all of it may be read.
    fn snapshot(&self, version: u64) -> Result<Snapshot> {
        let snapshot = self.table.history.snapshot(version)?;
        self.check(snapshot.files.iter().map(AsRef::as_ref), version)?;
        Ok(snapshot)
    }

    fn check<'a>(&self, mut files: impl Iterator<Item = &'a DataFile>, version: u64) -> Result<()> {
        if files.all(|file| self.table.may_read(&self.caller, file)) {
            return Ok(());
        }
        Err(ReadError::Gone { version }.into())
    }

    /// What a page token is good for: this caller, this table, these hints.
    fn purpose(&self, body: &Body) -> Result<Vec<String>> {
        let hints = (
            body.text("jsonPredicateHints")?,
            body.hints("predicateHints"),
            body.number("limitHint")?,
        );
        let hints = Blake3Digest::of(&serde_json::to_vec(&hints).unwrap_or_default());
        let mut purpose = vec!["query".to_owned()];
        purpose.extend(self.caller.id());
        purpose.push(self.listed.share.to_string());
        purpose.push(self.listed.key.in_statement(&self.caller.owner));
        purpose.push(hints.to_hex());
        Ok(purpose)
    }

    /// Where the answer begins.
    fn place(&self, body: &Body, purpose: &[String], wanted: &Wanted) -> Result<Place> {
        let purpose: Vec<&str> = purpose.iter().map(String::as_str).collect();
        let seal = &self.caller.app.sharing().seal;
        let tokens = [body.text("pageToken")?, body.text("refreshToken")?];
        let version = parameters::version(
            &self.table.history,
            body.number("version")?,
            body.time("timestamp")?,
        )?;
        match tokens {
            [None, None] => Ok(Place { version, offset: 0 }),
            [Some(_), _] if wanted.most_files.is_none() => {
                Err(SharingError::invalid("a pageToken comes with maxFiles"))
            }
            [Some(token), None] | [None, Some(token)] => {
                seal.read(&purpose, token).ok_or_else(|| {
                    SharingError::invalid("the pageToken or refreshToken is not one of this query")
                })
            }
            [Some(_), Some(_)] => {
                Err(SharingError::invalid("give a pageToken or a refreshToken, not both"))
            }
        }
    }
}

/// The files that tell what a version changed.
fn told(commit: &Commit) -> impl Iterator<Item = &DataFile> {
    let tells = !matches!(commit.change, Change::Removal { .. });
    commit.added.iter().chain(&commit.removed).filter(move |_| tells).map(AsRef::as_ref)
}

/// What a query wants of its answer.
struct Wanted {
    most_files: Option<usize>,
    refresh: bool,
    end_line: bool,
}

impl Wanted {
    fn of(body: &Body, capabilities: &Capabilities) -> Result<Self> {
        let most_files = match body.number("maxFiles")? {
            Some(0) => return Err(SharingError::invalid("maxFiles is at least 1")),
            most => most.map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
        };
        let refresh = body.flag("includeRefreshToken")?;
        let end_line = most_files.is_some() || refresh || capabilities.end_line;
        Ok(Self { most_files, refresh, end_line })
    }
}

/// The files that the hints do not rule out.
fn choose<'a>(snapshot: &'a Snapshot, body: &Body) -> Result<Vec<&'a DataFile>> {
    let predicate =
        Predicate::of_hints(body.text("jsonPredicateHints")?, &body.hints("predicateHints"));
    let limit = body.number("limitHint")?;
    let columns = Columns::of(&snapshot.metadata.schema_string);
    let mut chosen = Vec::new();
    let mut rows = Some(0_u64);
    for file in &snapshot.files {
        // A limit is about the rows that the predicate leaves, which nobody counts here.
        let enough = limit.zip(rows).is_some_and(|(limit, rows)| rows >= limit);
        if enough && predicate.is_anything() {
            break;
        }
        let figures = Figures::of(&columns, file.stats.as_deref());
        if predicate.may_want(&figures) {
            rows = rows.zip(figures.rows()).map(|(all, rows)| all.saturating_add(rows));
            chosen.push(file.as_ref());
        }
    }
    Ok(chosen)
}

fn answer(
    lines: Lines,
    format: Format,
    version: u64,
    end_line: bool,
    asked: &HeaderMap,
) -> Result<Response> {
    let mut said = format!("responseformat={}", format.as_str());
    if end_line {
        said.push_str(";includeendstreamaction=true");
    }
    let mut response = lines.into_text().into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson; charset=utf-8"),
    );
    headers.insert(VERSION, HeaderValue::from(version));
    if let Ok(said) = HeaderValue::from_str(&said) {
        headers.insert(HeaderName::from_static(capabilities::HEADER), said);
    }
    if let Some(ids) = capabilities::file_ids(asked)? {
        headers
            .insert(HeaderName::from_static(capabilities::FILE_IDS), HeaderValue::from_static(ids));
    }
    Ok(response)
}
