//! A governor for tests: it answers from a script, and keeps what it was asked and told.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use ledger::record::Mode;

use crate::governor::{Action, Ending, Governor, Leave, Outcome, Permit};
use crate::proxy::locked;

/// What it was asked and told, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Asked(String),
    Closed(String, Ending),
    Progress,
}

pub(crate) struct Fake {
    pub(crate) mode: Mode,
    /// What is not allowed, and whether the service is away.
    pub(crate) denied: Vec<&'static str>,
    pub(crate) is_away: bool,
    /// A scope waits for a word here before it is answered.
    pub(crate) gates: Mutex<BTreeMap<&'static str, Receiver<()>>>,
    pub(crate) actions: Mutex<Vec<Action>>,
    pub(crate) outcomes: Mutex<Vec<Outcome>>,
    pub(crate) warnings: Mutex<Vec<String>>,
    events: Mutex<Sender<Event>>,
}

impl Fake {
    pub(crate) fn new(mode: Mode) -> (Self, Receiver<Event>) {
        let (events, seen) = channel();
        let fake = Self {
            mode,
            denied: vec!["call:s/denied"],
            is_away: false,
            gates: Mutex::default(),
            actions: Mutex::default(),
            outcomes: Mutex::default(),
            warnings: Mutex::default(),
            events: Mutex::new(events),
        };
        (fake, seen)
    }

    fn event(&self, event: Event) {
        // A test that does not look on has ended its part.
        let _ = locked(&self.events).send(event);
    }
}

impl Governor for Fake {
    fn mode(&self) -> Mode {
        self.mode
    }

    fn ask(&self, action: &Action) -> Leave {
        let scope = action.scope.to_string();
        let gate = locked(&self.gates).remove(scope.as_str());
        if let Some(gate) = gate {
            let _ = gate.recv();
        }
        locked(&self.actions).push(action.clone());
        self.event(Event::Asked(scope.clone()));
        if self.is_away {
            let reason = "the service does not answer".to_owned();
            return Leave::Away { reason };
        }
        if self.denied.contains(&scope.as_str()) {
            return Leave::Denied {
                code: "scope-denied".to_owned(),
                reason: format!("no lease allows {scope}"),
            };
        }
        Leave::Granted(Permit(scope))
    }

    fn close(&self, permit: Permit, outcome: Outcome) {
        let ending = outcome.ending;
        locked(&self.outcomes).push(outcome);
        self.event(Event::Closed(permit.0, ending));
    }

    fn progress(&self) {
        self.event(Event::Progress);
    }

    fn warn(&self, text: &str) {
        locked(&self.warnings).push(text.to_owned());
    }
}
