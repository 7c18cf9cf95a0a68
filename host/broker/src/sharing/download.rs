//! Pieces of shared files, from addresses that are good for a while.

use std::ops::Range;
use std::sync::Mutex as SyncMutex;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryFutureExt;
use glovebox_delta::read::VectorPlace;
use object_store::{OBJECT_STORE_COALESCE_DEFAULT, coalesce_ranges};
use reqwest::header::{CONTENT_RANGE, ETAG, RANGE};
use reqwest::{Method, Response, StatusCode};
use tokio::sync::{Mutex, RwLock};
use url::Url;

use super::answer::{Link, SharedFile, failure};
use super::body::{self, header};
use super::profile::now;
use super::server::Server;
use super::tries::Tries;
use crate::error::Failure;
use crate::http;
use crate::source::FileReader;

/// How many milliseconds before its end an address is asked for again.
const EARLY: i64 = 20_000;

/// The files of a table at one version.
pub(super) struct SharedFiles {
    server: Server,
    version: u64,
    files: Vec<PinnedFile>,
    links: RwLock<Links>,
    /// Held by who asks for new addresses, so that one does for all.
    renewing: Mutex<()>,
}

/// What stays the same of a file.
struct PinnedFile {
    id: String,
    deleted_id: Option<String>,
    bytes: u64,
    /// What its server called its content when a piece was first read.
    etag: SyncMutex<Option<String>>,
}

struct Links {
    /// How often they were asked for.
    generation: u64,
    links: Vec<Link>,
}

/// What is read of a file.
enum Wanted {
    Piece(Range<u64>),
    DeletedRows,
}

/// What was read.
enum Got {
    Piece(Bytes),
    DeletedRows(Vec<u64>),
}

/// Why a piece could not be read.
enum Missed {
    /// The address may not be good any more.
    Stale(Failure),
    Failed(Failure),
}

impl From<Failure> for Missed {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl SharedFiles {
    pub(super) fn new(server: Server, version: u64, files: Vec<SharedFile>) -> Self {
        let links = files.iter().map(|file| file.link.clone()).collect();
        let files = files.into_iter().map(|file| PinnedFile {
            id: file.id,
            deleted_id: file.deleted_id,
            bytes: file.bytes,
            etag: SyncMutex::new(None),
        });
        Self {
            server,
            version,
            files: files.collect(),
            links: RwLock::new(Links { generation: 0, links }),
            renewing: Mutex::new(()),
        }
    }

    async fn link(&self, file: usize) -> Result<(u64, Link), Failure> {
        let links = self.links.read().await;
        let link = links.links.get(file).ok_or_else(no_such_file)?;
        Ok((links.generation, link.clone()))
    }

    /// Reads with the address of a file, a fresh one when the first is good no longer.
    async fn get(&self, file: usize, wanted: &Wanted) -> Result<Got, Failure> {
        let mut tries = Tries::default();
        let mut is_renewed = false;
        loop {
            let (generation, link) = self.link(file).await?;
            let is_ending = link.expires.is_some_and(|ends| ends.saturating_sub(EARLY) <= now());
            let missed = match is_ending && !is_renewed {
                true => {
                    Missed::Stale(Failure::denied("the address of a file is not good any more"))
                }
                false => match self.get_by(file, &link, wanted).await {
                    Ok(value) => return Ok(value),
                    Err(missed) => missed,
                },
            };
            match missed {
                Missed::Stale(failure) if is_renewed => return Err(failure),
                Missed::Stale(_) => {
                    is_renewed = true;
                    self.renew(generation).await?;
                }
                Missed::Failed(failure) => tries.next(failure).await?,
            }
        }
    }

    /// Asks for new addresses of the very files that were pinned, unless somebody did already.
    async fn renew(&self, generation: u64) -> Result<(), Failure> {
        let _turn = self.renewing.lock().await;
        if self.links.read().await.generation != generation {
            return Ok(());
        }
        // Not every server may be asked for a version; files that are still there do as well.
        let asked = self.server.query(Some(self.version));
        let (answer, _) = asked.or_else(|_| self.server.query(None)).await?;
        let links = self.files.iter().map(|pinned| {
            let at = answer.files.binary_search_by(|file| file.id.as_str().cmp(&pinned.id));
            let file = at.ok().and_then(|at| answer.files.get(at));
            file.filter(|file| file.bytes == pinned.bytes && file.deleted_id == pinned.deleted_id)
                .map(|file| file.link.clone())
                .ok_or_else(|| Failure::changed("the server has not got the version any more"))
        });
        let renewed = links.collect::<Result<Vec<_>, _>>()?;
        let mut links = self.links.write().await;
        let same = links.links.iter().zip(&renewed).all(|(old, new)| {
            let count = |link: &Link| link.deleted.as_ref().map(|deleted| deleted.cardinality());
            count(old) == count(new)
        });
        if !same {
            return Err(Failure::changed("rows of the version have been deleted"));
        }
        *links = Links { generation: generation.saturating_add(1), links: renewed };
        Ok(())
    }

