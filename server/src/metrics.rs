//! What the service counts and measures. Every name is described here, with its unit.
//!
//! Labels come from closed sets (kinds of record, codes, verdicts), so no caller can make the number of series grow.

use std::time::Duration;

use ledger::govern::{Agent, State};
use ledger::record::{AgentState, Kind, Rule};
use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use store::Group;

use tlog::TreeSize;

use crate::log::Duty;

const RECORDS: &str = "dragonsd_records_total";
const GROUP_LEAVES: &str = "dragonsd_group_leaves";
const COMMIT_SECONDS: &str = "dragonsd_commit_seconds";
const TREE_SIZE: &str = "dragonsd_tree_size_leaves";
const HEAD_TIME: &str = "dragonsd_head_time_seconds";
const TRANSITIONS: &str = "dragonsd_transitions_total";
const REFUSALS: &str = "dragonsd_refusals_total";
const RENEWALS: &str = "dragonsd_lease_renewals_total";
const DUTY_LATENESS: &str = "dragonsd_duty_lateness_seconds";
const AGENTS: &str = "dragonsd_agents";
const WEBHOOKS: &str = "dragonsd_webhook_deliveries_total";
const WEBHOOK_BEHIND: &str = "dragonsd_webhook_behind_entries";
const FREE_BYTES: &str = "dragonsd_store_free_bytes";
const MESSAGES_DROPPED: &str = "dragonsd_messages_dropped_total";
const ANCHOR_SIZE: &str = "dragonsd_anchor_size_leaves";
const ANCHOR_FAILURES: &str = "dragonsd_anchor_failures_total";
const READS_LEFT: &str = "dragonsd_reads_left_total";
const FALSE_PROOFS: &str = "dragonsd_false_proofs_total";

/// From a lone record to the largest group.
const GROUP_BUCKETS: [f64; 8] = [1.0, 4.0, 16.0, 64.0, 128.0, 256.0, 512.0, 1_024.0];

/// From a sync on an idle machine to one that somebody should look at, in seconds. Requests use them too.
const SECONDS_BUCKETS: [f64; 12] = [
    0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0,
];

/// From a timer that fires to a charter's usual tolerance of a minute, in seconds.
const LATENESS_BUCKETS: [f64; 10] = [0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0];

/// Installs the recorder of this process and describes every metric of the log.
///
/// # Errors
/// [`BuildError`] if there is one already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(GROUP_LEAVES.to_owned()), &GROUP_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full(DUTY_LATENESS.to_owned()), &LATENESS_BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)?;
    let handle = builder.install_recorder()?;
    describe();
    begin_at_zero();
    Ok(handle)
}

/// A series that begins with its first event has no increase, so an alert would miss that one.
fn begin_at_zero() {
    counter!(FALSE_PROOFS).absolute(0);
    counter!(MESSAGES_DROPPED).absolute(0);
    counter!(READS_LEFT).absolute(0);
    counter!(ANCHOR_FAILURES).absolute(0);
    counter!(RENEWALS).absolute(0);
    for rule in Rule::ALL {
        counter!(TRANSITIONS, "rule" => rule.as_str()).absolute(0);
    }
}

fn describe() {
    describe_counter!(
        RECORDS,
        Unit::Count,
        "Submitted records that the sequencer judged, by kind and outcome"
    );
    describe_histogram!(
        GROUP_LEAVES,
        Unit::Count,
        "Leaves that were committed with one sync"
    );
    describe_histogram!(
        COMMIT_SECONDS,
        Unit::Seconds,
        "Time that a commit took, sync included"
    );
    describe_gauge!(
        TREE_SIZE,
        Unit::Count,
        "Leaves under the newest signed checkpoint"
    );
    describe_gauge!(
        HEAD_TIME,
        Unit::Seconds,
        "When the newest leaf was received, since the epoch"
    );
    describe_duties();
    describe_gauge!(
        FREE_BYTES,
        Unit::Bytes,
        "Room on the disk that the store is on"
    );
    describe_gauge!(
        ANCHOR_SIZE,
        Unit::Count,
        "Leaves under the head that the anchor has"
    );
    describe_counter!(
        ANCHOR_FAILURES,
        Unit::Count,
        "Heads that the anchor did not take"
    );
    describe_counter!(
        MESSAGES_DROPPED,
        Unit::Count,
        "Lines of the service's own messages that were lost, because nobody read stderr or there were too many"
    );
    describe_counter!(
        READS_LEFT,
        Unit::Count,
        "Reads that ended before their answer, because whoever asked had gone away"
    );
    describe_counter!(
        FALSE_PROOFS,
        Unit::Count,
        "Proofs made from the store that did not verify and were not served"
    );
}

