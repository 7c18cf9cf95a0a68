//! The one job of a worker, from the job message to the last event.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use glovebox_contract::reason::ReasonCode;
use glovebox_job::broker::PATIENCE;
use glovebox_job::channel::{ChannelError, WorkerChannel};
use glovebox_job::descriptors::{DescriptorError, DescriptorIndex, ReceivedDescriptors};
use glovebox_job::event::{Event, ResourceUsage};
use glovebox_job::job::{self, Job};
use glovebox_job::text::{MAX_DETAIL_BYTES, clean_lines};
use glovebox_query::Broker;
use glovebox_sandbox::services::HostError;
use nix::sys::resource::UsageWho;

use crate::broker::SocketBroker;
use crate::entry::Started;
use crate::{compile, describe, panic, run, usage};

/// The host, at the other end of the job socket.
pub(crate) struct Host(Mutex<WorkerChannel>);

impl Host {
    pub(crate) fn new(channel: WorkerChannel) -> Self {
        Self(Mutex::new(channel))
    }

    /// Sends an event. A host that is gone is no matter: this process goes with it.
    pub(crate) fn tell(&self, event: &Event) {
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).send(event);
    }
}

/// Why a job failed.
#[derive(Debug)]
pub(crate) struct Failure {
    detail: String,
    reason: ReasonCode,
}

impl Failure {
    pub(crate) fn new(reason: ReasonCode, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), reason }
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Self::new(error.reason(), error.detail())
    }
}

impl From<DescriptorError> for Failure {
    fn from(error: DescriptorError) -> Self {
        Self::new(ReasonCode::Internal, error.to_string())
    }
}

/// Receives the job, does it, sends the last event.
pub(crate) fn work(started: Started) -> Result<(), ChannelError> {
    let Started { channel, confined, .. } = started;
    let received = channel.receive();
    let host = Arc::new(Host::new(channel));
    let (job, descriptors) = received.inspect_err(|error| {
        // Too many open files, for instance.
        let (detail, usage) = (error.to_string(), own_usage());
        host.tell(&Event::Failed { reason: ReasonCode::Internal, detail, usage });
    })?;
    // A panic is a bug of this program; what it left behind is thrown away with the process.
    let answer = catch_unwind(AssertUnwindSafe(|| match job {
        Job::Run(job) => run::run(*job, descriptors, &confined, &host),
        Job::Compile(job) => compile::compile(&job, descriptors),
        Job::Describe(job) => describe::describe(&job, descriptors),
        Job::DescribeView(job) => describe::describe_view(&job, descriptors),
        Job::DescribeBrokered(job) => describe::describe_brokered(&job, descriptors),
    }))
    .unwrap_or_else(|_| {
        let detail = format!("the worker panicked at {}", panic::first_place());
        Err(Failure::new(ReasonCode::Internal, detail))
    });
    host.tell(&answer.unwrap_or_else(|failure| Event::Failed {
        reason: failure.reason,
        detail: clean_lines(&failure.detail, MAX_DETAIL_BYTES),
        usage: own_usage(),
    }));
    Ok(())
}

/// What this process took so far.
pub(crate) fn own_usage() -> ResourceUsage {
    usage::measure(UsageWho::RUSAGE_SELF)
}

/// The query engine's name of a file format.
pub(crate) fn query_format(format: job::FileFormat) -> glovebox_query::FileFormat {
    match format {
        job::FileFormat::Parquet => glovebox_query::FileFormat::Parquet,
        job::FileFormat::Csv => glovebox_query::FileFormat::Csv,
        job::FileFormat::Ndjson => glovebox_query::FileFormat::Ndjson,
        job::FileFormat::ArrowIpc => glovebox_query::FileFormat::ArrowIpc,
    }
}

/// The query engine's view of files that came with the job.
pub(crate) fn query_files(
    files: &[job::InputFile],
    descriptors: &mut ReceivedDescriptors,
) -> Result<Vec<glovebox_query::InputFile>, Failure> {
    let take = |file: &job::InputFile| {
        let opened = descriptors.take(file.descriptor)?;
        Ok(glovebox_query::InputFile { file: opened, bytes: file.bytes })
    };
    files.iter().map(take).collect()
}

/// The broker behind sockets that came with the job; none when there is no socket.
pub(crate) fn broker(
    sockets: &[DescriptorIndex],
    descriptors: &mut ReceivedDescriptors,
) -> Result<Option<Arc<dyn Broker>>, Failure> {
    let take = |socket: &DescriptorIndex| Ok(OwnedFd::from(descriptors.take(*socket)?).into());
    let sockets: Vec<UnixStream> = sockets.iter().map(take).collect::<Result<_, Failure>>()?;
    if sockets.is_empty() {
        return Ok(None);
    }
    Ok(Some(Arc::new(SocketBroker::new(sockets, PATIENCE))))
}

/// The query engine's view of files that the broker reads.
pub(crate) fn brokered_files(
    files: &job::BrokeredFiles,
    broker: &Arc<dyn Broker>,
) -> glovebox_query::BrokeredFiles {
    let job::BrokeredFiles { evolving, file_columns, files, format, partition_columns, table } =
        files;
    glovebox_query::BrokeredFiles {
        broker: Arc::clone(broker),
        table: *table,
        format: query_format(*format),
        file_columns: file_columns.clone(),
        partition_columns: partition_columns.clone(),
        evolving: *evolving,
        files: files
            .iter()
            .map(|file| glovebox_query::BrokeredFile {
                bytes: file.bytes,
                has_deleted_rows: file.has_deleted_rows,
                partition: file.partition.clone(),
            })
            .collect(),
    }
}

/// The whole content of a file that came with the job and has `bytes` bytes.
pub(crate) fn read_whole(
    index: DescriptorIndex,
    bytes: u64,
    descriptors: &mut ReceivedDescriptors,
) -> Result<Vec<u8>, Failure> {
    use std::os::unix::fs::FileExt as _;
    let file = descriptors.take(index)?;
    let unreadable = || Failure::new(ReasonCode::Internal, "a file of the job cannot be read");
    let length = usize::try_from(bytes).map_err(|_| unreadable())?;
    let mut content = vec![0; length];
    file.read_exact_at(&mut content, 0).map_err(|_| unreadable())?;
    Ok(content)
}
