//! Requests whose answers are looked at, though nothing is decided about them: lists of tools, and how tasks do.

use std::collections::VecDeque;

use crate::calls::Place;
use crate::id::Id;

/// How many such requests are remembered: a client that never gets answers fills no memory.
const MOST: usize = 1024;

/// What an answer will tell of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// Which tools there are.
    Tools,
    /// How a task does, or what came of it.
    Task { method: String, task: String },
}

/// The requests, in their order.
#[derive(Debug, Default)]
pub(crate) struct Watches(VecDeque<(Place, Id, Watch)>);

impl Watches {
    pub(crate) fn add(&mut self, place: &Place, id: &Id, watch: Watch) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((place.clone(), id.clone(), watch));
    }

    /// What the answer with this id tells of: of this exchange, else of its session.
    pub(crate) fn answered(&mut self, place: &Place, id: &Id) -> Option<Watch> {
        let here = |one: &(Place, Id, Watch)| one.0.exchange == place.exchange && one.1 == *id;
        let in_session = |one: &(Place, Id, Watch)| one.0.session == place.session && one.1 == *id;
        let at = self.0.iter().position(here);
        let at = at.or_else(|| self.0.iter().position(in_session))?;
        self.0.remove(at).map(|(_, _, watch)| watch)
    }
}
