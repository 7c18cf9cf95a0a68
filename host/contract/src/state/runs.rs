//! Requests, starts, receipts and reads.

use std::collections::{BTreeMap, BTreeSet};

use super::approval::micros;
use super::effect::Effect;
use super::run::{Run, RunStatus, StartRecord};
use super::{Refusal, RoomState};
use crate::digest::Blake3Digest;
use crate::grants::Grants;
use crate::name::{Alias, Identifier, RunId};
use crate::reason::ReasonCode;
use crate::receipt::{Computation, OutputFile, Receipt};
use crate::statement::{Cancel, OutputRead, Refused, RunRequest, RunStart};

impl RoomState {
    pub(super) fn decide_request(
        &self,
        party: &Alias,
        request: &RunRequest,
        digest: &Blake3Digest,
        at: u64,
    ) -> Result<Effect, Refusal> {
        let approved = self.approved(&request.notebook, Some(&request.revision), party, at)?;
        let id = RunId::of_request(digest);
        if self.runs.contains_key(&id) {
            return Err(Refusal::new(ReasonCode::Replayed, "this run was asked for already"));
        }
        Ok(Effect::Request(Box::new(Run {
            cancelled_at: None,
            component: *approved.component(),
            ended_position: None,
            id,
            notebook: request.notebook.clone(),
            outputs_deleted: false,
            parameters: approved.resolve_parameters(&request.parameters)?,
            request: *digest,
            requested_at: at,
            requested_position: self.statements,
            revision: request.revision,
            runner: party.clone(),
            start: None,
            status: RunStatus::Requested,
            grants: None,
        })))
    }

    /// A runner takes its own request back, as long as it is not answered.
    pub(super) fn decide_cancel(
        &self,
        party: &Alias,
        cancel: &Cancel,
        at: u64,
    ) -> Result<Effect, Refusal> {
        let run = self.run(&cancel.run)?;
        if run.runner() != party {
            return Err(Refusal::new(
                ReasonCode::NotPermitted,
                format!("only the runner, {}, may cancel run {}", run.runner(), run.id),
            ));
        }
        if run.cancelled() || run.has_ended() {
            return Err(Refusal::new(
                ReasonCode::AlreadyExists,
                format!("run {} was cancelled already, or has ended", run.id),
            ));
        }
        Ok(Effect::Cancel { run: run.id, at })
    }

    /// The host cannot start what is not approved: the approval is checked again here, by everyone
    /// who folds the log.
    pub(super) fn decide_start(
        &self,
        start: &RunStart,
        digest: &Blake3Digest,
        at: u64,
    ) -> Result<Effect, Refusal> {
        let run = self.run(&start.run)?;
        if run.status != RunStatus::Requested {
            return Err(Refusal::new(
                ReasonCode::AlreadyExists,
                format!("run {} was started or refused already", run.id),
            ));
        }
        run.require_not_cancelled()?;
        if run.request != start.request {
            return Err(malformed("the run-start names another request"));
        }
        let approved = self.approved(&run.notebook, Some(&run.revision), &run.runner, at)?;
        let grants = approved.grants(&run.parameters, run.id, micros(at))?;
        if grants.digest()? != start.grants_digest {
            return Err(malformed(
                "the digest of the grants is not the one that the approved revision gives",
            ));
        }
        let tables: BTreeSet<_> = grants.sources.values().map(|source| &source.table).collect();
        if !start.inputs.keys().eq(tables) {
            return Err(malformed("the inputs are not the tables that the revision reads"));
        }
        self.check_derived(run, start, at)?;
        let rules = approved.by_rule().check(start, &run.parameters)?;
        let record = StartRecord { statement: start.clone(), digest: *digest, at, rules };
        Ok(Effect::Start { run: run.id, record: Box::new(record), grants: Box::new(grants) })
    }

    pub(super) fn decide_receipt(
        &self,
        receipt: &Receipt,
        digest: &Blake3Digest,
    ) -> Result<Effect, Refusal> {
        let run = self.run(&receipt.run)?;
        let (RunStatus::Started, Some(start), Some(grants)) =
            (&run.status, &run.start, &run.grants)
        else {
            return Err(Refusal::new(
                ReasonCode::AlreadyExists,
                format!("run {} has not started, or has ended already", run.id),
            ));
        };
        check_receipt(receipt, run, start, grants)?;
        if let Some(outputs) = receipt.outputs() {
            self.publishable(&run.id)?;
            check_outputs(outputs, grants)?;
        }
        Ok(Effect::End {
            run: run.id,
            receipt: Box::new(receipt.clone()),
            digest: *digest,
            position: self.statements,
        })
    }

