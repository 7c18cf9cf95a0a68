//! The host's side: starts a worker process, talks to it, ends it.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use glovebox_contract::media::MAX_DISPLAY_BYTES;
use glovebox_contract::reason::ReasonCode;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::channel::Parcel;
use crate::descriptors::{DescriptorError, DescriptorList, MAX_DESCRIPTORS};
use crate::ending::Ending;
use crate::event::Event;
use crate::frame::{self, FrameError, MAX_EVENT_BYTES, MAX_JOB_BYTES, Wait};
use crate::job::{ExpectedAnswer, Job};
use crate::limits::{JailMode, ProcessLimits};
use crate::report::Report;
use crate::text;

/// Subcommand of the launcher, which makes the namespaces and starts the worker in them.
pub const JAIL_COMMAND: &str = "jail";

/// Subcommand of the worker itself.
pub const WORKER_COMMAND: &str = "worker";

/// Most events of one job.
pub const MAX_EVENTS: u64 = 100_000;

/// Most bytes of all events of one job.
pub const MAX_EVENTS_BYTES: u64 = 64 << 20;

/// How long a worker may take to exit after its last event or to die once it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// The program that is launcher and worker both, told apart by its first argument.
#[derive(Debug, Clone)]
pub struct WorkerProgram {
    path: PathBuf,
}

impl WorkerProgram {
    /// The program at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The program that calls this, even when its file was replaced meanwhile.
    pub fn this_program() -> Self {
        Self::new("/proc/self/exe")
    }
}

/// Why a job got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct WorkerError {
    detail: String,
    reason: ReasonCode,
}

impl WorkerError {
    fn new(reason: ReasonCode, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), reason }
    }

    /// What everyone may know.
    pub fn reason(&self) -> ReasonCode {
        self.reason
    }

    /// What only the operator may know.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

/// A worker process. It dies with this value.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    events: u64,
    event_bytes: u64,
    expected: Option<ExpectedAnswer>,
    jail: JailMode,
    limits: ProcessLimits,
    over: bool,
    report: Report,
    _scratch: Option<ScratchDirectory>,
    stream: UnixStream,
}

