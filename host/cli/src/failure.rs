//! Failures as people read them: what failed, why, what to do next.

use std::process::ExitCode;

use glovebox_client::ClientError;
use glovebox_contract::reason::ReasonCode;
use glovebox_fleet::FleetError;
use glovebox_room::RoomError;
use serde_json::json;

use crate::terminal::plain;

/// A run that ended in a failed receipt: an answer, but not a success.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(crate) struct Refused {
    pub(crate) reason: ReasonCode,
    pub(crate) what: String,
}

/// Prints `error` and returns the exit status.
pub(crate) fn report(error: &anyhow::Error, json: bool, quiet: bool) -> ExitCode {
    let reason = reason(error);
    let causes: Vec<_> = error.chain().map(|cause| plain(&cause.to_string())).collect();
    if json {
        let report = json!({
            "error": causes.first(),
            "causes": causes.get(1..).unwrap_or_default(),
            "reason": reason.map(ReasonCode::as_str),
        });
        eprintln!("{report:#}");
        return ExitCode::from(1);
    }
    let code = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    let mut lines = causes.iter();
    eprintln!("error: {}{code}", lines.next().map_or("", String::as_str));
    let mut last = "";
    for cause in lines.filter(|cause| !cause.is_empty()) {
        if cause != last {
            eprintln!("  because: {cause}");
        }
        last = cause;
    }
    if let Some(hint) = reason.and_then(hint).filter(|_| !quiet) {
        eprintln!("  hint: {hint}");
    }
    ExitCode::from(1)
}

pub(crate) fn reason(error: &anyhow::Error) -> Option<ReasonCode> {
    error.chain().find_map(|cause| {
        cause
            .downcast_ref::<RoomError>()
            .map(RoomError::reason)
            .or_else(|| cause.downcast_ref::<ClientError>().map(ClientError::reason))
            .or_else(|| cause.downcast_ref::<Refused>().map(|refused| refused.reason))
            .or_else(|| cause.downcast_ref::<FleetError>().and_then(FleetError::reason))
    })
}

/// What to do next, where that is clear.
fn hint(reason: ReasonCode) -> Option<&'static str> {
    Some(match reason {
        ReasonCode::NotApproved => {
            "every collaborator but the author approves the exact digest: `glovebox room show ROOM` lists it, \
             `glovebox review ROOM NOTEBOOK --approve DIGEST --as KEY` approves it"
        }
        ReasonCode::NotAccepted => "each collaborator runs `glovebox room accept ROOM --as KEY`",
        ReasonCode::NotARunner => {
            "the author names runners when adding the notebook: `--runner ALIAS`"
        }
        ReasonCode::UnknownSigner => "use the key whose public key stands in the room file",
        ReasonCode::NotPermitted => "`glovebox room show ROOM` says who owns and who may do what",
        ReasonCode::ParameterInvalid => {
            "`glovebox inspect FILE` lists the parameters with their bounds"
        }
        ReasonCode::Paused => {
            "`glovebox room resume ROOM --as KEY`, signed by every collaborator, resumes"
        }
        ReasonCode::Rejected => "the author mends the notebook and adds it again as a new revision",
        ReasonCode::Superseded => "run the newer approved revision, or leave `--revision` out",
        ReasonCode::TableNotGranted | ReasonCode::ColumnNotGranted => {
            "a notebook reads the tables and columns that its manifest declares and the owner offers"
        }
        ReasonCode::SqlRefused => {
            "policies/sql lists the statements and functions that are allowed, with reasons"
        }
        ReasonCode::PolicyLimit => {
            "a limit of the room, or a quota of its host; what runs have used counts for 24 hours"
        }
        ReasonCode::InputChanged => "run again when nobody writes to the table's files",
        ReasonCode::JailUnavailable => {
            "this machine cannot confine the run (user namespaces, Landlock, seccomp); \
             `--jail off` runs without, and the receipt records it"
        }
        ReasonCode::SourceUnavailable => "try again; `glovebox table show ROOM` says where it is",
        ReasonCode::SourceDenied => {
            "its owner gives others with `glovebox table credentials ROOM TABLE --credentials FILE \
             --as KEY`; nothing has to be approved again"
        }
        ReasonCode::SourceRefused => {
            "the host's operator allows more places with `glovebox serve --allow-source`"
        }
        ReasonCode::Unauthenticated => {
            "the host takes requests that a key of a collaborator signs within five minutes of its \
             clock; look at this machine's clock and at `--as`"
        }
        ReasonCode::Unavailable => {
            "is it the right `--host`, and does it run? `--ca FILE` trusts an authority of your own"
        }
        ReasonCode::HomeBusy => "try again when the other command has ended",
        ReasonCode::HomeVersion => {
            "use the program that made this home, or another home with `--home`"
        }
        ReasonCode::LogTampered => {
            "keep the home as it is for the auditors; another party's bundle shows what was signed"
        }
        ReasonCode::MemoryLimit
        | ReasonCode::CpuLimit
        | ReasonCode::Deadline
        | ReasonCode::ScratchLimit => {
            "limits stand in the room file under [limits] and are part of what was approved"
        }
        _ => return None,
    })
}
