//! Actions that were begun by the socket and have no result yet, and which of them a result means.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use ledger::json::Value;
use ledger::record::ToolUse;
use ledger::scope::Scope;
use ledger::text::{Name, Text};

use super::request::{About, Cancel, ResultRequest};
use super::session::SessionKey;

/// A connection to the socket, by its number.
pub(crate) type Connection = u64;

/// How many actions that have their result are remembered: an action may be told of twice, or late.
const MAX_CLOSED: usize = 1024;

/// The open actions of one life, in the order in which they were begun.
#[derive(Debug, Default)]
pub(crate) struct OpenActions {
    open: Vec<OpenAction>,
    closed: VecDeque<ClosedAction>,
    /// The connections that ever began one.
    began: BTreeSet<Connection>,
}

/// An action that goes on.
#[derive(Clone, Debug)]
pub(crate) struct OpenAction {
    pub(crate) intent: RecordHash,
    pub(crate) doing: Doing,
    /// The answer that its intent got, for whoever asks for the same.
    pub(crate) permit: Value,
    pub(crate) since: Instant,
    /// When its permit lapses, and how long before that it is closed.
    pub(crate) lapses: Instant,
    pub(crate) margin: Duration,
    connection: Connection,
    /// Whether the connection has said nothing since, so that it may not have read its permit.
    is_unread: bool,
}

/// What an action does, and what it is called.
#[derive(Clone, Debug)]
pub(crate) struct Doing {
    pub(crate) goal: RecordHash,
    pub(crate) scope: Scope,
    pub(crate) tool: Option<ToolUse>,
    pub(crate) about: About,
}

/// An action that has its result.
#[derive(Clone, Debug)]
pub(crate) struct ClosedAction {
    pub(crate) intent: RecordHash,
    pub(crate) doing: Doing,
    /// The result, as it was answered.
    pub(crate) answer: Value,
    /// Whether nobody told of it: it was closed because nothing was heard in time.
    pub(crate) was_given_up: bool,
}

/// What a result is about.
#[derive(Debug)]
pub(crate) enum Meant {
    /// Open actions: one, or the parts of one call.
    Open(Vec<RecordHash>),
    /// One that has its result.
    Closed(Box<ClosedAction>),
}