impl Worker {
    /// Starts the process and does not wait for it.
    ///
    /// The process gets no environment, `/` as its directory, the job socket as standard input,
    /// and no other descriptor but pipes for what it says when it dies.
    pub fn spawn(
        program: &WorkerProgram,
        jail: JailMode,
        limits: ProcessLimits,
    ) -> Result<Self, WorkerError> {
        let failed = |what: &str, error: std::io::Error| {
            WorkerError::new(ReasonCode::Internal, format!("{what}: {error}"))
        };
        let (stream, worker_end) =
            UnixStream::pair().map_err(|error| failed("cannot make a job socket", error))?;
        let (report, report_end) =
            Report::new().map_err(|error| failed("cannot make a pipe", error))?;
        let scratch = match jail {
            JailMode::Full => None,
            JailMode::Off => Some(
                ScratchDirectory::create()
                    .map_err(|error| failed("cannot make a scratch directory", error))?,
            ),
        };
        let mut command = Command::new(&program.path);
        command
            .arg0("glovebox")
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(worker_end)));
        match &scratch {
            None => {
                let launcher_out =
                    report_end.try_clone().map_err(|error| failed("cannot copy a pipe", error))?;
                command.arg(JAIL_COMMAND).stdout(launcher_out).stderr(report_end);
            }
            Some(scratch) => {
                command
                    .arg(WORKER_COMMAND)
                    .arg("jail=off")
                    .stdout(Stdio::null())
                    .stderr(report_end);
                command.arg(scratch.argument());
            }
        }
        command.args(limits.to_arguments());
        let child =
            command.spawn().map_err(|error| failed("cannot start the worker process", error))?;
        Ok(Self {
            child,
            events: 0,
            event_bytes: 0,
            expected: None,
            jail,
            limits,
            over: false,
            report,
            _scratch: scratch,
            stream,
        })
    }

    /// How this worker is confined.
    pub fn jail(&self) -> JailMode {
        self.jail
    }

    /// Waits until the jail stands, then hands over the one job with its descriptors.
    ///
    /// Fails with `jail-unavailable` when this machine cannot confine the worker.
    pub fn send(
        &mut self,
        job: &Job,
        descriptors: DescriptorList,
        deadline: Instant,
    ) -> Result<(), WorkerError> {
        let count = descriptors.len();
        if count > MAX_DESCRIPTORS
            || count as u64 + crate::limits::OWN_FILES > self.limits.open_files
        {
            return Err(self.fail(
                ReasonCode::PolicyLimit,
                format!("the job has {count} files, the room allows {}", self.limits.open_files),
            ));
        }
        match self.read_event(&mut Wait::until(Some(deadline)))? {
            Event::Ready {} => {}
            Event::Failed { reason, detail, .. } => {
                let detail = text::clean_lines(&detail, text::MAX_DETAIL_BYTES);
                return Err(self.fail(reason, detail));
            }
            other => {
                return Err(self.violation(format!("`{}` came before `ready`", other.name())));
            }
        }
        self.expected = Some(job.expected_answer());
        let parcel = Parcel { descriptors: count, job };
        match frame::write(&self.stream, &parcel, MAX_JOB_BYTES, Some(deadline)) {
            Ok(()) => {}
            Err(error) => return Err(self.frame_failure(error)),
        }
        match descriptors.send(&self.stream, deadline) {
            Ok(()) => Ok(()),
            Err(DescriptorError::Deadline) => Err(self.frame_failure(FrameError::Deadline)),
            Err(DescriptorError::Missing) => Err(self.frame_failure(FrameError::Closed)),
            Err(error) => Err(self.fail(ReasonCode::Internal, error.to_string())),
        }
    }

    /// Waits for the next event.
    ///
    /// Once this returns a last event or an error, the process is dead: nobody writes to the
    /// output files any more. Texts are clean; outputs are those of the job, within its rows.
    pub fn receive(&mut self, deadline: Instant) -> Result<Event, WorkerError> {
        self.receive_within(deadline, &mut Wait::until(Some(deadline)))
    }

    fn receive_within(
        &mut self,
        deadline: Instant,
        wait: &mut Wait<'_>,
    ) -> Result<Event, WorkerError> {
        let event = match self.read_event(wait)? {
            Event::Log { level, text } => {
                Event::Log { level, text: text::clean_line(&text, text::MAX_LOG_LINE_BYTES) }
            }
            Event::Failed { reason, detail, usage } => {
                let detail = text::clean_lines(&detail, text::MAX_DETAIL_BYTES);
                Event::Failed { reason, detail, usage }
            }
            Event::Display { media_type, data } => {
                if data.len() > MAX_DISPLAY_BYTES || !media_type.fits(&data) {
                    return Err(self.violation(format!("a display that is no {media_type}")));
                }
                let data = match media_type.text(&data) {
                    Some(shown) => text::clean_lines(shown, MAX_DISPLAY_BYTES).into_bytes(),
                    None => data,
                };
                Event::Display { media_type, data }
            }
            other => other,
        };
        if let Err(why) = self.check(&event) {
            return Err(self.violation(why));
        }
        if event.is_last() {
            self.end_after_last_event(deadline)?;
        }
        Ok(event)
    }

    /// Waits for the last event; every other event goes to `notice`.
    pub fn wait(
        &mut self,
        deadline: Instant,
        mut notice: impl FnMut(&Event),
    ) -> Result<Event, WorkerError> {
        loop {
            let event = self.receive(deadline)?;
            if event.is_last() {
                return Ok(event);
            }
            notice(&event);
        }
    }

    /// [`Worker::wait`] until `stop` gives a reason to end the worker, which becomes that of the
    /// error. It is asked several times a second, also while events come in.
    pub fn wait_unless(
        &mut self,
        deadline: Instant,
        mut notice: impl FnMut(&Event),
        stop: &mut dyn FnMut() -> Option<ReasonCode>,
    ) -> Result<Event, WorkerError> {
        loop {
            let mut reason = None;
            let mut ask = || {
                reason = stop();
                reason.is_some()
            };
            let received = self.receive_within(deadline, &mut Wait::unless(deadline, &mut ask));
            match (received, reason) {
                (Err(_), Some(reason)) => {
                    return Err(WorkerError::new(reason, "the worker was stopped"));
                }
                (Err(error), None) => return Err(error),
                (Ok(event), _) if event.is_last() => return Ok(event),
                (Ok(event), _) => notice(&event),
            }
        }
    }

    fn read_event(&mut self, wait: &mut Wait<'_>) -> Result<Event, WorkerError> {
        if self.over {
            return Err(WorkerError::new(ReasonCode::WorkerDied, "the worker has ended"));
        }
        let (event, bytes) = match frame::read_sized(&self.stream, MAX_EVENT_BYTES, wait) {
            Ok(read) => read,
            Err(error) => return Err(self.frame_failure(error)),
        };
        self.events += 1;
        self.event_bytes += bytes as u64;
        if self.events > MAX_EVENTS || self.event_bytes > MAX_EVENTS_BYTES {
            return Err(self.violation("too many events".into()));
        }
        Ok(event)
    }

    /// Whether `event` may come now.
    fn check(&self, event: &Event) -> Result<(), String> {
        match (event, &self.expected) {
            (Event::Failed { .. }, _)
            | (
                Event::Progress { .. } | Event::Log { .. } | Event::Display { .. },
                Some(ExpectedAnswer::Outputs(_)),
            )
            | (Event::Compiled(_), Some(ExpectedAnswer::MachineCode))
            | (Event::Described { .. }, Some(ExpectedAnswer::Columns)) => Ok(()),
            (Event::Finished { outputs, .. }, Some(ExpectedAnswer::Outputs(expected))) => {
                if !outputs.keys().eq(expected.keys()) {
                    return Err("it finished with other outputs than those of its job".into());
                }
                let too_many = outputs
                    .values()
                    .zip(expected.values())
                    .any(|(output, max_rows)| output.rows > *max_rows);
                if too_many { Err("an output has more rows than allowed".into()) } else { Ok(()) }
            }
            (other, _) => Err(format!("`{}` does not belong here", other.name())),
        }
    }

    fn violation(&mut self, what: String) -> WorkerError {
        self.fail(ReasonCode::WorkerProtocol, what)
    }

    fn frame_failure(&mut self, error: FrameError) -> WorkerError {
        match error {
            FrameError::Deadline => self.fail(ReasonCode::Deadline, "the deadline passed"),
            FrameError::Stopped => self.fail(ReasonCode::Internal, "the wait was ended"),
            FrameError::Closed | FrameError::Truncated => {
                let ending = self.end_by_itself();
                WorkerError::new(ending.reason(&self.limits), ending.describe())
            }
            FrameError::Length { .. } | FrameError::Malformed(_) => {
                self.violation(error.to_string())
            }
            FrameError::Io(_) => self.fail(ReasonCode::Internal, error.to_string()),
        }
    }

    fn fail(&mut self, reason: ReasonCode, detail: impl Into<String>) -> WorkerError {
        self.kill();
        WorkerError::new(reason, detail)
    }

    /// Waits until the worker is gone after its last event, so that its files are final.
    fn end_after_last_event(&mut self, deadline: Instant) -> Result<(), WorkerError> {
        let grace = Instant::now() + GRACE;
        match frame::wait_for_end(&self.stream, grace.min(deadline)) {
            Ok(()) => {
                self.end_by_itself();
                Ok(())
            }
            Err(FrameError::Deadline) if grace > deadline => {
                Err(self.fail(ReasonCode::Deadline, "the deadline passed"))
            }
            Err(error) => Err(self.violation(format!("after its last event: {error}"))),
        }
    }

    /// Collects a worker that closed its socket; one that did so without dying is killed.
    fn end_by_itself(&mut self) -> Ending {
        let text = self.report.read(Instant::now() + GRACE);
        if text.is_none() {
            self.kill();
        }
        let status = self.child.wait();
        self.over = true;
        let text = text.unwrap_or_default();
        if let Some(ending) =
            text.lines().last().and_then(|line| serde_json::from_str::<Ending>(line).ok())
        {
            return ending;
        }
        let (code, signal) = status.map_or((None, None), |status| (status.code(), status.signal()));
        Ending { code, message: text, signal, usage: Default::default() }
    }

    /// Kills the process and waits until it is gone. Its launcher's death is its own.
    fn kill(&mut self) {
        if self.over {
            return;
        }
        self.over = true;
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // Fails only when the process has exited, and it is not reaped before `wait` below.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = self.child.wait();
        // The launcher is gone; the worker's end of the socket closes when its last thread is.
        let end = Instant::now() + GRACE;
        while !matches!(
            frame::wait_for_end(&self.stream, end),
            Ok(()) | Err(FrameError::Deadline | FrameError::Io(_))
        ) {}
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A private directory for temporary files of a worker without a jail, removed with this value.
#[derive(Debug)]
struct ScratchDirectory(PathBuf);

impl ScratchDirectory {
    fn create() -> std::io::Result<Self> {
        let base = std::env::temp_dir();
        for attempt in 0_u32.. {
            let nanos = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| since.subsec_nanos());
            let path = base.join(format!("glovebox-{}-{nanos}-{attempt}", std::process::id()));
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error)
                    if error.kind() == std::io::ErrorKind::AlreadyExists && attempt < 100 => {}
                Err(error) => return Err(error),
            }
        }
        Err(std::io::ErrorKind::AlreadyExists.into())
    }

    fn argument(&self) -> std::ffi::OsString {
        let mut argument = std::ffi::OsString::from("scratch=");
        argument.push(&self.0);
        argument
    }
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
