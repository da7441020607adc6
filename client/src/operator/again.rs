//! Whether a record says what another said before: everything but when.
//!
//! Nothing may have been decided between them. A lease that was granted, lost sight of, and revoked since is not granted
//! again by the bytes that granted it then.

use ledger::digest::RecordHash;
use ledger::record::{Body, Lease, LeaseRenewal, Order, Registration, SignedRecord};

/// Whether `now` says what `earlier` said, to the same effect, by the same keys.
pub(super) fn says_the_same(earlier: &SignedRecord, now: &SignedRecord) -> bool {
    let signers = |record: &SignedRecord| -> Vec<_> {
        let signatures = record.envelope().signatures().iter();
        signatures.map(|signature| signature.keyid).collect()
    };
    signers(earlier) == signers(now) && same_body(earlier, now)
}

fn same_body(earlier: &SignedRecord, now: &SignedRecord) -> bool {
    let (then_ms, now_ms) = (earlier.record().at_ms, now.record().at_ms);
    let is_next =
        |was: Option<RecordHash>, is: Option<RecordHash>| was == is || is == Some(earlier.hash());
    match (&earlier.record().body, &now.record().body) {
        (Body::Lease(was), Body::Lease(is)) => {
            is_next(was.after, is.after)
                && span(was) == span(is)
                && has_most_left(was.expires_ms, is.expires_ms, now_ms)
                && **was == with_times_of(is, was)
        }
        (Body::LeaseRenewal(was), Body::LeaseRenewal(is)) => {
            let asked = |it: &LeaseRenewal, at_ms| it.expires_ms.saturating_sub(at_ms);
            was.lease == is.lease
                && asked(was, then_ms) == asked(is, now_ms)
                && (was.from_ms == is.from_ms || was.expires_ms == is.from_ms)
                && has_most_left(was.expires_ms, is.expires_ms, now_ms)
        }
        (Body::LeaseRevocation(was), Body::LeaseRevocation(is)) => was == is,
        (Body::Order(was), Body::Order(is)) => {
            let with_after = Order {
                after: was.after,
                ..is.clone()
            };
            is_next(was.after, is.after) && *was == with_after
        }
        (Body::Manifest(was), Body::Manifest(is)) => {
            let with_replaces = Registration {
                replaces: was.replaces,
                ..(**is).clone()
            };
            is_next(was.replaces, is.replaces) && **was == with_replaces
        }
        _ => false,
    }
}

fn span(lease: &Lease) -> (u64, Option<u64>) {
    let from = |ms: u64| ms.saturating_sub(lease.not_before_ms);
    (from(lease.expires_ms), lease.renew_until_ms.map(from))
}

fn with_times_of(lease: &Lease, other: &Lease) -> Lease {
    Lease {
        not_before_ms: other.not_before_ms,
        expires_ms: other.expires_ms,
        renew_until_ms: other.renew_until_ms,
        after: other.after,
        ..lease.clone()
    }
}

/// Whoever asks for an hour does not want the last ten minutes of one that was asked for before.
fn has_most_left(was_ms: u64, is_ms: u64, now_ms: u64) -> bool {
    let left = was_ms.saturating_sub(now_ms);
    let asked = is_ms.saturating_sub(now_ms);
    left >= asked - asked / 10
}
