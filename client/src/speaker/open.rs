//! Actions that were begun by the socket and have no result yet, and which of them a result without a name closes.

use std::collections::BTreeSet;
use std::time::Instant;

use ledger::codes::{Code, Refusal};
use ledger::digest::RecordHash;

/// A connection to the socket, by its number.
pub(crate) type Connection = u64;

/// The open actions of one life, in the order in which they were begun.
#[derive(Debug, Default)]
pub(crate) struct OpenActions {
    open: Vec<OpenAction>,
    /// The connections that ever began one.
    began: BTreeSet<Connection>,
}

#[derive(Debug)]
struct OpenAction {
    intent: RecordHash,
    connection: Connection,
    since: Instant,
}

impl OpenActions {
    pub(crate) fn begin(&mut self, intent: RecordHash, connection: Connection) {
        self.began.insert(connection);
        self.open.push(OpenAction {
            intent,
            connection,
            since: Instant::now(),
        });
    }

    /// Since when an action goes on; `None` if it is not open.
    pub(crate) fn since(&self, intent: RecordHash) -> Option<Instant> {
        let mut open = self.open.iter();
        open.find(|one| one.intent == intent).map(|one| one.since)
    }

    pub(crate) fn end(&mut self, intent: RecordHash) {
        self.open.retain(|one| one.intent != intent);
    }

    /// All that is open; nothing is any more.
    pub(crate) fn take(&mut self) -> Vec<RecordHash> {
        let open = std::mem::take(&mut self.open).into_iter();
        open.map(|one| one.intent).collect()
    }

    /// The action that a result without a name is about: the only open one that this connection began; of a connection
    /// that began none, the only one at all.
    ///
    /// # Errors
    ///
    /// [`Code::IntentUnknown`] if there is none, or more than one.
    pub(crate) fn meant_on(&self, connection: Connection) -> Result<RecordHash, Refusal> {
        let has_begun = self.began.contains(&connection);
        let is_meant = |one: &&OpenAction| !has_begun || one.connection == connection;
        let meant: Vec<RecordHash> = self
            .open
            .iter()
            .filter(is_meant)
            .map(|one| one.intent)
            .collect();
        match (meant.as_slice(), has_begun) {
            ([only], _) => Ok(*only),
            ([], true) => Err(Code::IntentUnknown.because("no intent of this connection is open")),
            ([], false) => Err(Code::IntentUnknown.because("no intent is open")),
            (several, _) => {
                let names: Vec<String> = several.iter().map(ToString::to_string).collect();
                let names = names.join(", ");
                let which = format!("the result has to name its intent, one of {names}");
                Err(Code::IntentUnknown.because(which))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u8) -> RecordHash {
        format!("sha256:{}", format!("{n:02x}").repeat(32))
            .parse()
            .unwrap()
    }

    #[test]
    fn a_result_without_a_name_is_about_the_only_action_of_its_connection() {
        let mut open = OpenActions::default();
        let (one, two, three) = (hash(1), hash(2), hash(3));
        assert!(open.meant_on(1).is_err(), "nothing is open");
        open.begin(one, 1);
        assert_eq!(open.meant_on(1), Ok(one));
        assert_eq!(open.meant_on(2), Ok(one), "another that began none");
        open.begin(two, 2);
        assert_eq!((open.meant_on(1), open.meant_on(2)), (Ok(one), Ok(two)));
        let refused = open.meant_on(3).unwrap_err();
        assert!(refused.detail.contains(&one.to_string()), "{refused}");
        assert!(refused.detail.contains(&two.to_string()), "{refused}");
        open.end(one);
        assert!(open.meant_on(1).is_err(), "that of another is not meant");
        assert_eq!(open.meant_on(3), Ok(two));
        open.begin(three, 2);
        let refused = open.meant_on(2).unwrap_err();
        assert!(refused.detail.contains(&three.to_string()), "{refused}");
        assert!(open.since(two).is_some() && open.since(one).is_none());
        assert_eq!(open.take(), [two, three]);
    }
}
