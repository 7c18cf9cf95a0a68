//! Public reason codes: all that everyone learns about a refused act or a failed run.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// Why an act was refused or a run failed. Codes are stable and never carry data.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum ReasonCode {
            $(#[doc = $code] $(#[$doc])* $name,)*
        }

        impl ReasonCode {
            /// Every code.
            pub const ALL: &'static [ReasonCode] = &[$(Self::$name),*];

            /// The code as it stands in receipts, logs and `--json`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }
        }
    };
}

reasons! {
    // statements
    /// — not a well-formed envelope, statement or name.
    Malformed = "malformed",
    /// — well-formed but not in the one canonical encoding.
    NotCanonical = "not-canonical",
    /// — the signature does not verify.
    BadSignature = "bad-signature",
    /// — the signing key is no party's.
    UnknownSigner = "unknown-signer",
    /// — made for another room.
    WrongRoom = "wrong-room",
    /// — this very statement is in the log already, or its sequence number is used.
    Replayed = "replayed",
    /// — a sequence number was skipped.
    OutOfSequence = "out-of-sequence",
    /// — the party may not do this.
    NotPermitted = "not-permitted",
    /// — the room does not have what the statement names.
    NotFound = "not-found",
    /// — the name is taken.
    AlreadyExists = "already-exists",
    /// — a collaborator has not accepted the room yet.
    NotAccepted = "not-accepted",
    /// — the room or the notebook is paused.
    Paused = "paused",
    /// — a limit of the room's policy, such as the number of collaborators.
    PolicyLimit = "policy-limit",
    // before a run
    /// — a needed approval is missing.
    NotApproved = "not-approved",
    /// — the revision was rejected or its approval revoked.
    Rejected = "rejected",
    /// — the revision is past its cutover date.
    Superseded = "superseded",
    /// — the runner took its request back.
    Cancelled = "cancelled",
    /// — the requester is not a runner of this notebook.
    NotARunner = "not-a-runner",
    /// — a parameter is missing, unknown, of the wrong type or out of bounds.
    ParameterInvalid = "parameter-invalid",
    /// — the component's bytes do not have the approved digests.
    ComponentMismatch = "component-mismatch",
    /// — the component is not one this host may load.
    ComponentRefused = "component-refused",
    /// — the component imports what it was not granted.
    ImportNotGranted = "import-not-granted",
    /// — a library is missing, is another than the one asked for, or lacks what is asked of it.
    LibraryMismatch = "library-mismatch",
    /// — columns of join keys were made by different rules or with different keys.
    JoinKeyMismatch = "join-key-mismatch",
    // inputs
    /// — a file of an input table cannot be opened or read.
    InputUnreadable = "input-unreadable",
    /// — a file of an input table is not valid in its format.
    InputCorrupt = "input-corrupt",
    /// — a file of an input table changed while the run read it.
    InputChanged = "input-changed",
    /// — a file of a volume is not the one whose digest is pinned.
    VolumeChanged = "volume-changed",
    /// — the columns or types are not those that were declared.
    SchemaMismatch = "schema-mismatch",
    /// — where an input table is cannot be reached, or does not answer in time; later it may.
    SourceUnavailable = "source-unavailable",
    /// — the credentials for an input table are missing, wrong, expired or not sufficient.
    SourceDenied = "source-denied",
    /// — the host does not reach out to where the table is said to be.
    SourceRefused = "source-refused",
    /// — the table needs a reader that this host does not have.
    SourceUnsupported = "source-unsupported",
    // queries
    /// — the table is not granted.
    TableNotGranted = "table-not-granted",
    /// — the column is not granted, or does not exist.
    ColumnNotGranted = "column-not-granted",
    /// — the statement or function is not on the allow-list.
    SqlRefused = "sql-refused",
    /// — the statement does not parse or does not make sense.
    SqlInvalid = "sql-invalid",
    /// — the statement is too long or nested too deeply.
    SqlTooComplex = "sql-too-complex",
    /// — the query failed on the data, for example by overflow.
    QueryFailed = "query-failed",
    // guests
    /// — the notebook returned an error.
    GuestError = "guest-error",
    /// — the notebook trapped: a panic, an out-of-bounds access, an invalid handle.
    GuestTrap = "guest-trap",
    /// — the notebook overflowed its stack.
    StackOverflow = "stack-overflow",
    /// — a library's function failed, or returned other rows or types than it declares.
    FunctionFailed = "function-failed",
    /// — the notebook passed an argument that is malformed or out of range.
    InvalidArgument = "invalid-argument",
    // outputs
    /// — an output that the manifest does not declare.
    OutputNotDeclared = "output-not-declared",
    /// — an output with other columns, types or nulls than declared.
    OutputSchema = "output-schema",
    /// — an output with too many rows.
    OutputRows = "output-rows",
    /// — an output with too many bytes.
    OutputBytes = "output-bytes",
    /// — an output opened or finished twice, or written after it was finished.
    OutputClosed = "output-closed",
    /// — a declared output that was not finished.
    OutputUnfinished = "output-unfinished",
    // limits and machinery
    /// — the memory limit.
    MemoryLimit = "memory-limit",
    /// — the processor-time limit.
    CpuLimit = "cpu-limit",
    /// — the deadline.
    Deadline = "deadline",
    /// — the scratch space limit.
    ScratchLimit = "scratch-limit",
    /// — the worker process ended without a word.
    WorkerDied = "worker-died",
    /// — the worker process broke the job protocol.
    WorkerProtocol = "worker-protocol",
    /// — this machine cannot confine a run as the operator demands.
    JailUnavailable = "jail-unavailable",
    /// — the host's storage is full.
    StorageFull = "storage-full",
    /// — the host stopped in the middle of the run.
    HostRestarted = "host-restarted",
    /// — the log is not the one that the host signed: changed, set back or damaged.
    LogTampered = "log-tampered",
    // requests over the network
    /// — the request is not signed as it must be, or its token is not good.
    Unauthenticated = "unauthenticated",
    /// — the request's body is larger than the host takes.
    RequestTooLarge = "request-too-large",
    /// — too many requests in too short a time; later they will be taken.
    RateLimited = "rate-limited",
    /// — the host cannot do it now; later it may.
    Unavailable = "unavailable",
    /// — a file that the statement names has not been uploaded, or not to its end.
    UploadIncomplete = "upload-incomplete",
    /// — what was uploaded is not what its digest or length says.
    UploadMismatch = "upload-mismatch",
    /// — the host's home was made by another version of the program.
    HomeVersion = "home-version",
    /// — another process has been changing the host's home for too long.
    HomeBusy = "home-busy",
    /// — anything else; the host's own log has the detail.
    Internal = "internal",
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