fn describe_duties() {
    describe_counter!(
        TRANSITIONS,
        Unit::Count,
        "Transitions of agents that the control plane logged, by rule"
    );
    describe_counter!(
        REFUSALS,
        Unit::Count,
        "Records whose refusal is in the log, by code"
    );
    describe_counter!(
        RENEWALS,
        Unit::Count,
        "Leases that the control plane renewed"
    );
    describe_histogram!(
        DUTY_LATENESS,
        Unit::Seconds,
        "How long a pulse or transition was due when it was logged"
    );
    describe_gauge!(AGENTS, Unit::Count, "Registered agents, by state");
    describe_counter!(
        WEBHOOKS,
        Unit::Count,
        "Attempts to tell a webhook of an event, by outcome; `dead` is an event that was put aside"
    );
    describe_gauge!(
        WEBHOOK_BEHIND,
        Unit::Count,
        "Entries that a webhook has not looked at yet"
    );
}

/// The anchor took a head of this size, or did not take one.
#[expect(
    clippy::cast_precision_loss,
    reason = "gauges are floats, exact up to 2^53 leaves"
)]
pub(crate) fn anchored(size: Option<TreeSize>) {
    match size {
        Some(size) => gauge!(ANCHOR_SIZE).set(size.get() as f64),
        None => counter!(ANCHOR_FAILURES).increment(1),
    }
}

/// What became of an attempt to tell a webhook.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Delivery {
    /// It was taken.
    Delivered,
    /// It was not.
    Failed,
    /// It was not, and is not tried again.
    Dead,
}

impl Delivery {
    const ALL: [Self; 3] = [Self::Delivered, Self::Failed, Self::Dead];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Dead => "dead",
        }
    }
}

/// A webhook begins. Names of webhooks come from the settings, so no caller can make their number grow.
pub(crate) fn webhook_begins(name: &str) {
    for delivery in Delivery::ALL {
        let outcome = delivery.as_str();
        counter!(WEBHOOKS, "webhook" => name.to_owned(), "outcome" => outcome).absolute(0);
    }
}

/// An attempt to tell a webhook is over.
pub(crate) fn webhook(name: &str, delivery: Delivery) {
    let outcome = delivery.as_str();
    counter!(WEBHOOKS, "webhook" => name.to_owned(), "outcome" => outcome).increment(1);
}

/// How far a webhook is behind the log.
#[expect(
    clippy::cast_precision_loss,
    reason = "a graph does not show the 53rd bit"
)]
pub(crate) fn webhook_behind(name: &str, entries: u64) {
    gauge!(WEBHOOK_BEHIND, "webhook" => name.to_owned()).set(entries as f64);
}

/// A submitted record was judged; `outcome` is `logged`, `duplicate`, or the code that refuses it.
pub(crate) fn judged(kind: Kind, outcome: &'static str) {
    counter!(RECORDS, "kind" => kind.as_str(), "outcome" => outcome).increment(1);
}

/// A record of the control plane's own is durable.
pub(crate) fn done(duty: Duty) {
    match duty {
        Duty::Pulse { late_ms } => late_ms.into_iter().for_each(|ms| late("pulse", ms)),
        Duty::Transition { rule, late_ms } => {
            counter!(TRANSITIONS, "rule" => rule.as_str()).increment(1);
            late("transition", late_ms);
        }
        Duty::Refusal { code, count } => {
            counter!(REFUSALS, "code" => code.as_str()).increment(count);
        }
        Duty::Renewal => counter!(RENEWALS).increment(1),
    }
}

fn late(duty: &'static str, ms: u64) {
    histogram!(DUTY_LATENESS, "duty" => duty).record(Duration::from_millis(ms));
}

/// How many agents are in each state.
#[expect(
    clippy::cast_precision_loss,
    reason = "a graph does not show the 53rd bit"
)]
pub(crate) fn agents(state: &State) {
    let states = || state.agents().map(Agent::state);
    for state in AgentState::ALL {
        let count = states().filter(|other| other == state).count();
        gauge!(AGENTS, "state" => state.as_str()).set(count as f64);
    }
}

/// A group is durable.
#[expect(
    clippy::cast_precision_loss,
    reason = "a graph does not show the 53rd bit"
)]
pub(crate) fn committed(group: &Group, took: Duration) {
    histogram!(GROUP_LEAVES).record(group.leaves.len() as f64);
    histogram!(COMMIT_SECONDS).record(took);
    gauge!(TREE_SIZE).set(group.checkpoint.size.get() as f64);
    gauge!(HEAD_TIME).set(group.checkpoint.time_ms as f64 / 1_000.0);
}

/// How much room is left, where anything bounds it.
#[expect(
    clippy::cast_precision_loss,
    reason = "a graph does not show the 53rd bit"
)]
pub(crate) fn free_bytes(free_bytes: Option<u64>) {
    if let Some(free_bytes) = free_bytes {
        gauge!(FREE_BYTES).set(free_bytes as f64);
    }
}

/// A line of the service's own messages was lost.
pub(crate) fn message_dropped() {
    counter!(MESSAGES_DROPPED).increment(1);
}

/// A read ended because nobody waits for it any more.
pub(crate) fn read_left() {
    counter!(READS_LEFT).increment(1);
}

/// A proof made from the store did not verify. This stays at zero, or the store is damaged.
pub(crate) fn proof_failed() {
    counter!(FALSE_PROOFS).increment(1);
}
