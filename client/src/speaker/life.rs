//! One life of CMD, as the log knows it: its intent, and what it has begun by the socket and not ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ledger::digest::RecordHash;
use ledger::record::ToolUse;

use super::OpenActions;
use crate::permit::Permit;

/// One life of CMD.
pub(crate) struct Life {
    /// The goal of the run.
    pub(crate) goal: RecordHash,
    /// The intent under which CMD runs.
    pub(crate) intent: RecordHash,
    /// CMD itself, as a tool.
    pub(crate) tool: ToolUse,
    /// Goals that CMD set out for.
    pub(crate) goals: Vec<RecordHash>,
    /// What CMD has begun and not ended.
    pub(crate) open: OpenActions,
    /// What came of the start of a service that is up: its intent is closed by it.
    pub(crate) started: Option<RecordHash>,
    /// Whether CMD has said itself what came of the run's goal.
    pub(crate) has_outcome: bool,
    /// Whether all that CMD began is ended, and by which record CMD's own intent.
    pub(crate) closed: Option<Closed>,
    lines: Arc<AtomicU64>,
    /// What tells of its work beside that: a watchdog, a probe.
    signs: Arc<AtomicU64>,
    /// How many of those there were before.
    signs_before: u64,
    /// Steps that CMD itself counts; its lines are counted if it does not.
    steps: Option<u64>,
    /// How far the epoch had got before.
    steps_before: u64,
}

/// A life that the log knows the end of, or will know.
#[derive(Clone, Copy)]
pub(crate) struct Closed {
    /// What came of CMD's own intent, if it could be said.
    pub(crate) result: Option<RecordHash>,
}

impl Life {
    pub(crate) fn new(
        goal: RecordHash,
        permit: &Permit,
        tool: ToolUse,
        lines: Arc<AtomicU64>,
        signs: Arc<AtomicU64>,
        steps_before: u64,
    ) -> Self {
        Self {
            goal,
            intent: permit.intent(),
            tool,
            goals: Vec::new(),
            open: OpenActions::default(),
            started: None,
            has_outcome: false,
            closed: None,
            lines,
            signs_before: signs.load(Ordering::Relaxed),
            signs,
            steps: None,
            steps_before,
        }
    }

    /// The progress that a heartbeat tells: an epoch's count goes on where the life before left it.
    pub(crate) fn progress(&self) -> u64 {
        let lines = || self.lines.load(Ordering::Relaxed);
        self.steps_before
            .saturating_add(self.steps.unwrap_or_else(lines))
            .saturating_add(self.signs())
    }

    /// Whether CMD has shown that it will tell of its work: what then falls silent stands still.
    pub(crate) fn tells_of_its_work(&self) -> bool {
        self.steps.is_some() || self.signs() > 0
    }

    fn signs(&self) -> u64 {
        let signs = self.signs.load(Ordering::Relaxed);
        signs.saturating_sub(self.signs_before)
    }

    /// CMD says how far it has got.
    pub(crate) fn count(&mut self, steps: u64) {
        self.steps = Some(self.steps.unwrap_or(0).max(steps));
    }
}
