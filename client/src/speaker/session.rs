//! Sessions: what belongs together at a host. Each has one goal at a time, which opens with its first action.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;
use ledger::json::{Members, Value, parsed};
use ledger::text::{Name, Text};

use super::Connection;

/// How many roots are kept: sessions come and go, and a host has few at a time.
const MAX_ROOTS: usize = 1024;

/// A session as its host names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionName {
    /// The host, for each has names of its own.
    pub(crate) host: Option<Name>,
    /// The host's name for the session.
    pub(crate) session: Text,
}

/// What has a goal of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SessionKey {
    /// A session that is named.
    Named(SessionName),
    /// A connection that names none.
    Connection(Connection),
}

/// The sessions that a speaker knows, with their goals.
#[derive(Debug, Default)]
pub(crate) struct Sessions(BTreeMap<SessionKey, Session>);

#[derive(Debug)]
struct Session {
    goal: Option<RecordHash>,
    last: Instant,
}

/// Where sessions work. It is shared by all connections, and answers even while the log does not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roots {
    known: Arc<Mutex<BTreeMap<SessionName, Text>>>,
    /// The directory that holds what the agent is, and what warns of a session that works there.
    own: Option<(PathBuf, Warn)>,
}

/// Says something to the person who runs this.
type Warn = fn(&str);

impl SessionName {
    /// Takes `session` and `host` out of a line.
    pub(super) fn read(members: &mut Members) -> Result<Option<Self>, Refusal> {
        let mut given = |name| {
            members
                .take_if_present(name)
                .filter(|value| *value != Value::Null)
        };
        let (session, host) = (given("session"), given("host"));
        let host: Option<Name> = host.map(|host| parsed("host", host)).transpose()?;
        match (session, host) {
            (Some(session), host) => Ok(Some(Self {
                host,
                session: super::request::short("session", session)?,
            })),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Code::Malformed.because("a host is named, and no session")),
        }
    }
}

impl SessionKey {
    /// The key of what a line names, on a connection.
    pub(crate) fn of(named: Option<&SessionName>, connection: Connection) -> Self {
        named.map_or(Self::Connection(connection), |name| {
            Self::Named(name.clone())
        })
    }
}

impl Sessions {
    /// Takes note that something was heard of a session.
    pub(crate) fn touch(&mut self, key: &SessionKey) {
        let goal = None;
        let new = || Session {
            goal,
            last: Instant::now(),
        };
        self.0.entry(key.clone()).or_insert_with(new).last = Instant::now();
    }

    /// The open goal of a session.
    pub(crate) fn goal(&self, key: &SessionKey) -> Option<RecordHash> {
        self.0.get(key).and_then(|session| session.goal)
    }

    /// Gives a session its goal.
    pub(crate) fn set_out(&mut self, key: &SessionKey, goal: RecordHash) {
        self.touch(key);
        if let Some(session) = self.0.get_mut(key) {
            session.goal = Some(goal);
        }
    }

    /// A goal has its outcome.
    pub(crate) fn end_goal(&mut self, goal: RecordHash) {
        for session in self.0.values_mut() {
            session.goal = session.goal.filter(|open| *open != goal);
        }
    }

    /// Forgets a session, whose goal has its outcome.
    pub(crate) fn forget(&mut self, key: &SessionKey) {
        self.0.remove(key);
    }

    /// Sessions that have been silent for so long.
    pub(crate) fn silent_for(&self, span: Duration) -> Vec<SessionKey> {
        let silent = self
            .0
            .iter()
            .filter(|(_, session)| session.last.elapsed() >= span);
        silent.map(|(key, _)| key.clone()).collect()
    }

    /// When the first session that has a goal will have been silent for so long.
    pub(crate) fn next_silent(&self, span: Duration) -> Option<Instant> {
        let with_goals = self.0.values().filter(|session| session.goal.is_some());
        with_goals.map(|session| session.last + span).min()
    }

    /// Whether any has a goal.
    pub(crate) fn has_goals(&self) -> bool {
        self.0.values().any(|session| session.goal.is_some())
    }

    /// All open goals; none is open any more.
    pub(crate) fn take_goals(&mut self) -> Vec<RecordHash> {
        let sessions = std::mem::take(&mut self.0).into_values();
        sessions.filter_map(|session| session.goal).collect()
    }
}

impl Roots {
    /// Roots beside the directory that holds what the agent is: a session that edits that makes another version of it.
    pub(crate) fn beside(directory: &Path, warn: fn(&str)) -> Self {
        Self {
            own: directory.canonicalize().ok().map(|own| (own, warn)),
            ..Self::default()
        }
    }

    /// Where a session works: what it named first, or what is named now.
    pub(crate) fn pin(&self, session: &SessionName, root: Option<&Text>) -> Option<Text> {
        let mut roots = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(root) = root
            && !roots.contains_key(session)
        {
            if roots.len() >= MAX_ROOTS {
                roots.pop_first();
            }
            roots.insert(session.clone(), root.clone());
            self.warn_of(root.as_str());
        }
        roots.get(session).cloned()
    }

    fn warn_of(&self, root: &str) {
        let Some((own, warn)) = &self.own else {
            return;
        };
        let root = Path::new(root);
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        if root.starts_with(own) || own.starts_with(&root) {
            warn(&format!(
                "warning: a session works in {root:?}, and {own:?} defines the agent: an edit there makes another version of it"
            ));
        }
    }

    /// The session is over.
    pub(crate) fn forget(&self, session: &SessionName) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(host: Option<&str>, session: &str) -> SessionName {
        SessionName {
            host: host.map(|host| host.parse().unwrap()),
            session: session.parse().unwrap(),
        }
    }

    #[test]
    fn the_first_root_of_a_session_stays_its_root() {
        let (roots, one) = (Roots::default(), name(Some("codex"), "s"));
        let text = |text: &str| -> Text { text.parse().unwrap() };
        assert_eq!(roots.pin(&one, None), None);
        assert_eq!(roots.pin(&one, Some(&text("/a"))), Some(text("/a")));
        assert_eq!(roots.pin(&one, Some(&text("/b"))), Some(text("/a")));
        let other = name(Some("claude-code"), "s");
        assert_eq!(roots.pin(&other, Some(&text("/b"))), Some(text("/b")));
        roots.forget(&one);
        assert_eq!(roots.pin(&one, Some(&text("/c"))), Some(text("/c")));
    }

    #[test]
    fn a_goal_that_has_its_outcome_is_no_sessions_any_more() {
        let mut sessions = Sessions::default();
        let goal: RecordHash = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        let key = SessionKey::of(Some(&name(None, "s")), 1);
        assert_ne!(key, SessionKey::of(None, 1));
        sessions.set_out(&key, goal);
        assert_eq!(sessions.goal(&key), Some(goal));
        sessions.end_goal(goal);
        assert_eq!(sessions.goal(&key), None);
        assert_eq!(sessions.silent_for(Duration::ZERO), [key]);
    }
}