impl OpenActions {
    pub(crate) fn begin(&mut self, mut action: OpenAction) {
        self.began.insert(action.connection);
        action.is_unread = true;
        self.open.push(action);
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn find(&self, intent: RecordHash) -> Option<&OpenAction> {
        self.open.iter().find(|one| one.intent == intent)
    }

    /// The open action that is the same as one that is asked for: a hook and a proxy see one call.
    ///
    /// # Errors
    ///
    /// [`Code::Malformed`] if its name is taken by another action.
    pub(crate) fn same(
        &self,
        about: &About,
        scope: &Scope,
    ) -> Result<Option<&OpenAction>, Refusal> {
        let Some(call) = &about.call else {
            return Ok(None);
        };
        let is_named = |one: &&OpenAction| {
            let known = &one.doing.about;
            known.call.as_ref() == Some(call)
                && known.part == about.part
                && is_one_session(known, about)
        };
        match self.open.iter().find(is_named) {
            Some(one) if one.doing.scope == *scope => Ok(Some(one)),
            Some(one) => {
                let why = format!("the call {call} is open for {}", one.doing.scope);
                Err(Code::Malformed.because(why))
            }
            None => Ok(None),
        }
    }

    /// The connection goes on: it has read what it was answered.
    pub(crate) fn heard_of(&mut self, connection: Connection) {
        for one in self
            .open
            .iter_mut()
            .filter(|one| one.connection == connection)
        {
            one.is_unread = false;
        }
    }

    /// The connection is gone, and its number never comes again.
    pub(crate) fn forget(&mut self, connection: Connection) {
        self.began.remove(&connection);
    }

    /// The actions whose permits a connection that is gone has not read.
    pub(crate) fn unread_by(&self, connection: Connection) -> Vec<RecordHash> {
        let unread = |one: &&OpenAction| one.connection == connection && one.is_unread;
        self.open
            .iter()
            .filter(unread)
            .map(|one| one.intent)
            .collect()
    }

    /// An action has another intent, which was logged in its place.
    pub(crate) fn rename(&mut self, intent: RecordHash, logged: RecordHash) {
        for one in self.open.iter_mut().filter(|one| one.intent == intent) {
            one.intent = logged;
        }
    }

    /// An action has its result.
    pub(crate) fn end(&mut self, intent: RecordHash, answer: Value, was_given_up: bool) {
        let Some(at) = self.open.iter().position(|one| one.intent == intent) else {
            return;
        };
        let one = self.open.remove(at);
        if self.closed.len() >= MAX_CLOSED {
            self.closed.pop_front();
        }
        self.closed.push_back(ClosedAction {
            intent,
            doing: one.doing,
            answer,
            was_given_up,
        });
    }

    /// Somebody has told of an action that was given up.
    pub(crate) fn was_told_late(&mut self, intent: RecordHash) {
        for one in self.closed.iter_mut().filter(|one| one.intent == intent) {
            one.was_given_up = false;
        }
    }

    /// All that is open.
    pub(crate) fn all(&self) -> Vec<RecordHash> {
        self.open.iter().map(|one| one.intent).collect()
    }

    /// All that is open; nothing is any more.
    pub(crate) fn take(&mut self) -> Vec<RecordHash> {
        let open = std::mem::take(&mut self.open).into_iter();
        open.map(|one| one.intent).collect()
    }

    /// What is to be closed by now, before its permit lapses.
    pub(crate) fn due(&self, now: Instant) -> Vec<RecordHash> {
        let is_due = |one: &&OpenAction| one.closes() <= now;
        self.open
            .iter()
            .filter(is_due)
            .map(|one| one.intent)
            .collect()
    }

    /// When the next one is to be closed.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.open.iter().map(OpenAction::closes).min()
    }

    /// Whether anything is open in a session.
    pub(crate) fn has_open(&self, key: &SessionKey) -> bool {
        self.open.iter().any(|one| one.is_in(key))
    }

    /// Whether anything is open that is for a goal.
    pub(crate) fn is_any_for(&self, goal: RecordHash) -> bool {
        self.open.iter().any(|one| one.doing.goal == goal)
    }

    /// What is to be cancelled in a session.
    pub(crate) fn to_cancel(&self, key: &SessionKey, cancel: &Cancel) -> Vec<RecordHash> {
        let is_meant = |one: &&OpenAction| {
            let about = &one.doing.about;
            one.is_in(key)
                && match cancel {
                    Cancel::All => true,
                    Cancel::Turn => about.subagent.is_none(),
                    Cancel::Subagent(subagent) => about.subagent.as_ref() == Some(subagent),
                    Cancel::Calls(calls) => {
                        about.call.as_ref().is_some_and(|call| calls.contains(call))
                    }
                }
        };
        self.open
            .iter()
            .filter(is_meant)
            .map(|one| one.intent)
            .collect()
    }

    /// What a result is about: what it names; else the only open action that this connection began; of a connection
    /// that began none, the only one at all.
    ///
    /// # Errors
    ///
    /// [`Code::IntentUnknown`] if there is none, or more than one.
    pub(crate) fn meant(
        &self,
        result: &ResultRequest,
        connection: Connection,
    ) -> Result<Meant, Refusal> {
        if let Some(intent) = result.intent {
            let closed = self.closed.iter().rev().find(|one| one.intent == intent);
            return Ok(match closed {
                Some(closed) => Meant::Closed(Box::new(closed.clone())),
                None => Meant::Open(vec![intent]),
            });
        }
        if result.call.is_none() && result.pair.is_none() {
            return self
                .meant_on(connection)
                .map(|intent| Meant::Open(vec![intent]));
        }
        let is_meant = |doing: &Doing| is_named_by(&doing.about, result);
        let mut open: Vec<RecordHash> = self
            .open
            .iter()
            .filter(|one| is_meant(&one.doing))
            .map(|one| one.intent)
            .collect();
        if result.call.is_none() {
            open.truncate(1);
        }
        if !open.is_empty() {
            return Ok(Meant::Open(open));
        }
        // Of several that had the name in turn the last was told of, or the first was given up.
        let mut closed = self.closed.iter().filter(|one| is_meant(&one.doing));
        let given_up = closed.clone().find(|one| one.was_given_up);
        let closed = given_up.or_else(|| closed.next_back());
        let closed = closed.map(|one| Meant::Closed(Box::new(one.clone())));
        closed.ok_or_else(|| self.unknown("the result names none of them", self.open.iter()))
    }

