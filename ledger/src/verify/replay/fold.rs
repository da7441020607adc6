//! The two histories of a log that holds what it should not.
//!
//! In the *strict* one, records that cannot be relied on do nothing. In the *lenient* one they do what
//! they say: it is how the log looks to whoever let them in. They are one until the first such record.
//! What is wrong in the strict history alone is wrong because of that record, and nobody who came after
//! is to blame for it; so duties and transitions are held against control only where both agree.
//!
//! The lenient history is what somebody may have believed. An agent that goes on in a way that is right
//! in the strict one and wrong in the lenient shows that nobody did: from there on the lenient one has
//! that agent as the strict one does, or one forged record would be an alibi forever.

use tlog::LeafIndex;

use crate::codes::Refusal;
use crate::digest::RecordHash;
use crate::govern::{Missed, State};
use crate::record::CheckedRecord;
use crate::text::Name;

/// Both.
#[derive(Debug, Default)]
pub(super) struct Histories {
    strict: State,
    lenient: Option<Box<State>>,
}

/// What the rules say about a record.
#[derive(Debug)]
pub(super) enum Judgement {
    /// It may be in the log; in observe mode with the rule that it breaks.
    Sound(Option<Refusal>),
    /// It may not, but only for what came before it.
    Rests(Refusal),
    /// It may not.
    Wrong(Refusal),
}

impl Histories {
    /// Both are this state still.
    pub(super) fn upon(state: State) -> Self {
        Self {
            strict: state,
            lenient: None,
        }
    }

    /// The state in which only what can be relied on has happened.
    pub(super) fn state(&self) -> &State {
        &self.strict
    }

    /// The state in which everything has happened that the log holds.
    pub(super) fn taken(&self) -> &State {
        self.lenient.as_deref().unwrap_or(&self.strict)
    }

    /// Goes on to the next leaf; gives the duties that were missed by then.
    pub(super) fn advance(&mut self, now_ms: u64) -> Vec<Missed> {
        let mut missed = self.strict.advance(now_ms);
        if let Some(lenient) = &mut self.lenient {
            let also = lenient.advance(now_ms);
            missed.retain(|it| lenient.has_missed(&it.duty));
            let is_news = |it: &Missed| !missed.iter().any(|old| old.duty == it.duty);
            let strict = &self.strict;
            let later: Vec<Missed> = also
                .into_iter()
                .filter(|it| strict.has_missed(&it.duty) && is_news(it))
                .collect();
            missed.extend(later);
        }
        missed
    }

    /// Works out the roots of both as they are behind the last leaf: a pulse is judged by that, and not by what has
    /// become due until it came.
    pub(super) fn note_roots(&self) {
        self.strict.root();
        self.lenient.as_ref().map(|lenient| lenient.root());
    }

    /// The intents, and whose they are, that should have had a result before `now_ms`.
    pub(super) fn take_unfinished(&mut self, now_ms: u64) -> Vec<(RecordHash, Name)> {
        self.strict.take_unfinished(now_ms)
    }

    pub(super) fn judge(&self, record: &CheckedRecord, received_ms: u64) -> Judgement {
        let refusal = match self.strict.admit(record, received_ms) {
            Ok(admission) => return Judgement::Sound(admission.breach),
            Err(refusal) => refusal,
        };
        let taken = self
            .lenient
            .as_ref()
            .map(|it| it.admit(record, received_ms));
        match taken {
            Some(Ok(_)) => Judgement::Rests(refusal),
            _ => Judgement::Wrong(refusal),
        }
    }

    /// Takes a record that is right in the strict history.
    pub(super) fn apply_sound(
        &mut self,
        index: LeafIndex,
        received_ms: u64,
        record: &CheckedRecord,
    ) {
        if let Some(lenient) = &mut self.lenient
            && let Some(agent) = self.strict.touched(record)
            && lenient.admit(record, received_ms).is_err()
        {
            lenient.adopt(&agent, &self.strict);
        }
        self.apply(index, received_ms, record);
    }

    /// Takes a record that counts.
    pub(super) fn apply(&mut self, index: LeafIndex, received_ms: u64, record: &CheckedRecord) {
        self.strict.apply(index, received_ms, record);
        if let Some(lenient) = &mut self.lenient {
            lenient.apply(index, received_ms, record);
        }
    }

    /// Takes a record that cannot be relied on.
    pub(super) fn apply_problem(
        &mut self,
        index: LeafIndex,
        received_ms: u64,
        record: &CheckedRecord,
    ) {
        let strict = &mut self.strict;
        let lenient = self.lenient.get_or_insert_with(|| Box::new(strict.clone()));
        lenient.apply(index, received_ms, record);
        strict.skip(index, received_ms);
    }

    /// Takes a leaf without a record of this log.
    pub(super) fn skip(&mut self, index: LeafIndex, received_ms: u64) {
        // It may have been anybody's result.
        self.strict.forget_results();
        self.strict.skip(index, received_ms);
        if let Some(lenient) = &mut self.lenient {
            lenient.skip(index, received_ms);
        }
    }
}
