//! Commitments: digests that say "I knew this value" without telling it.
//!
//! The digest of `"dragons/commitment/v1" ‖ 0x00 ‖ salt ‖ agent ‖ 0x00 ‖ name ‖ 0x00 ‖ value`.
//! The salt keeps a short value from being guessed; agent and name keep a commitment from being
//! moved to another place.

use crate::digest::Digest;
use crate::text::Name;

/// The bytes of a salt. It comes from outside: this crate draws no random numbers.
pub const SALT_BYTES: usize = 32;

/// Commits an agent to the value of one of its inputs or outputs.
///
/// ```
/// use ledger::commitment::commit;
/// let agent = "reconciler".parse()?;
/// let name = "file".parse()?;
/// let digest = commit(&[0; 32], &agent, &name, b"s3://books/2026-11.csv");
/// assert!(digest.to_string().starts_with("sha256:297287f6"));
/// # Ok::<(), ledger::codes::Refusal>(())
/// ```
pub fn commit(salt: &[u8; SALT_BYTES], agent: &Name, name: &Name, value: &[u8]) -> Digest {
    let (agent, name) = (agent.as_str().as_bytes(), name.as_str().as_bytes());
    Digest::of(&[
        b"dragons/commitment/v1\0",
        salt,
        agent,
        b"\0",
        name,
        b"\0",
        value,
    ])
}
