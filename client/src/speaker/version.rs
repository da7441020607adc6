//! The agent's version on the disk, which has to be the one that the lease is for.

use crate::agent::{Agent, AgentError};
use crate::manifest::again::Directory;
use crate::manifest::{ManifestError, diff};
use crate::transport::Transport;

/// Why what is in the directory is not the agent's version.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VersionError {
    /// It is not a version.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// It is another.
    #[error(transparent)]
    Agent(#[from] AgentError),
}

/// That the directory holds the agent's version still.
pub(crate) fn check<T: Transport>(
    directory: &mut Directory,
    agent: &Agent<T>,
) -> Result<(), VersionError> {
    let before = directory.first().clone();
    let now = directory.look_again()?;
    let (got, want) = (now.manifest.hash(), agent.manifest().hash());
    if got == want {
        return Ok(());
    }
    let changes = diff::told(&diff::between(&before, now));
    Err(AgentError::OtherVersion { got, want, changes }.into())
}
