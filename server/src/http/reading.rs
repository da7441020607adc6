//! Reads of the store, kept off the threads that serve connections.

use super::problem::Problem;
use crate::log::ReadError;

/// Runs a read where it may wait for the disk.
///
/// # Errors
/// Those of the read; `internal` if it panicked.
pub(super) async fn run<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(read)
        .await
        .map_err(Problem::internal)?
}

/// What a caller may ask for and did not get is its own fault; a store that does not give back what was put
/// into it is ours, and every cause of it goes into our log.
impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        let mut refusal = error.refusal();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            refusal.detail = format!("{}: {error}", refusal.detail);
            cause = error.source();
        }
        refusal.into()
    }
}
