//! The entries of a state: all that the rules read of it, as canonical JSON.
//!
//! | entry | what it has |
//! | --- | --- |
//! | `{"log":…}` | charter, keys of charters and of the log, counters, last times |
//! | `{"agent":…}` | one agent: version, chain, clocks, open work, what it is owed |
//! | `{"lease":…,"index":…,"terms":…}` | a lease that something may be under |
//! | `{"lease":…,"index":…,"agent":…}` | a lease that is over |
//!
//! Members stand in one order, without spaces. What [`restore`](super::restore) reads is what is written here.

use std::fmt::Display;

use super::agent::Version;
use super::agent::{Agent, AgentKey, Causes, Healing, OpenIntent, Opener, Opening, SinceDegraded};
use super::charter::Approval;
use super::heads::LogKeys;
use super::lease::{Ended, LeaseState, Over, Spent};
use super::owed::Waiting;
use super::state::State;
use crate::digest::{Digest, RecordHash};
use crate::key::{KeyId, PublicKey};
use crate::record::{AgentState, Fields, Instance, Rule};
use crate::text::Name;
use tlog::note::VerifierKey;

/// Something that an entry has.
pub(super) trait Put {
    /// Appends it to `out`.
    fn put(&self, out: &mut String);
}

/// The entry of the log.
pub(super) fn of_log(state: &State) -> String {
    let mut out = String::new();
    let Some(held) = &state.constitution else {
        return out;
    };
    let mut charter = Fields::default();
    held.charter.write(&mut charter);
    let charter = charter.into_value().to_json();
    members(
        &mut out,
        &[
            ("log", &held.log),
            ("size", &state.size),
            ("charter", &held.hash),
            ("terms", &Json(&charter)),
            ("keys", &state.charter_keys.as_slice()),
            ("log_keys", &state.log_keys.as_slice()),
            ("received_ms", &state.last_received_ms),
            ("began_ms", &state.owed.began_ms),
            ("gap_end_ms", &state.gap_end_ms),
            ("gaps_ms", &state.gaps_ms),
            ("pulses", &state.pulses),
            ("pulse_ms", &state.last_pulse_ms),
            ("missed_pulse", &state.owed.missed_pulse),
            ("witnessed_size", &state.witnessed_size),
        ],
    );
    out
}

impl Put for Agent {
    fn put(&self, out: &mut String) {
        let opened_by_lease = format!("{:016x}", self.opened_by_lease);
        let past = Dated(self.past_instances.iter().collect());
        let denials = Dated(self.denials.iter().collect());
        let goals: Vec<RecordHash> = self.goals.keys().copied().collect();
        let intents: Vec<(RecordHash, OpenIntent)> =
            self.intents.iter().map(|(hash, it)| (*hash, *it)).collect();
        members(
            out,
            &[
                ("agent", self.name()),
                ("version", self.version.as_ref()),
                ("is_registered", &self.is_registered),
                ("keys", &self.keys.as_slice()),
                ("state", &self.state),
                ("said_goodbye", &self.said_goodbye),
                ("transitions", &self.transitions),
                ("epoch", &self.epoch),
                ("opening", &self.opening),
                ("opened_by_lease", &Quoted(&opened_by_lease)),
                ("instance", &self.instance),
                ("goes_on", &self.goes_on),
                ("past_instances", &past),
                ("next_seq", &self.next_seq),
                ("head", &self.head),
                ("last", &self.last),
                ("chain_at_ms", &self.chain_at_ms),
                ("lease", &self.lease),
                ("epoch_lease", &self.epoch_lease),
                ("after", &self.after),
                ("progress", &self.progress),
                ("beat_ms", &self.beat_ms),
                ("progress_ms", &self.progress_ms),
                ("seen_size", &self.seen_size),
                ("goals", &goals.as_slice()),
                ("intents", &intents.as_slice()),
                ("causes", &self.causes),
                ("since_degraded", &self.since_degraded),
                ("healing", &self.healing),
                ("heals_ms", &self.heals_ms.as_slice()),
                ("denials", &denials),
                ("deadline_ms", &self.deadline_ms),
                ("waiting", &self.owed.waiting.as_slice()),
                ("missed", &self.owed.missed.as_slice()),
            ],
        );
    }
}

impl Put for LeaseState {
    fn put(&self, out: &mut String) {
        let mut terms = Fields::default();
        self.terms.write(&mut terms);
        let terms = terms.into_value().to_json();
        members(
            out,
            &[
                ("lease", &self.hash),
                ("index", &self.index),
                ("terms", &Json(&terms)),
                ("version", self.version.as_ref()),
                ("approval", self.approval.as_ref()),
                ("received_ms", &self.received_ms),
                ("expires_ms", &self.expires_ms),
                ("ended", &self.ended),
                ("ended_ms", &self.ended_ms),
                ("own", &self.own),
                ("from_below", &self.from_below),
                ("earned", &self.earned),
            ],
        );
    }
}

impl Put for Over {
    fn put(&self, out: &mut String) {
        members(
            out,
            &[
                ("lease", &self.hash),
                ("index", &self.index),
                ("agent", &self.agent),
                ("ended", &self.why),
                ("ended_ms", &self.ended_ms),
            ],
        );
    }
}

