//! An incident for programs: its documents as JSON.

use anyhow::Result;
use ledger::govern::Spent;
use ledger::verify::Finding;
use serde_json::{Map, Value, json};
use timeline::entry::Line;
use timeline::goal::Refusal;

use super::Incident;
use super::lease::LeaseView;
use super::version::{Registered, VersionView};

impl Incident {
    /// The timeline: the agent's life as the service tells it, and each entry with what was found at it.
    ///
    /// # Errors
    ///
    /// If it cannot be written as JSON, for which there is no reason; so for all of these.
    pub(crate) fn timeline(&self) -> Result<Value> {
        let lines = self.lines.iter().map(|line| self.line(line));
        let unreadable = self.unreadable.iter().map(|(index, refusal)| {
            json!({"index": index.get(), "code": refusal.code.as_str(), "detail": refusal.detail})
        });
        let header = self.header.as_ref();
        Ok(json!({
            "incident": "dragons.incident/v1",
            "agent": self.agent.as_str(),
            "from_ms": self.from_ms,
            "to_ms": self.to_ms,
            "origin": header.map(|header| header.origin.as_str()),
            "size": header.map(|header| header.size.get()),
            "selection": header.map(|header| header.selection.to_string()),
            "verdict": self.report.as_ref().map(|report| report.verdict.as_str()),
            "life": serde_json::to_value(&self.life)?,
            "entries": lines.collect::<Result<Vec<_>>>()?,
            "entries_before": self.before,
            "entries_after": self.after,
            "unreadable": unreadable.collect::<Vec<_>>(),
        }))
    }

    /// The leases, with what was used of them and how they stand at the end of the span.
    ///
    /// # Errors
    ///
    /// As [`Self::timeline`].
    pub(crate) fn lease_documents(&self) -> Result<Value> {
        let leases = self.leases.iter().map(|lease| self.lease(lease));
        let leases = leases.collect::<Result<Vec<_>>>()?;
        Ok(json!({
            "leases": leases,
            "unleased": serde_json::to_value(&self.life.unleased)?,
            // What others used of a lease that was handed on, only the whole log tells.
            "used_by_all": self.is_whole(),
        }))
    }

    /// The versions, each with how it differs from the one before it.
    ///
    /// # Errors
    ///
    /// As [`Self::timeline`].
    pub(crate) fn manifest_documents(&self) -> Result<Value> {
        let versions = self.versions.iter().map(|version| self.version(version));
        Ok(json!({"versions": versions.collect::<Result<Vec<_>>>()?}))
    }

    /// The refusals, each with what its code means.
    ///
    /// # Errors
    ///
    /// As [`Self::timeline`].
    pub(crate) fn refusal_documents(&self) -> Result<Value> {
        let refusals = self.life.refusals.iter();
        let refusals = refusals.map(|refusal: &Refusal| {
            let sentence = refusal.code.sentence();
            joined(
                serde_json::to_value(refusal)?,
                [("sentence", sentence.into())],
            )
        });
        Ok(json!({"refusals": refusals.collect::<Result<Vec<_>>>()?}))
    }

    /// What was found of it, each with what its code means.
    pub(crate) fn finding_documents(&self) -> Value {
        let verdict = self.report.as_ref().map(|report| report.verdict.as_str());
        json!({
            "verdict": verdict,
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
            "others": self.other_findings(),
        })
    }

    fn line(&self, line: &Line) -> Result<Value> {
        let found: Vec<Value> = self.findings_at(line.index).iter().map(finding).collect();
        joined(serde_json::to_value(line)?, [("findings", found.into())])
    }

    fn lease(&self, lease: &LeaseView) -> Result<Value> {
        let names = lease.span.granted_by.iter();
        let names: Vec<String> = names.map(|key| self.holders.name(key)).collect();
        let ended = lease.ended.as_ref();
        let standing = ended.map(|it| json!({"code": it.code.as_str(), "detail": it.detail}));
        joined(
            serde_json::to_value(&lease.span)?,
            [
                ("granted_by_names", names.into()),
                ("used_before", spent(&lease.used_before)),
                ("used", spent(&lease.used)),
                ("in_force_at_end", ended.is_none().into()),
                ("not_in_force_because", standing.into()),
            ],
        )
    }

    fn version(&self, version: &VersionView) -> Result<Value> {
        let differences = version.differences();
        let differences = differences.iter().map(|it| plain(&it.to_value()));
        let before = version.before.as_ref();
        Ok(json!({
            "version": self.registered(&version.now)?,
            "before": before.map(|before| self.registered(before)).transpose()?,
            "differences": differences.collect::<Result<Vec<_>>>()?,
        }))
    }

    fn registered(&self, it: &Registered) -> Result<Value> {
        let registration = &it.registration;
        let names: Vec<String> = it.by.iter().map(|key| self.holders.name(key)).collect();
        Ok(json!({
            "index": it.index.get(),
            "received_ms": it.received_ms,
            "record": it.record.to_string(),
            "registered_by_names": names,
            "reason": registration.reason.as_str(),
            "manifest_hash": registration.manifest_hash.to_string(),
            "manifest": plain(&registration.manifest.to_value())?,
        }))
    }
}

fn finding(finding: &Finding) -> Value {
    json!({
        "code": finding.refusal.code.as_str(),
        "class": finding.class.as_str(),
        "by": finding.by.as_str(),
        "index": finding.index.map(tlog::LeafIndex::get),
        "agent": finding.agent.as_ref().map(ledger::text::Name::as_str),
        "detail": finding.refusal.detail,
        "sentence": finding.refusal.code.sentence(),
    })
}

/// Sums that JSON has no exact numbers for are decimal text, as in the answers of the service.
fn spent(spent: &Spent) -> Value {
    json!({
        "actions": spent.actions.to_string(),
        "tokens": spent.tokens.to_string(),
        "cost_micros": spent.cost_micros.to_string(),
    })
}

fn plain(value: &ledger::json::Value) -> Result<Value> {
    Ok(serde_json::from_str(&value.to_json())?)
}

fn joined<const N: usize>(value: Value, more: [(&str, Value); N]) -> Result<Value> {
    let mut members: Map<String, Value> = serde_json::from_value(value)?;
    members.extend(more.map(|(name, value)| (name.to_owned(), value)));
    Ok(Value::Object(members))
}
