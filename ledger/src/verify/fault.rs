//! At whose fault something is, by what the log's signature covers.
//!
//! The log answers for what is in its tree, and for nothing else: text can be damaged on the way, a producer can leave
//! out or cut, and a reader can bring the trust of another log. None of that is told from evidence alone, so none of it is
//! laid to anybody by name.
//!
//! | what is wrong | whose fault it is |
//! | --- | --- |
//! | a leaf that is shown to be in the tree | the log, which admitted it, or whoever signed it |
//! | the same in a leaf that is not shown to be | unknown: whoever made the evidence or passed it on |
//! | a hash, a checkpoint, a signature on it, a spelling | unknown |
//! | which log a record is of, where the pinned charter is not there | unknown: the reader may have the wrong trust |
//! | what a pack says about itself, and records that it lacks | the producer |

use crate::codes::{Code, Group, Party};

/// How much of the evidence is shown to be the log's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// The leaf, by a proof; that the tree is that of the charter which the trust pins, is not.
    Leaf,
    /// The leaf, in a tree that begins with that charter.
    Log,
}

/// At whose fault it is that the evidence itself is not what it should be.
pub(super) const fn of_evidence(code: Code) -> Party {
    match code.group() {
        Group::Form => Party::Unknown,
        _ => code.party(),
    }
}

/// At whose fault it is what a leaf of the tree shows by itself.
pub(super) const fn of_leaf(code: Code, shown: Shown) -> Party {
    match (code, code.group(), shown) {
        (Code::OriginMismatch, _, Shown::Leaf) => Party::Unknown,
        (_, Group::Form | Group::Signature, _) => Party::Log,
        _ => code.party(),
    }
}

/// At whose fault it is that a signature does not count, where records may have been left out: only what is wrong whatever
/// they say is the log's.
pub(super) const fn of_signature_in_a_part(code: Code) -> Party {
    match code {
        Code::SignatureInvalid | Code::KeyRepeated => Party::Log,
        _ => Party::Producer,
    }
}
