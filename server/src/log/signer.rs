//! Who signs heads. Whoever reads has the verifying key alone: an old head is found in the store, never signed again.

use tlog::checkpoint::{self, Checkpoint, Origin};
use tlog::note::{SigningKey, VerifierKey};
use tlog::{Hash, TreeSize};

/// Signs the heads of one log.
#[derive(Debug)]
pub(super) struct Signer(SigningKey);

impl Signer {
    /// The signer of the log that the key is named after.
    pub(super) const fn new(key: SigningKey) -> Self {
        Self(key)
    }

    /// The key by which its signatures verify.
    pub(super) fn verifier_key(&self) -> VerifierKey {
        self.0.verifier_key()
    }

    /// The signed checkpoint of a tree. It must not leave the process before it is durable.
    pub(super) fn sign(&self, size: TreeSize, root: Hash) -> String {
        let origin = Origin::from(self.0.verifier_key().name().clone());
        checkpoint::sign(&self.0, &Checkpoint::new(origin, size, root))
    }
}
