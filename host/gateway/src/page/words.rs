//! What things are called on the pages.

use axum::http::StatusCode;
use chrono::DateTime;
use glovebox_contract::manifest::Manifest;
use glovebox_contract::name::Alias;
use glovebox_contract::receipt::Outcome;
use glovebox_contract::state::{RevisionStatus, Run, RunStatus};

use super::html::Markup;

/// A time, to the minute.
pub(super) fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    time.map_or_else(|| seconds.to_string(), |time| time.format("%Y-%m-%d %H:%M UTC").to_string())
}

/// A size.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];
    for (unit, of) in UNITS {
        if bytes >= of && of > 1 {
            let tenths = bytes.saturating_mul(10) / of;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} bytes")
}

/// What a status is, in words.
pub(super) fn of_status(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "That does not fit",
        StatusCode::FORBIDDEN => "Not permitted",
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::CONFLICT => "Something got in between",
        StatusCode::PAYLOAD_TOO_LARGE => "Too long",
        StatusCode::TOO_MANY_REQUESTS => "Too many attempts",
        StatusCode::SERVICE_UNAVAILABLE => "Not at the moment",
        _ => "Something failed",
    }
}

fn badge(html: &mut Markup, class: &'static str, text: &str) {
    html.raw("<span class=\"badge ").raw(class).raw("\">").text(text).raw("</span>");
}

/// A badge that says how something stands.
pub(super) fn good(html: &mut Markup, text: &str) {
    badge(html, "good", text);
}

/// The same, when somebody must do something.
pub(super) fn waiting(html: &mut Markup, text: &str) {
    badge(html, "waiting", text);
}

/// The same, when it is bad.
pub(super) fn bad(html: &mut Markup, text: &str) {
    badge(html, "bad", text);
}

/// The same, for what is just so.
pub(super) fn plain(html: &mut Markup, text: &str) {
    badge(html, "plain", text);
}

/// Where a revision stands.
pub(super) fn revision(html: &mut Markup, status: &RevisionStatus) {
    match status {
        RevisionStatus::Approved => good(html, "approved"),
        RevisionStatus::Waiting { missing } => {
            waiting(html, &format!("waits for {}", list(missing)))
        }
        RevisionStatus::Rejected { by } => bad(html, &format!("rejected by {}", list(by))),
        RevisionStatus::Superseded { since } => {
            waiting(html, &format!("replaced {}", time(*since)));
        }
        RevisionStatus::Unbound { refusal } => {
            bad(html, &format!("does not fit the tables: {}", refusal.detail()));
        }
    }
}

/// How a run stands.
pub(super) fn run(html: &mut Markup, run: &Run) {
    match run.status() {
        _ if run.cancelled() && !run.has_ended() => waiting(html, "being cancelled"),
        RunStatus::Requested => waiting(html, "waits"),
        RunStatus::Started => waiting(html, "runs"),
        RunStatus::Refused { reason } => bad(html, &format!("refused: {reason}")),
        RunStatus::Ended { receipt, .. } => match &receipt.outcome {
            Outcome::Succeeded { .. } => good(html, "done"),
            Outcome::Failed { reason } => bad(html, &format!("failed: {reason}")),
        },
    }
}

/// A number of things, each called `one`.
pub(super) fn count(number: usize, one: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {one}{end}")
}

/// Names, with commas.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a Alias>) -> String {
    names.into_iter().map(Alias::as_str).collect::<Vec<_>>().join(", ")
}

/// What an author says of a notebook, line by line as it was written.
pub(super) fn readme(html: &mut Markup, manifest: &Manifest) {
    if manifest.description.is_empty() {
        html.raw("<p class=\"hint\">No description.</p>");
    } else {
        html.raw("<div class=\"readme\">").text(&manifest.description).raw("</div>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_for_people() {
        let sizes = [0, 1023, 1024, 1536, 5 << 20, 7 << 40].map(size);
        assert_eq!(sizes, ["0 bytes", "1023 bytes", "1.0 KiB", "1.5 KiB", "5.0 MiB", "7168.0 GiB"]);
        assert_eq!(time(1_795_269_600), "2026-11-21 14:00 UTC");
        assert_eq!(time(u64::MAX), u64::MAX.to_string());
    }
}
