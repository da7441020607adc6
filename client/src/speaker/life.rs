//! One life, as the log knows it: the program's own intent, and what was begun by the socket and not ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ledger::digest::RecordHash;
use ledger::record::ToolUse;

use super::goals::Goals;
use super::open::OpenActions;
use super::session::Sessions;
use super::steps::Steps;

/// One life: of CMD, or of a process that speaks for whoever comes.
pub(crate) struct Life {
    /// What runs in it; `None` where nothing does, and every goal is a session's.
    pub(crate) program: Option<Program>,
    /// Goals that were set out for by the socket, beside those of sessions.
    pub(crate) goals: Goals,
    /// The sessions, with their goals.
    pub(crate) sessions: Sessions,
    /// What was begun and not ended.
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
    /// The steps that CMD reports on the socket. If it reports none, its output lines count as steps.
    pub(crate) steps: Steps,
    /// How far the epoch had got before.
    steps_before: u64,
}

/// What a run governs.
#[derive(Clone)]
pub(crate) struct Program {
    /// The goal of the run.
    pub(crate) goal: RecordHash,
    /// The intent under which CMD runs.
    pub(crate) intent: RecordHash,
    /// CMD itself, as a tool.
    pub(crate) tool: ToolUse,
}

/// A life that the log knows the end of, or will know.
#[derive(Clone, Copy)]
pub(crate) struct Closed {
    /// What came of CMD's own intent, if it could be said.
    pub(crate) result: Option<RecordHash>,
}

impl Life {
    pub(crate) fn new(
        program: Option<Program>,
        lines: Arc<AtomicU64>,
        signs: Arc<AtomicU64>,
        steps_before: u64,
    ) -> Self {
        Self {
            program,
            goals: Goals::default(),
            sessions: Sessions::default(),
            open: OpenActions::default(),
            started: None,
            has_outcome: false,
            closed: None,
            lines,
            signs_before: signs.load(Ordering::Relaxed),
            signs,
            steps: Steps::default(),
            steps_before,
        }
    }

    /// The goals that were set out for by the socket; none is open any more.
    pub(crate) fn take_goals(&mut self) -> Vec<RecordHash> {
        let mut goals = self.goals.take();
        goals.extend(self.sessions.take_goals());
        goals
    }

    /// Whether more is to be closed than CMD's own intent and the goal of the run.
    pub(crate) fn has_more_to_close(&self) -> bool {
        self.open.len() > 0 || !self.goals.is_empty() || self.sessions.has_goals()
    }

    /// The progress that a heartbeat tells: an epoch's count goes on where the life before left it.
    pub(crate) fn progress(&self) -> u64 {
        let lines = || self.lines.load(Ordering::Relaxed);
        self.steps_before
            .saturating_add(self.steps.total().unwrap_or_else(lines))
            .saturating_add(self.signs())
    }

    /// Whether CMD has shown that it will tell of its work: what then falls silent stands still.
    pub(crate) fn tells_of_its_work(&self) -> bool {
        self.steps.total().is_some() || self.signs() > 0
    }

    fn signs(&self) -> u64 {
        let signs = self.signs.load(Ordering::Relaxed);
        signs.saturating_sub(self.signs_before)
    }
}