    async fn get_by(&self, file: usize, link: &Link, wanted: &Wanted) -> Result<Got, Missed> {
        match wanted {
            Wanted::Piece(range) => {
                let pinned = self.files.get(file).ok_or_else(no_such_file)?;
                self.download(&link.url, range, Some(pinned)).await.map(Got::Piece)
            }
            Wanted::DeletedRows => {
                let Some(vector) = &link.deleted else { return Ok(Got::DeletedRows(Vec::new())) };
                let rows = match vector.place().map_err(failure)? {
                    VectorPlace::Rows(rows) => rows,
                    VectorPlace::Address(url, range) => {
                        let bytes = self.download(&url, &range, None).await?;
                        vector.rows(&bytes).map_err(failure)?
                    }
                    VectorPlace::File(..) => {
                        let without = "the list of a file's deleted rows has no address";
                        return Err(Missed::Failed(Failure::unsupported(without)));
                    }
                };
                Ok(Got::DeletedRows(rows))
            }
        }
    }

    async fn piece(&self, file: usize, range: Range<u64>) -> Result<Bytes, Failure> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        match self.get(file, &Wanted::Piece(range)).await? {
            Got::Piece(bytes) => Ok(bytes),
            Got::DeletedRows(_) => Err(no_such_file()),
        }
    }

    /// Bytes of what an address leads to, all of them.
    async fn download(
        &self,
        url: &str,
        range: &Range<u64>,
        pinned: Option<&PinnedFile>,
    ) -> Result<Bytes, Missed> {
        let url = Url::parse(url)
            .map_err(|_| Failure::unreadable("the server gives an address that is none"))?;
        let last = range.end.saturating_sub(1);
        let response = self
            .server
            .http()
            .request(Method::GET, &url)?
            .header(RANGE, format!("bytes={}-{last}", range.start))
            .send()
            .await
            .map_err(|error| http::failure("cannot read a shared file", error))?;
        let skipped = match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                check_range(&response, range, pinned)?;
                0
            }
            // All of it is right, too, if not quick.
            StatusCode::OK => range.start,
            status => return Err(missed(status)),
        };
        if let Some(pinned) = pinned {
            pinned.check_etag(header(response.headers(), ETAG.as_str()))?;
        }
        Ok(body::piece(response, skipped, range.end.saturating_sub(range.start)).await?)
    }
}

#[async_trait]
impl FileReader for SharedFiles {
    async fn read(&self, file: usize, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Failure> {
        coalesce_ranges(ranges, |range| self.piece(file, range), OBJECT_STORE_COALESCE_DEFAULT)
            .await
    }

    async fn deleted_rows(&self, file: usize) -> Result<Vec<u64>, Failure> {
        match self.get(file, &Wanted::DeletedRows).await? {
            Got::DeletedRows(rows) => Ok(rows),
            Got::Piece(_) => Err(no_such_file()),
        }
    }
}

impl PinnedFile {
    /// Fails when this is another content than that of the first piece.
    fn check_etag(&self, etag: Option<&str>) -> Result<(), Failure> {
        let Some(etag) = etag else { return Ok(()) };
        let mut first = self.etag.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match first.get_or_insert_with(|| etag.to_owned()) == etag {
            true => Ok(()),
            false => Err(Failure::changed("a shared file was written anew")),
        }
    }
}

/// Whether the answer is the piece asked for, of the file that was pinned.
fn check_range(
    response: &Response,
    range: &Range<u64>,
    pinned: Option<&PinnedFile>,
) -> Result<(), Failure> {
    let said = header(response.headers(), CONTENT_RANGE.as_str()).unwrap_or_default();
    let parts = said.strip_prefix("bytes ").and_then(|said| said.split_once('/'));
    let (piece, whole) = parts.ok_or_else(|| wrong_piece(said))?;
    let expected = format!("{}-{}", range.start, range.end.saturating_sub(1));
    let is_whole = pinned.is_none_or(|file| whole == "*" || whole == file.bytes.to_string());
    if !is_whole {
        return Err(Failure::changed("a shared file has another size than the table says"));
    }
    (piece.trim() == expected).then_some(()).ok_or_else(|| wrong_piece(said))
}

fn wrong_piece(said: &str) -> Failure {
    let said: String = said.chars().take(100).collect();
    Failure::unavailable(format!("another piece of a shared file comes than was asked for: {said}"))
}

/// What a status of a file's server means.
fn missed(status: StatusCode) -> Missed {
    let detail = format!("the server of a shared file answers {status}");
    match status.as_u16() {
        // Stores answer so when a signature's time is over.
        400 | 401 | 403 => Missed::Stale(Failure::denied(detail)),
        404 | 410 => Missed::Stale(Failure::changed(detail)),
        416 => Missed::Failed(Failure::changed(detail)),
        300..=399 => Missed::Failed(Failure::refused(detail)),
        _ => Missed::Failed(Failure::unavailable(detail)),
    }
}

fn no_such_file() -> Failure {
    Failure::unreadable("the run asks for a file that the table does not have")
}
