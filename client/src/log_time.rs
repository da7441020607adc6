//! The log's time, for who signs without a chain. A log whose clock was once ahead goes on in a time of its own, and takes
//! what is dated in it.

use tlog::LeafIndex;
use tlog::checkpoint::SignedCheckpoint;

use crate::entry::Entry;
use crate::http::Service;
use crate::identity::LogIdentity;

/// The later of one's own clock and the time of the log's newest entry, which its proof shows. Without an answer it is
/// one's own clock: whoever stops an agent does not fail for want of a look at the time.
pub fn later(service: &Service, log: &LogIdentity, now_ms: u64) -> u64 {
    now_ms.max(newest_ms(service, log).unwrap_or_default())
}

fn newest_ms(service: &Service, log: &LogIdentity) -> Option<u64> {
    let head = SignedCheckpoint::parse(&service.checkpoint().ok()?).ok()?;
    let last = head.unverified().size.get().checked_sub(1)?;
    let last = LeafIndex::new(last);
    let entry = Entry::open(&service.proof(last, None).ok()?, last, log).ok()?;
    Some(entry.received_ms())
}
