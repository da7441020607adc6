//! Events for a SIEM, one JSON object a line, by the Open Cybersecurity Schema Framework 1.8.
//!
//! A receipt is an *API Activity* (class 6003, with the profile `ai_operation`); a transition or a refusal is a
//! *Detection Finding* (class 2004). Version 1.9 will have attestations of a record's integrity; until then they stand in
//! `unmapped`, the place that the framework has for what it has no name for.

use ledger::json::{Value, object};
use ledger::pack::Header;
use ledger::record::{AgentState, Body, Phase, Receipt, Refused, Rule, Status, Transition};
use timeline::entry::Entry;
use timeline::words::visible;

/// The version of the schema.
const OCSF: &str = "1.8.0";

/// API Activity, of the category Application Activity.
const API_ACTIVITY: u64 = 6003;

/// Detection Finding, of the category Findings.
const DETECTION_FINDING: u64 = 2004;

/// An activity that has no number of its own.
const OTHER: u64 = 99;

/// An entry as an event with its LF; `None` for what is none.
pub(crate) fn line(entry: &Entry, header: Option<&Header>) -> Option<String> {
    let event = match entry.body() {
        Body::Receipt(receipt) => activity(entry, receipt, header),
        Body::Transition(it) => of_transition(entry, it, header),
        Body::Refusal(refused) => of_refusal(entry, refused, header),
        _ => return None,
    };
    Some(event.to_json() + "\n")
}

fn activity(entry: &Entry, receipt: &Receipt, header: Option<&Header>) -> Value {
    let (id, operation) = match &receipt.phase {
        Phase::Intent(intent) if intent.scope.to_string().starts_with("read:") => {
            (2, intent.scope.to_string())
        }
        Phase::Intent(intent) => (OTHER, intent.scope.to_string()),
        phase => (OTHER, phase.as_str().to_owned()),
    };
    let agent = receipt.chain.agent.as_str();
    let mut members = base(entry, API_ACTIVITY, id, header);
    members.extend(named([
        ("activity_name", receipt.phase.as_str().into()),
        ("severity_id", 1.into()),
        ("actor", object([("app_name", agent.into())])),
        ("api", api(&receipt.phase, operation)),
        ("src_endpoint", object([("svc_name", agent.into())])),
        ("message", visible(&entry.what()).into_owned().into()),
    ]));
    if let Phase::Result(result) = &receipt.phase {
        let (status, name) = match result.status {
            Status::Ok => (1, "Success"),
            Status::Error | Status::Timeout => (2, "Failure"),
            Status::Cancelled => (OTHER, "Cancelled"),
        };
        members.extend(named([
            ("status_id", status.into()),
            ("status", name.into()),
            ("status_detail", result.status.as_str().into()),
            ("duration", result.duration_ms.into()),
            ("message_context", tokens(agent, result.usage.tokens)),
        ]));
    }
    Value::Object(members)
}

fn api(phase: &Phase, operation: String) -> Value {
    let mut api = named([("operation", operation.into())]);
    if let Phase::Intent(intent) = phase {
        let service = object([("name", intent.tool.name.as_str().into())]);
        api.push(("service".to_owned(), service));
    }
    Value::Object(api)
}

fn tokens(agent: &str, count: u64) -> Value {
    object([
        ("service", object([("name", agent.into())])),
        ("total_tokens", count.into()),
    ])
}

fn of_transition(entry: &Entry, it: &Transition, header: Option<&Header>) -> Value {
    let severity = match (it.to, it.rule) {
        (AgentState::Quarantined, _) => 4,
        (AgentState::Degraded, _) => 3,
        (AgentState::Autohealing, _) | (_, Rule::LeaseEnded) => 2,
        _ => 1,
    };
    let title = format!("{}: {} to {}", it.agent, it.from, it.to);
    finding(
        entry,
        &title,
        it.rule.as_str(),
        it.agent.as_str(),
        severity,
        header,
    )
}

fn of_refusal(entry: &Entry, it: &Refused, header: Option<&Header>) -> Value {
    // A refusal that only the control plane claims does not raise an alert about the agent.
    let (claim, severity) = match it.envelope {
        Some(_) => ("", 3),
        None => ("control's claim: ", 1),
    };
    let what = it.phase.as_deref().unwrap_or(it.kind.as_str());
    let title = format!("{claim}{}: {what} refused", it.agent);
    let mut event = finding(
        entry,
        &title,
        it.code.as_str(),
        it.agent.as_str(),
        severity,
        header,
    );
    if let Value::Object(members) = &mut event {
        members.push(("count".to_owned(), it.count.into()));
    }
    event
}

fn finding(
    entry: &Entry,
    title: &str,
    kind: &str,
    agent: &str,
    severity: u64,
    header: Option<&Header>,
) -> Value {
    let mut members = base(entry, DETECTION_FINDING, 1, header);
    let info = object([
        ("uid", entry.record.hash().to_string().into()),
        ("title", title.into()),
        ("desc", entry.what().into()),
        ("types", [kind].into_iter().collect()),
        ("created_time", entry.received_ms.into()),
    ]);
    let resource = object([("name", agent.into()), ("type", "agent".into())]);
    members.extend(named([
        ("severity_id", severity.into()),
        ("status_id", 1.into()),
        ("is_alert", (severity > 1).into()),
        ("finding_info", info),
        ("resources", [resource].into_iter().collect()),
        ("message", title.into()),
    ]));
    Value::Object(members)
}

/// What every event has.
fn base(entry: &Entry, class: u64, activity: u64, header: Option<&Header>) -> Vec<(String, Value)> {
    named([
        ("class_uid", class.into()),
        ("category_uid", (class / 1000).into()),
        ("activity_id", activity.into()),
        ("type_uid", (class * 100 + activity).into()),
        ("time", entry.received_ms.into()),
        ("metadata", metadata(entry, class, header)),
        ("unmapped", integrity(entry, header)),
    ])
}

fn metadata(entry: &Entry, class: u64, header: Option<&Header>) -> Value {
    let product = object([
        ("name", "Dragons".into()),
        ("vendor_name", "Dragons".into()),
    ]);
    let mut members = named([
        ("version", OCSF.into()),
        ("product", product),
        ("uid", entry.record.hash().to_string().into()),
        ("sequence", entry.index.get().into()),
        ("logged_time", entry.received_ms.into()),
        (
            "original_time",
            entry.record.record().at_ms.to_string().into(),
        ),
    ]);
    if class == API_ACTIVITY {
        let profiles = ["ai_operation"].into_iter().collect();
        members.push(("profiles".to_owned(), profiles));
    }
    if let Some(header) = header {
        members.push(("log_name".to_owned(), header.origin.as_str().into()));
    }
    Value::Object(members)
}

/// Where the record stands, and in which tree.
fn integrity(entry: &Entry, header: Option<&Header>) -> Value {
    let attestation = object([
        ("record", entry.record.hash().to_string().into()),
        ("index", entry.index.get().into()),
        ("tree_size", header.map(|header| header.size.get()).into()),
        ("log", header.map(|header| header.origin.clone()).into()),
    ]);
    object([("record_integrity", attestation)])
}

fn named<const N: usize>(members: [(&str, Value); N]) -> Vec<(String, Value)> {
    members.map(|(name, value)| (name.to_owned(), value)).into()
}
