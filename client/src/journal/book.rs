//! The content of a journal: the end of the chain, and what is open. A fold over its lines, with no I/O.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use ledger::record::{Body, Chain, Instance, Mode, Phase, SignedRecord};
use tlog::checkpoint::SignedCheckpoint;

use super::line::Line;

/// Where an agent's chain stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The epoch.
    pub epoch: u64,
    /// The process that speaks in it.
    pub instance: Instance,
    /// The `seq` of the next record.
    pub next_seq: u64,
    /// The `prev` of the next record.
    pub head: RecordHash,
    /// The time of the last record, which no later one goes behind.
    pub at_ms: u64,
    /// The `progress` of the last heartbeat of the epoch.
    pub progress: u64,
    /// Whether the last record said goodbye.
    pub said_goodbye: bool,
}

/// An action that is logged and has no result yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenIntent {
    /// When the log received it: milliseconds since the epoch.
    pub received_ms: u64,
}

/// A result or an outcome that is still to be said, and what it was called when it was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreported {
    /// The record that was refused.
    pub record: RecordHash,
    /// What it said.
    pub phase: Phase,
}

/// How many refused records are remembered, each of which costs a question when the chain does not go on as it should.
const MAX_CLAIMED: usize = 64;

/// The journal's sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    logged: Option<Tip>,
    /// The last heartbeat that is known to be in the log.
    last_beat: Option<RecordHash>,
    pending: VecDeque<SignedRecord>,
    claimed: Vec<SignedRecord>,
    unsaid: Vec<Unreported>,
    renamed: BTreeMap<RecordHash, RecordHash>,
    goals: Vec<RecordHash>,
    intents: BTreeMap<RecordHash, OpenIntent>,
    seen: Option<SignedCheckpoint>,
    charter: Option<(RecordHash, Mode)>,
}

impl Book {
    /// Where the chain stands once all that is pending is logged; `None` if nothing was ever signed.
    pub fn tip(&self) -> Option<Tip> {
        let first = self.logged.clone();
        self.pending.iter().fold(first, follow)
    }

    /// The last record that is known to be in the log.
    pub fn last_logged(&self) -> Option<RecordHash> {
        self.logged.as_ref().map(|tip| tip.head)
    }

    /// Records that were signed and of which is not known whether the log has them, in their order.
    pub const fn pending(&self) -> &VecDeque<SignedRecord> {
        &self.pending
    }

    /// Records that somebody said were refused, and whose place in the chain nothing has taken: nobody signs a refusal,
    /// so each of them may be in the log all the same, or get there later.
    pub fn claimed_refused(&self) -> &[SignedRecord] {
        &self.claimed
    }

    /// Results and outcomes that an epoch ended under: they are still to be said, in the one that is in force.
    pub fn unsaid(&self) -> &[Unreported] {
        &self.unsaid
    }

    /// What a record is called now, if it was refused and said again.
    pub fn newest_name(&self, record: RecordHash) -> RecordHash {
        let mut name = record;
        // Each step leads to a record that was signed later, so there is an end.
        while let Some(newer) = self.renamed.get(&name) {
            name = *newer;
        }
        name
    }

    /// Goals without an outcome, the oldest first.
    pub fn open_goals(&self) -> &[RecordHash] {
        &self.goals
    }

    /// Intents without a result.
    pub const fn open_intents(&self) -> &BTreeMap<RecordHash, OpenIntent> {
        &self.intents
    }

    /// The newest checkpoint that was verified.
    pub const fn seen(&self) -> Option<&SignedCheckpoint> {
        self.seen.as_ref()
    }

    /// The newest charter that was verified, and whether its rules bind.
    pub const fn charter(&self) -> Option<(RecordHash, Mode)> {
        self.charter
    }

    /// Whether a record that is pending, or was called refused, is an intent.
    pub(super) fn awaits_leave(&self, record: RecordHash) -> bool {
        let mut known = self.pending.iter().chain(&self.claimed);
        known.any(|known| known.hash() == record && is_intent(known))
    }

    /// The records whose lines this still rests on.
    pub(super) fn live_records(&self) -> BTreeSet<RecordHash> {
        let waiting = self.pending.iter().chain(&self.claimed);
        let renamed = self.renamed.iter().flat_map(|(old, new)| [*old, *new]);
        waiting
            .map(SignedRecord::hash)
            .chain(renamed)
            .chain(self.unsaid.iter().map(|unsaid| unsaid.record))
            .chain(self.goals.iter().copied())
            .chain(self.intents.keys().copied())
            .chain(self.last_logged())
            .chain(self.last_beat)
            .collect()
    }

