//! Calls that were forwarded and have no result yet, and which of them an answer, a retry or a task is about.

use ledger::digest::Digest;

use crate::governor::Permit;
use crate::heard::Call;
use crate::id::Id;

/// Where a message is exchanged. Ids are the client's own: over HTTP two clients may both use 1, in two exchanges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The session over HTTP, if the server has given it a name.
    pub session: Option<String>,
    /// The request over HTTP, by a number of our own; always 0 on streams of lines.
    pub exchange: u64,
}

/// A call that goes on.
#[derive(Debug)]
pub(crate) struct OpenCall {
    pub(crate) place: Place,
    pub(crate) permit: Permit,
    tool: String,
    arguments: Digest,
    awaits: Awaits,
}

/// What a call waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Awaits {
    /// The answer to the request with this id.
    Answer(Id),
    /// The client, which calls again with what it was asked for and this state.
    Retry(Option<String>),
    /// The task of this name.
    Task(String),
}

impl OpenCall {
    pub(crate) fn new(place: &Place, call: &Call, permit: Permit) -> Self {
        Self {
            place: place.clone(),
            permit,
            tool: call.tool.clone(),
            arguments: call.arguments_digest,
            awaits: Awaits::Answer(call.id.clone()),
        }
    }
}

/// All calls that go on.
#[derive(Debug, Default)]
pub(crate) struct OpenCalls(Vec<OpenCall>);

impl OpenCalls {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn begin(&mut self, call: OpenCall) {
        self.0.push(call);
    }

    /// The call that waits for the answer with this id: of this exchange, else of its session.
    pub(crate) fn answered(&mut self, place: &Place, id: &Id) -> Option<OpenCall> {
        let awaits = Awaits::Answer(id.clone());
        self.at(place, |call| call.awaits == awaits)
    }

    /// The call is not over: it waits for something else now.
    pub(crate) fn wait(&mut self, mut call: OpenCall, awaits: Awaits) {
        call.awaits = awaits;
        self.0.push(call);
    }

    /// Goes on with the call of which this is the retry: the same tool with the same arguments, and the state that the
    /// server gave. Each state serves once, so that one leave does not serve many calls.
    pub(crate) fn retry(&mut self, place: &Place, retry: &Call) -> bool {
        let awaits = Awaits::Retry(retry.state.clone());
        let found = retry.is_retry.then(|| {
            self.take(|call| {
                call.awaits == awaits
                    && call.place.session == place.session
                    && call.tool == retry.tool
                    && call.arguments == retry.arguments_digest
            })
        });
        let Some(mut call) = found.flatten() else {
            return false;
        };
        call.place = place.clone();
        self.wait(call, Awaits::Answer(retry.id.clone()));
        true
    }

    /// The call that has become this task.
    pub(crate) fn task(&mut self, task: &str) -> Option<OpenCall> {
        let awaits = Awaits::Task(task.to_owned());
        self.take(|call| call.awaits == awaits)
    }

    /// All that wait for an answer in this exchange, which is over.
    pub(crate) fn of_exchange(&mut self, exchange: u64) -> Vec<OpenCall> {
        self.take_all(|call| {
            call.place.exchange == exchange && matches!(call.awaits, Awaits::Answer(_))
        })
    }

    /// All of a session, which is over.
    pub(crate) fn of_session(&mut self, session: &str) -> Vec<OpenCall> {
        self.take_all(|call| call.place.session.as_deref() == Some(session))
    }

    /// All.
    pub(crate) fn all(&mut self) -> Vec<OpenCall> {
        std::mem::take(&mut self.0)
    }

    /// One of this exchange if there is one, else one of its session.
    fn at(&mut self, place: &Place, is_meant: impl Fn(&OpenCall) -> bool) -> Option<OpenCall> {
        let here = |call: &OpenCall| call.place.exchange == place.exchange && is_meant(call);
        let in_session = |call: &OpenCall| call.place.session == place.session && is_meant(call);
        self.take(here).or_else(|| self.take(in_session))
    }

    fn take(&mut self, is_meant: impl Fn(&OpenCall) -> bool) -> Option<OpenCall> {
        let at = self.0.iter().position(is_meant)?;
        Some(self.0.remove(at))
    }

    fn take_all(&mut self, is_meant: impl Fn(&OpenCall) -> bool) -> Vec<OpenCall> {
        let (taken, left) = self.all().into_iter().partition(is_meant);
        self.0 = left;
        taken
    }
}
