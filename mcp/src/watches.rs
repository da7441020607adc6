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
    /// The progress of a task, or its result.
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

    /// Whether the answer with this id is a list of tools; then it is not waited for any more.
    pub(crate) fn lists_tools(&mut self, place: &Place, id: &Id) -> bool {
        let is_list = self.at(place, id).filter(|at| {
            let watch = self.0.get(*at).map(|(_, _, watch)| watch);
            watch == Some(&Watch::Tools)
        });
        is_list.is_some_and(|at| self.0.remove(at).is_some())
    }

    /// What the answer with this id tells of.
    pub(crate) fn answered(&mut self, place: &Place, id: &Id) -> Option<Watch> {
        let at = self.at(place, id)?;
        self.0.remove(at).map(|(_, _, watch)| watch)
    }

    /// Where the request with this id stands: of this exchange, else of its session.
    fn at(&self, place: &Place, id: &Id) -> Option<usize> {
        let here = |one: &(Place, Id, Watch)| one.0.exchange == place.exchange && one.1 == *id;
        let in_session = |one: &(Place, Id, Watch)| one.0.session == place.session && one.1 == *id;
        let at = self.0.iter().position(here);
        at.or_else(|| self.0.iter().position(in_session))
    }
}