    /// Takes the next line.
    pub(super) fn apply(&mut self, line: &Line) {
        match line {
            Line::Signed(record) => {
                let said = self
                    .unsaid
                    .extract_if(.., |unsaid| is_said_by(&unsaid.phase, record));
                let renamed = said.map(|unsaid| (unsaid.record, record.hash()));
                self.renamed.extend(renamed);
                self.pending.push_back((**record).clone());
            }
            Line::Logged {
                record,
                received_ms,
                ..
            } => {
                let waited = self.take_pending(*record);
                if let Some(record) = waited.or_else(|| self.take_claimed(*record)) {
                    self.logged = follow(self.logged.take(), &record);
                    if matches!(record.record().body, Body::Heartbeat(_)) {
                        self.last_beat = Some(record.hash());
                    }
                    self.open_and_close(&record, *received_ms);
                    self.settle_claims();
                }
            }
            Line::Refused { record, refusal } => {
                if let Some(record) = self.take_pending(*record) {
                    self.unsaid.extend(still_to_be_said(&record, refusal));
                    self.close_what_is_unknown(&record, refusal);
                    self.claim(record);
                }
            }
            Line::Charter { record, mode } => self.charter = Some((*record, *mode)),
            Line::Seen(checkpoint) => self.seen = Some((**checkpoint).clone()),
        }
    }

    fn take_pending(&mut self, record: RecordHash) -> Option<SignedRecord> {
        let position = self.pending.iter().position(|own| own.hash() == record)?;
        self.pending.remove(position)
    }

    fn take_claimed(&mut self, record: RecordHash) -> Option<SignedRecord> {
        let position = self.claimed.iter().position(|own| own.hash() == record)?;
        self.unsaid.retain(|unsaid| unsaid.record != record);
        Some(self.claimed.remove(position))
    }

    fn claim(&mut self, record: SignedRecord) {
        if self.claimed.len() == MAX_CLAIMED {
            self.claimed.remove(0);
        }
        self.claimed.push(record);
    }

    /// What is in the log leaves no room for another record in its place or in one before it.
    fn settle_claims(&mut self) {
        let Some(tip) = &self.logged else {
            return;
        };
        let next = (tip.epoch, tip.next_seq);
        self.claimed
            .retain(|record| chain(record).is_some_and(|chain| (chain.epoch, chain.seq) >= next));
    }

    /// Another process of the agent has closed it meanwhile: there is nothing more to say about it.
    fn close_what_is_unknown(&mut self, record: &SignedRecord, refusal: &Refusal) {
        let Body::Receipt(receipt) = &record.record().body else {
            return;
        };
        match (&receipt.phase, refusal.code) {
            (Phase::Result(result), Code::IntentUnknown) => {
                self.intents.remove(&result.intent);
            }
            (Phase::Outcome(outcome), Code::GoalUnknown) => {
                self.goals.retain(|goal| *goal != outcome.goal);
            }
            _ => {}
        }
    }

    fn open_and_close(&mut self, record: &SignedRecord, received_ms: u64) {
        let Body::Receipt(receipt) = &record.record().body else {
            return;
        };
        match &receipt.phase {
            Phase::Goal(_) => self.goals.push(record.hash()),
            Phase::Intent(_) => {
                self.intents
                    .insert(record.hash(), OpenIntent { received_ms });
            }
            Phase::Result(result) => {
                self.intents.remove(&result.intent);
            }
            Phase::Outcome(outcome) => self.goals.retain(|goal| *goal != outcome.goal),
        }
    }
}

/// The chain that a record is in.
pub(crate) fn chain(record: &SignedRecord) -> Option<&Chain> {
    match &record.record().body {
        Body::Heartbeat(beat) => Some(&beat.chain),
        Body::Receipt(receipt) => Some(&receipt.chain),
        _ => None,
    }
}

fn is_intent(record: &SignedRecord) -> bool {
    matches!(&record.record().body, Body::Receipt(receipt) if matches!(receipt.phase, Phase::Intent(_)))
}

fn follow(tip: Option<Tip>, record: &SignedRecord) -> Option<Tip> {
    let Some(chain) = chain(record) else {
        return tip;
    };
    let before = tip.filter(|tip| tip.epoch == chain.epoch);
    let (progress, said_goodbye) = match &record.record().body {
        Body::Heartbeat(beat) => (beat.progress, beat.r#final),
        _ => (before.map_or(0, |tip| tip.progress), false),
    };
    Some(Tip {
        epoch: chain.epoch,
        instance: chain.instance,
        next_seq: chain.seq.saturating_add(1),
        head: record.hash(),
        at_ms: record.record().at_ms,
        progress,
        said_goodbye,
    })
}

/// What came of an action or a goal stays true when the epoch that it was signed in is over, or the state does not
/// let it be said: it is said again later. What was about to happen does not.
fn still_to_be_said(record: &SignedRecord, refusal: &Refusal) -> Option<Unreported> {
    let for_its_place =
        refusal.code.http_status() == Some(409) || refusal.code == Code::StateForbids;
    match &record.record().body {
        Body::Receipt(receipt) if for_its_place => match &receipt.phase {
            Phase::Result(_) | Phase::Outcome(_) => Some(Unreported {
                record: record.hash(),
                phase: receipt.phase.clone(),
            }),
            Phase::Goal(_) | Phase::Intent(_) => None,
        },
        _ => None,
    }
}

fn is_said_by(unsaid: &Phase, record: &SignedRecord) -> bool {
    let Body::Receipt(receipt) = &record.record().body else {
        return false;
    };
    match (unsaid, &receipt.phase) {
        (Phase::Result(unsaid), Phase::Result(said)) => unsaid.intent == said.intent,
        (Phase::Outcome(unsaid), Phase::Outcome(said)) => unsaid.goal == said.goal,
        _ => false,
    }
}