    pub(super) fn decide_refused(&self, refused: &Refused) -> Result<Effect, Refusal> {
        if let Some(party) = &refused.party
            && *party != self.host
        {
            self.member(party)?;
        }
        let Some(run) = &refused.run else { return Ok(Effect::Nothing) };
        let run = self.run(run)?;
        if run.status == RunStatus::Requested {
            return Ok(Effect::RefuseRun { run: run.id, reason: refused.reason });
        }
        Err(Refusal::new(
            ReasonCode::NotPermitted,
            format!("run {} is not waiting to start", run.id),
        ))
    }

    pub(super) fn decide_read(
        &self,
        party: &Alias,
        read: &OutputRead,
        at: u64,
    ) -> Result<Effect, Refusal> {
        let receipt = self.may_read_output(&read.run, party, at)?;
        if receipt.outputs().is_some_and(|outputs| outputs.contains_key(&read.output)) {
            return Ok(Effect::Nothing);
        }
        Err(Refusal::new(
            ReasonCode::NotFound,
            format!("run {} has no output {}", read.run, read.output),
        ))
    }

    /// The host may delete outputs when they have expired.
    pub(super) fn decide_expiry(&self, run: &RunId, at: u64) -> Result<Effect, Refusal> {
        let record = self.run_with_outputs(run)?;
        let expired = record.receipt().is_some_and(|receipt| self.expires_at(receipt) <= at);
        if expired {
            return Ok(Effect::DeleteOutputs(*run));
        }
        Err(Refusal::new(
            ReasonCode::NotPermitted,
            format!("the outputs of run {run} have not expired"),
        ))
    }

    pub(super) fn run_with_outputs(&self, run: &RunId) -> Result<&Run, Refusal> {
        let record = self.run(run)?;
        let present = record.receipt().is_some_and(|receipt| receipt.outputs().is_some());
        if present && !record.outputs_deleted {
            return Ok(record);
        }
        Err(Refusal::new(ReasonCode::NotFound, format!("run {run} has no outputs")))
    }
}

/// The receipt is about this very run, from the request to the files that were read.
fn check_receipt(
    receipt: &Receipt,
    run: &Run,
    start: &StartRecord,
    grants: &Grants,
) -> Result<(), Refusal> {
    if receipt.start != start.digest {
        return Err(malformed("the receipt names another run-start"));
    }
    if receipt.notebook != run.notebook || receipt.revision != run.revision {
        return Err(malformed("the receipt names another revision than the request"));
    }
    if receipt.inputs != start.statement.inputs {
        return Err(Refusal::new(
            ReasonCode::InputChanged,
            "the inputs in the receipt are not those of the run-start",
        ));
    }
    let computation = Computation {
        component: grants.component,
        inputs: receipt.inputs.clone(),
        parameters: run.parameters.clone(),
        revision: run.revision,
    };
    if computation.digest()? != receipt.computation {
        return Err(malformed("the digest of the computation is wrong"));
    }
    Ok(())
}

/// The outputs are those that the manifest declares, within their caps.
fn check_outputs(
    outputs: &BTreeMap<Identifier, OutputFile>,
    grants: &Grants,
) -> Result<(), Refusal> {
    if let Some(name) = outputs.keys().find(|name| !grants.outputs.contains_key(*name)) {
        return Err(Refusal::new(
            ReasonCode::OutputNotDeclared,
            format!("the manifest declares no output {name}"),
        ));
    }
    let mut total: u64 = 0;
    for (name, declared) in &grants.outputs {
        let Some(file) = outputs.get(name) else {
            return Err(Refusal::new(
                ReasonCode::OutputUnfinished,
                format!("the declared output {name} is missing"),
            ));
        };
        total = total.saturating_add(file.bytes);
        if declared.max_rows.is_some_and(|most| file.rows > most) {
            return Err(Refusal::new(
                ReasonCode::OutputRows,
                format!("output {name} has too many rows"),
            ));
        }
        if declared.max_bytes.is_some_and(|most| file.bytes > most) {
            return Err(Refusal::new(
                ReasonCode::OutputBytes,
                format!("output {name} has too many bytes"),
            ));
        }
    }
    if total > grants.limits.output_bytes {
        return Err(Refusal::new(
            ReasonCode::OutputBytes,
            "the outputs together have too many bytes",
        ));
    }
    Ok(())
}

fn malformed(why: &str) -> Refusal {
    Refusal::new(ReasonCode::Malformed, why)
}
