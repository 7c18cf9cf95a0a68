//! Named steps at which a test stops the host, to see that nothing is ever half done.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

macro_rules! crash_points {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A step of a run or of publishing. The host stands *behind* the step named.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum CrashPoint {
            $($(#[$doc])* $name,)*
        }

        impl CrashPoint {
            /// Every step, in the order in which a run passes them.
            pub const ALL: &'static [CrashPoint] = &[$(Self::$name),*];

            /// The step's name, for `--crash-at`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

crash_points! {
    /// The staging directory of the run exists.
    StagingMade = "staging-made",
    /// The signed request is in the log.
    RequestLogged = "request-logged",
    /// The run's start is in the log.
    StartLogged = "start-logged",
    /// The worker has finished and ended.
    WorkerFinished = "worker-finished",
    /// The output files are checked, read-only and on disk.
    OutputsSynced = "outputs-synced",
    /// The receipt is in the log.
    ReceiptLogged = "receipt-logged",
    /// The outputs have their final name, perhaps not yet on disk.
    OutputsRenamed = "outputs-renamed",
    /// All is on disk.
    Published = "published",
}

impl fmt::Display for CrashPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is the name of no step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a step of a run")]
pub struct ParseCrashPointError(String);

impl FromStr for CrashPoint {
    type Err = ParseCrashPointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let step = Self::ALL.iter().find(|step| step.as_str() == text);
        step.copied().ok_or_else(|| ParseCrashPointError(text.escape_debug().to_string()))
    }
}

/// Called at each step. A test's hook ends the process at one of them, a host has none.
pub type CrashHook = Arc<dyn Fn(CrashPoint) + Send + Sync>;
