//! The agent's version on the disk: it has to be the one that the lease is for, up to the moment of the start.

use super::RunError;
use crate::agent::Agent;
use crate::manifest::again::Directory;
use crate::manifest::diff;
use crate::program::Program;
use crate::speaker::version::VersionError;
pub(super) use crate::speaker::version::check;
use crate::speaker::{Caller, with_sources};
use crate::transport::Transport;

/// Checks that what would start now is what was checked before asking for permission.
pub(super) fn check_before_start<T: Transport>(
    directory: &mut Directory,
    agent: &Agent<T>,
    program: &Program,
) -> Result<(), RunError> {
    match check(directory, agent) {
        Ok(()) => {}
        Err(VersionError::Agent(error)) => return Err(error.into()),
        Err(VersionError::Manifest(error)) => return Err(error.into()),
    }
    Ok(program.check_again()?)
}

/// What a program has written among the files of its agent makes another version of it, which has no lease.
pub(super) fn tell_what_is_new(directory: &mut Directory, caller: Caller) {
    let before = directory.first().clone();
    match directory.look_again() {
        Ok(now) if now.manifest.hash() == before.manifest.hash() => {}
        Ok(now) => (caller.notice)(&format!(
            "warning: {}: this is another version now, and the lease is not for it. What programs write beside the code \
             goes into `ignore` of agent.toml",
            diff::told(&diff::between(&before, now))
        )),
        Err(error) => (caller.notice)(&format!("warning: {}", with_sources(&error))),
    }
}