impl Put for Version {
    fn put(&self, out: &mut String) {
        let capabilities: Vec<String> = self.capabilities.iter().map(ToString::to_string).collect();
        let capabilities: Vec<Quoted<'_>> = capabilities.iter().map(|it| Quoted(it)).collect();
        members(
            out,
            &[
                ("registration", &self.registration),
                ("key", &self.key),
                ("manifest_hash", &self.manifest_hash),
                ("capabilities", &capabilities.as_slice()),
                ("max_inflight_ms", &self.max_inflight_ms),
                ("approval", &self.approval),
            ],
        );
    }
}

impl Put for Approval {
    fn put(&self, out: &mut String) {
        let operators: &[KeyId] = &self.operators;
        members(
            out,
            &[("operators", &operators), ("threshold", &self.threshold)],
        );
    }
}

impl Put for AgentKey {
    fn put(&self, out: &mut String) {
        members(out, &[("key", &self.key), ("is_own", &self.is_own)]);
    }
}

impl Put for Opening {
    fn put(&self, out: &mut String) {
        let received_ms = &self.received_ms;
        members(
            out,
            &[
                ("record", &self.record),
                ("received_ms", received_ms),
                ("by", &self.by),
            ],
        );
    }
}

impl Put for (RecordHash, OpenIntent) {
    fn put(&self, out: &mut String) {
        let (hash, open) = self;
        members(
            out,
            &[
                ("intent", hash),
                ("lease", &open.lease),
                ("lapses_ms", &open.lapses_ms),
                ("due_ms", &open.due_ms),
                ("tokens", &open.reserve.tokens),
                ("cost_micros", &open.reserve.cost_micros),
            ],
        );
    }
}

impl Put for Causes {
    fn put(&self, out: &mut String) {
        members(
            out,
            &[
                ("drift", &self.drift),
                ("finished", &self.finished),
                ("started", &self.started),
                ("restarted", &self.restarted),
            ],
        );
    }
}

impl Put for SinceDegraded {
    fn put(&self, out: &mut String) {
        members(out, &[("beat", &self.beat), ("progress", &self.progress)]);
    }
}

impl Put for Healing {
    fn put(&self, out: &mut String) {
        members(
            out,
            &[
                ("attempt", &self.attempt),
                ("since_ms", &self.since_ms),
                ("beats", &self.beats),
                ("counted_ms", &self.counted_ms),
            ],
        );
    }
}

impl Put for Waiting {
    fn put(&self, out: &mut String) {
        members(
            out,
            &[
                ("rule", &self.rule),
                ("since_ms", &self.since_ms),
                ("end_ms", &self.end_ms),
            ],
        );
    }
}

/// Sums may be above what a JSON number holds exactly, so they are text.
impl Put for Spent {
    fn put(&self, out: &mut String) {
        let text = [self.actions, self.tokens, self.cost_micros].map(|sum| sum.to_string());
        let [actions, tokens, cost_micros] = &text;
        members(
            out,
            &[
                ("actions", &Quoted(actions)),
                ("tokens", &Quoted(tokens)),
                ("cost_micros", &Quoted(cost_micros)),
            ],
        );
    }
}

impl Put for LogKeys {
    fn put(&self, out: &mut String) {
        members(
            out,
            &[("index", &self.index), ("keys", &self.keys.as_slice())],
        );
    }
}

/// Things by when they were seen, oldest first, as an object.
struct Dated<'a, T>(Vec<&'a (u64, T)>);

impl<T: Display> Put for Dated<'_, T> {
    fn put(&self, out: &mut String) {
        let mut separator = '{';
        for (seen_ms, thing) in &self.0 {
            out.push(separator);
            quoted(out, thing);
            out.push(':');
            seen_ms.put(out);
            separator = ',';
        }
        close(out, separator, '{', '}');
    }
}

/// Text without anything that JSON escapes.
struct Quoted<'a>(&'a str);

impl Put for Quoted<'_> {
    fn put(&self, out: &mut String) {
        quoted(out, &self.0);
    }
}

/// What is JSON already.
struct Json<'a>(&'a str);

impl Put for Json<'_> {
    fn put(&self, out: &mut String) {
        out.push_str(self.0);
    }
}

macro_rules! put_as_text {
    ($($type:ty)*) => {$(
        impl Put for $type {
            fn put(&self, out: &mut String) {
                quoted(out, self);
            }
        }
    )*};
}

put_as_text!(RecordHash Digest KeyId PublicKey Instance Name AgentState Rule Opener Ended VerifierKey);

impl Put for u64 {
    fn put(&self, out: &mut String) {
        out.push_str(&self.to_string());
    }
}

impl Put for bool {
    fn put(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }
}

impl<T: Put> Put for Option<T> {
    fn put(&self, out: &mut String) {
        match self {
            Some(value) => value.put(out),
            None => out.push_str("null"),
        }
    }
}

impl<T: Put> Put for &[T] {
    fn put(&self, out: &mut String) {
        let mut separator = '[';
        for value in *self {
            out.push(separator);
            value.put(out);
            separator = ',';
        }
        close(out, separator, '[', ']');
    }
}

fn members(out: &mut String, members: &[(&str, &dyn Put)]) {
    let mut separator = '{';
    for (name, value) in members {
        out.push(separator);
        quoted(out, name);
        out.push(':');
        value.put(out);
        separator = ',';
    }
    close(out, separator, '{', '}');
}

/// Ends a list, which may be empty.
fn close(out: &mut String, separator: char, first: char, last: char) {
    if separator == first {
        out.push(first);
    }
    out.push(last);
}

fn quoted(out: &mut String, value: &dyn Display) {
    use std::fmt::Write as _;
    out.push('"');
    // A string takes everything.
    let _ = write!(out, "{value}");
    out.push('"');
}
