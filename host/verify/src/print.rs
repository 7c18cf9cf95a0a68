//! The report, for people and for programs.

use std::io::{self, Write};

use glovebox_contract::bundle::{
    CheckResult, ComponentUse, NamedOutput, Report, RunReport, RunResult, ShareReport, Verdict,
};
use glovebox_contract::receipt::EvidenceClass;
use glovebox_contract::text::utc;
use serde::Serialize;

use crate::files::FileFinding;

/// All that was found. The verdict covers the bundle and every file that was asked about.
#[derive(Serialize)]
pub(crate) struct Findings {
    components: Vec<FileFinding<ComponentUse>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    outputs: Vec<FileFinding<NamedOutput>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Report>,
    verdict: Verdict,
}

impl Findings {
    pub(crate) fn new(
        report: Report,
        outputs: Vec<FileFinding<NamedOutput>>,
        components: Vec<FileFinding<ComponentUse>>,
    ) -> Self {
        let all_found = outputs.iter().all(is_output)
            && components.iter().all(|file| file.found.iter().any(|component| component.approved));
        let verdict = if all_found { report.verdict() } else { Verdict::NotVerified };
        Self { components, error: None, outputs, report: Some(report), verdict }
    }

    pub(crate) fn not_a_bundle(error: String) -> Self {
        Self {
            components: Vec::new(),
            error: Some(error),
            outputs: Vec::new(),
            report: None,
            verdict: Verdict::NotVerified,
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    pub(crate) fn print_json(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }

    pub(crate) fn print_text(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(error) = &self.error {
            writeln!(out, "{:<20}{:<12}{error}", "bundle", CheckResult::Fails)?;
        }
        if let Some(report) = &self.report {
            print_report(report, out)?;
        }
        for file in &self.outputs {
            print_output(file, out)?;
        }
        for file in &self.components {
            print_component(file, out)?;
        }
        writeln!(out, "\n{}", self.verdict)
    }
}

fn print_report(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    if let Some(name) = report.name() {
        let state = report.state();
        let provider = state.and_then(|state| state.document().package_provider.as_ref());
        match provider {
            None => writeln!(out, "room {name}\n")?,
            Some(provider) => writeln!(out, "room {name}, packaged by {provider}\n")?,
        }
    }
    for check in report.checks() {
        writeln!(out, "{:<20}{:<12}{}", check.what, check.result, check.detail)?;
    }
    for run in report.runs() {
        print_run(run, out)?;
    }
    for share in report.shares() {
        print_share(share, out)?;
    }
    print_notes(report, out)
}

/// What the words above mean, for a reader who meets them for the first time.
fn print_notes(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut notes = Vec::new();
    if report.runs().iter().any(|run| matches!(run.result, RunResult::Succeeded(_))) {
        let asserted = EvidenceClass::Asserted;
        notes.push(format!("{asserted}: {}", asserted.meaning()));
    }
    if report.checks().iter().any(|check| check.result == CheckResult::NotPinned) {
        notes.push(format!(
            "{}: the bundle's own word; compare it with what you know: --room, --host-key, --party",
            CheckResult::NotPinned
        ));
    }
    if !notes.is_empty() {
        writeln!(out, "\n{}", notes.join("\n"))?;
    }
    Ok(())
}

fn print_run(run: &RunReport, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nrun {}  {}", run.run, run.result)?;
    writeln!(out, "  notebook   {}, asked for by {}", run.notebook, run.runner)?;
    writeln!(out, "  revision   {}", run.revision)?;
    writeln!(out, "  component  {}", run.component)?;
    for (party, rules) in &run.rules {
        for rule in rules {
            writeln!(out, "  approved   for {party} by its rule {rule}")?;
        }
    }
    if let Some(receipt) = &run.receipt {
        writeln!(out, "  receipt    {receipt}")?;
    }
    for (name, file) in &run.outputs {
        writeln!(out, "  output     {name}: {} rows, {} bytes", file.rows, file.bytes)?;
        writeln!(out, "             {}", file.digest.blake3)?;
        writeln!(out, "             {}", file.digest.sha256)?;
        writeln!(out, "  table      {}", file.content)?;
    }
    Ok(())
}

/// What someone outside the room was granted, and how often the host says it was read.
fn print_share(share: &ShareReport, out: &mut dyn Write) -> io::Result<()> {
    let ShareReport { grants, owner, reads, recipient, share } = share;
    let reads = match reads {
        0 => "never read".to_owned(),
        1 => "read once".to_owned(),
        reads => format!("read {reads} times"),
    };
    writeln!(out, "\nshare {share} of {owner} for {recipient}  {reads}")?;
    if grants.is_empty() {
        writeln!(out, "  revoked")?;
    }
    for grant in grants {
        match grant.until {
            None => writeln!(out, "  grant      {}", grant.what)?,
            Some(until) => writeln!(out, "  grant      {}, until {}", grant.what, utc(until))?,
        }
    }
    Ok(())
}

/// Whether every receipt that names the file agrees on the table in it.
fn is_output(file: &FileFinding<NamedOutput>) -> bool {
    !file.found.is_empty() && file.found.iter().all(|named| has_content(file, named))
}

fn has_content(file: &FileFinding<NamedOutput>, named: &NamedOutput) -> bool {
    file.content.is_none_or(|content| content == named.content)
}

fn print_output(file: &FileFinding<NamedOutput>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\noutput file {}  {}", file.file, file.digest)?;
    if file.found.is_empty() {
        writeln!(out, "  {}  no receipt names this file", CheckResult::Fails)?;
    }
    for named in &file.found {
        writeln!(
            out,
            "  {}  {} of run {}, {}",
            CheckResult::Holds,
            named.output,
            named.run,
            named.evidence
        )?;
        writeln!(out, "         receipt {}", named.receipt)?;
        if let Some(content) = &file.content {
            let result = match has_content(file, named) {
                true => CheckResult::Holds,
                false => CheckResult::Fails,
            };
            writeln!(out, "  {result}  the table in it, {content}")?;
        }
    }
    Ok(())
}

fn print_component(file: &FileFinding<ComponentUse>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\ncomponent file {}  {}", file.file, file.digest)?;
    if file.found.is_empty() {
        writeln!(
            out,
            "  {}  no notebook of this room is this component or uses it as a library",
            CheckResult::Fails
        )?;
    }
    for component in &file.found {
        let (result, words) = match component.approved {
            true => (CheckResult::Holds, "approved by all parties"),
            false => (CheckResult::Fails, "not approved by all parties"),
        };
        let by_rule: Vec<String> = component
            .by_rule
            .iter()
            .map(|(party, rule)| format!(", {party} by its rule {rule}"))
            .collect();
        let revision = component.revision.map(|digest| digest.to_string());
        let role = component.library.as_ref().map(|name| format!("library {name} of "));
        writeln!(
            out,
            "  {result}  {}{} {}, {words}{}: revision {}",
            role.unwrap_or_default(),
            component.notebook,
            component.version,
            by_rule.concat(),
            revision.as_deref().unwrap_or("none, it does not fit the room's tables")
        )?;
    }
    Ok(())
}
