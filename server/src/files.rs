//! How many files the process may have open, and who gets how many.
//!
//! A connection is a file, and so is each table of the store. Whoever connects takes nothing from the store: its share is
//! set aside before the first connection is let in.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The fewest files with which a service starts: the store's least share, and connections for a few agents.
const FLOOR: u64 = 256;

/// What is counted on where nothing bounds the number of files.
const BOUNDLESS: u64 = 1 << 20;

/// What the process itself has open: its streams, timers and listeners, webhooks, the inbox.
const OWN: u64 = 48;

/// The store's least share: its diary, its log, and a table or two of each family while they are merged.
const LEAST_OF_STORE: u64 = 96;

/// The store's largest share: a terabyte of tables.
const MOST_OF_STORE: u64 = 16_384;

/// The largest share of connections: what can be served at once besides, and some tens of MiB of buffers.
const MOST_CONNECTIONS: u64 = 4_096;

/// The largest share of operators, on the listener for metrics.
const MOST_OPERATORS: u64 = 64;

/// The files that the process may have open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Files(u64);

/// There are too few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the process may have {got} files open and needs {FLOOR}: raise the hard limit (ulimit -Hn, LimitNOFILE= of systemd)"
)]
pub struct TooFewFiles {
    got: u64,
}

impl Files {
    /// Raises the limit of this process as far as it may.
    ///
    /// # Errors
    /// [`TooFewFiles`] if that is not far enough.
    pub fn raise() -> Result<Self, TooFewFiles> {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: maximum,
            maximum,
        };
        // Where it may not be raised, what is in force counts.
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files could not be raised");
        }
        let got = getrlimit(Resource::Nofile).current.unwrap_or(BOUNDLESS);
        Self::of(got)
    }

    fn of(got: u64) -> Result<Self, TooFewFiles> {
        match got >= FLOOR {
            true => Ok(Self(got)),
            false => Err(TooFewFiles { got }),
        }
    }

    /// How many there are.
    #[must_use]
    pub const fn all(self) -> u64 {
        self.0
    }

    /// The store's share.
    #[must_use]
    pub fn of_store(self) -> u64 {
        (self.0 / 4).clamp(LEAST_OF_STORE, MOST_OF_STORE)
    }

    /// The share of connections to the API.
    #[must_use]
    pub fn of_connections(self) -> usize {
        let rest = self.0 - OWN - self.of_store() - self.of_operators() as u64;
        usize::try_from(rest.min(MOST_CONNECTIONS)).expect("a few thousand fit")
    }

    /// The share of connections to the listener for metrics.
    #[must_use]
    pub fn of_operators(self) -> usize {
        usize::try_from((self.0 / 16).min(MOST_OPERATORS)).expect("a few dozen fit")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_fit_into_whatever_there_is() {
        Files::of(FLOOR - 1).unwrap_err();
        for all in [FLOOR, 300, 512, 1_024, 4_096, 65_536, 1 << 20, 1 << 40] {
            let files = Files::of(all).unwrap();
            let connections = (files.of_connections() + files.of_operators()) as u64;
            assert!(files.of_store() + connections + OWN <= all, "{all}");
            assert!(files.of_connections() >= 90, "{all}");
            assert!(files.of_operators() >= 16, "{all}");
        }
    }
}
