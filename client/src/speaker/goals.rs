//! Goals that a line has set out for and that are of no session. Whoever set out for one holds it open; once its
//! connection is gone, and nobody goes on with it, nobody will say what came of it.

use std::time::{Duration, Instant};

use ledger::digest::RecordHash;

use super::open::Connection;

/// The open goals of one life that are of no session.
#[derive(Debug, Default)]
pub(crate) struct Goals(Vec<Goal>);

#[derive(Debug)]
struct Goal {
    record: RecordHash,
    /// Who works for it; `None` once that is gone.
    holder: Option<Connection>,
    /// When something was heard of it last.
    last: Instant,
}

impl Goals {
    /// A connection sets out for a goal.
    pub(crate) fn set_out(&mut self, record: RecordHash, connection: Connection) {
        self.0.push(Goal {
            record,
            holder: Some(connection),
            last: Instant::now(),
        });
    }

    /// A connection acts for a goal, and so holds it.
    pub(crate) fn act(&mut self, record: RecordHash, connection: Connection) {
        for goal in self.0.iter_mut().filter(|goal| goal.record == record) {
            goal.holder = Some(connection);
            goal.last = Instant::now();
        }
    }

    /// Something was heard of a goal.
    pub(crate) fn touch(&mut self, record: RecordHash) {
        for goal in self.0.iter_mut().filter(|goal| goal.record == record) {
            goal.last = Instant::now();
        }
    }

    /// A connection is gone.
    pub(crate) fn leave(&mut self, connection: Connection) {
        for goal in &mut self.0 {
            if goal.holder == Some(connection) {
                goal.holder = None;
                goal.last = Instant::now();
            }
        }
    }

    /// Goals that nobody holds, of which nothing was heard for so long.
    pub(crate) fn left_for(&self, span: Duration) -> Vec<RecordHash> {
        let left = self.left().filter(|goal| goal.last.elapsed() >= span);
        left.map(|goal| goal.record).collect()
    }

    /// When that will be true of the first.
    pub(crate) fn next_left(&self, span: Duration) -> Option<Instant> {
        self.left().map(|goal| goal.last + span).min()
    }

    fn left(&self) -> impl Iterator<Item = &Goal> {
        self.0.iter().filter(|goal| goal.holder.is_none())
    }

    /// A goal has its outcome.
    pub(crate) fn end(&mut self, record: RecordHash) {
        self.0.retain(|goal| goal.record != record);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them; none is open any more.
    pub(crate) fn take(&mut self) -> Vec<RecordHash> {
        let goals = std::mem::take(&mut self.0).into_iter();
        goals.map(|goal| goal.record).collect()
    }
}

#[cfg(test)]
mod tests {
    use ledger::digest::Digest;

    use super::*;

    #[test]
    fn a_goal_is_held_by_whoever_acts_for_it_and_left_when_that_is_gone() {
        let record = |n: u8| RecordHash::new(Digest::of(&[&[n]]));
        let (mut goals, now) = (Goals::default(), Duration::ZERO);
        goals.set_out(record(1), 1);
        goals.set_out(record(2), 1);
        goals.act(record(2), 2);
        assert_eq!(goals.left_for(now), []);
        goals.leave(1);
        assert_eq!(goals.left_for(now), [record(1)]);
        assert_eq!(goals.left_for(Duration::from_secs(60)), []);
        assert!(goals.next_left(now).is_some());
        goals.act(record(1), 3);
        assert_eq!(goals.left_for(now), [], "another goes on with it");
        goals.leave(2);
        goals.end(record(2));
        assert_eq!(goals.take(), [record(1)]);
        assert!(goals.is_empty());
    }
}
