//! The reading of the socket's lines as plain functions, for fuzzing with hostile bytes.

use ledger::codes::Refusal;

use super::conversation::read_line;
use super::request::MEMBERS;

/// What a line says, in words that are the same for lines that say the same.
///
/// # Errors
///
/// The codes of form.
pub fn understand(line: &[u8]) -> Result<String, Refusal> {
    let (id, request) = read_line(line.trim_ascii())?;
    Ok(format!("{id:?} {:?}", request?))
}

/// The members that a kind of line may have, as `hello` tells them; `None` if there is no such kind.
#[must_use]
pub fn members(kind: &str) -> Option<&'static [&'static str]> {
    let told = MEMBERS.iter().find(|(name, _)| *name == kind);
    told.map(|(_, members)| *members)
}