    fn meant_on(&self, connection: Connection) -> Result<RecordHash, Refusal> {
        let has_begun = self.began.contains(&connection);
        let is_meant = |one: &&OpenAction| !has_begun || one.connection == connection;
        let mut meant = self.open.iter().filter(is_meant);
        match (meant.clone().count(), meant.next()) {
            (1, Some(only)) => Ok(only.intent),
            (0, _) if has_begun => {
                Err(Code::IntentUnknown.because("no intent of this connection is open"))
            }
            (0, _) => Err(Code::IntentUnknown.because("no intent is open")),
            _ => Err(self.unknown(
                "the result has to name its intent",
                self.open.iter().filter(is_meant),
            )),
        }
    }

    fn unknown<'a>(&self, why: &str, open: impl Iterator<Item = &'a OpenAction>) -> Refusal {
        let names: Vec<String> = open.map(|one| one.intent.to_string()).collect();
        Code::IntentUnknown.because(match names.is_empty() {
            true => "no intent is open".to_owned(),
            false => format!("{why}, one of {}", names.join(", ")),
        })
    }
}

impl OpenAction {
    pub(crate) fn new(
        intent: RecordHash,
        connection: Connection,
        doing: Doing,
        permit: Value,
        permitted: Duration,
    ) -> Self {
        /// The result is to be in the log before the permit lapses.
        const LOGGING: Duration = Duration::from_secs(2);
        let since = Instant::now();
        Self {
            intent,
            doing,
            permit,
            since,
            lapses: since + permitted,
            margin: LOGGING.min(permitted / 4),
            connection,
            is_unread: true,
        }
    }

    fn closes(&self) -> Instant {
        self.lapses - self.margin
    }

    /// The session that it belongs to.
    pub(crate) fn session(&self) -> SessionKey {
        SessionKey::of(self.doing.about.session.as_ref(), self.connection)
    }

    fn is_in(&self, key: &SessionKey) -> bool {
        self.session() == *key
    }
}

impl Doing {
    /// What its result refers to: the names by which it is joined with what others saw of it.
    pub(crate) fn refs(&self) -> Vec<(Name, Text)> {
        let about = &self.about;
        let session = about.session.as_ref();
        let host = session.and_then(|name| name.host.as_ref());
        let host = host.and_then(|host| host.as_str().parse().ok());
        let known = [
            ("call", about.call.clone()),
            ("session", session.map(|name| name.session.clone())),
            ("host", host),
            ("subagent", about.subagent.clone()),
        ];
        let known = known
            .into_iter()
            .filter_map(|(name, text)| Some((name.parse().ok()?, text?)));
        merged(about.refs.clone(), known)
    }
}

/// References, and those of `more` whose names are not taken.
pub(crate) fn merged(
    mut refs: Vec<(Name, Text)>,
    more: impl IntoIterator<Item = (Name, Text)>,
) -> Vec<(Name, Text)> {
    for (name, text) in more {
        if refs.iter().all(|(taken, _)| *taken != name) {
            refs.push((name, text));
        }
    }
    refs
}

/// Whether two lines may be of one session: a proxy does not know that of the host.
fn is_one_session(one: &About, other: &About) -> bool {
    match (&one.session, &other.session) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

fn is_named_by(about: &About, result: &ResultRequest) -> bool {
    let is_in = match (&about.session, &result.session) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    let has = |own: &Option<Text>, named: &Option<Text>| named.is_none() || own == named;
    is_in && has(&about.call, &result.call) && has(&about.pair, &result.pair)
}

#[cfg(test)]
mod tests;
