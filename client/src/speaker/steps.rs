//! How many steps were made: each session counts its own, and the agent's are their sum.

use std::collections::BTreeMap;

use super::session::SessionName;

/// How many sessions are counted apart; those beyond count together with whoever names none.
const MAX_SESSIONS: usize = 1024;

/// The steps of one life. Their sum never goes back.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    /// Of whoever names no session: the most that one of them has said.
    unnamed: Option<u64>,
    sessions: BTreeMap<SessionName, u64>,
    /// Of sessions that are over.
    over: u64,
}

impl Steps {
    /// Somebody says how far it has got.
    pub(crate) fn count(&mut self, session: Option<SessionName>, steps: u64) {
        let room = self.sessions.len() < MAX_SESSIONS;
        match session.filter(|name| room || self.sessions.contains_key(name)) {
            Some(name) => {
                let most = self.sessions.entry(name).or_default();
                *most = (*most).max(steps);
            }
            None => self.unnamed = Some(self.unnamed.unwrap_or(0).max(steps)),
        }
    }

    /// A session is over, and what it has made stays made.
    pub(crate) fn end(&mut self, session: &SessionName) {
        let made = self.sessions.remove(session).unwrap_or_default();
        self.over = self.over.saturating_add(made);
    }

    /// All steps; `None` if nobody has ever told of any.
    pub(crate) fn total(&self) -> Option<u64> {
        let is_told = self.unnamed.is_some() || !self.sessions.is_empty() || self.over > 0;
        let named = self
            .sessions
            .values()
            .fold(self.over, |sum, steps| sum.saturating_add(*steps));
        is_told.then(|| named.saturating_add(self.unnamed.unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(session: &str) -> SessionName {
        SessionName {
            host: None,
            session: session.parse().unwrap(),
        }
    }

    #[test]
    fn each_session_counts_its_own_and_whoever_names_none_counts_together() {
        let mut steps = Steps::default();
        assert_eq!(steps.total(), None);
        for (session, made, total) in [
            (None, 5, 5),
            (None, 3, 5),
            (Some("a"), 7, 12),
            (Some("b"), 1, 13),
            (Some("a"), 6, 13),
            (Some("b"), 2, 14),
        ] {
            steps.count(session.map(name), made);
            assert_eq!(steps.total(), Some(total), "{session:?} {made}");
        }
        steps.end(&name("a"));
        steps.end(&name("never"));
        assert_eq!(steps.total(), Some(14), "what was made stays made");
    }

    #[test]
    fn sessions_without_number_are_counted_all_the_same() {
        let mut steps = Steps::default();
        for n in 0..MAX_SESSIONS + 10 {
            steps.count(Some(name(&n.to_string())), 1);
        }
        assert_eq!(steps.sessions.len(), MAX_SESSIONS);
        assert_eq!(steps.total(), Some(MAX_SESSIONS as u64 + 1));
    }
}
