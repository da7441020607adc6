//! How much of what was sent may be in memory at once.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All bodies that are being read or decoded, in KiB: 96 MiB as they come.
const MAX_BODIES_KIB: u32 = 96 * 1024;

/// How many bodies are decoded at once, each of up to 64 MiB once it is inflated; messages are several times that.
const MAX_DECODED: usize = 2;

/// What a body without a length is taken for, in KiB, until it is known.
const UNKNOWN_KIB: u32 = 2 * 1024;

/// Places for bodies.
#[derive(Debug)]
pub(super) struct Budget {
    bodies: Arc<Semaphore>,
    decoders: Arc<Semaphore>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            bodies: Arc::new(Semaphore::new(MAX_BODIES_KIB as usize)),
            decoders: Arc::new(Semaphore::new(MAX_DECODED)),
        }
    }
}

impl Budget {
    /// A place for a body of this length, if there is one.
    pub(super) fn place(&self, headers: &HeaderMap) -> Option<OwnedSemaphorePermit> {
        let bodies = Arc::clone(&self.bodies);
        bodies.try_acquire_many_owned(kib(headers)).ok()
    }

    /// A place for a body of this length, once there is one.
    pub(super) async fn wait(&self, headers: &HeaderMap) -> Option<OwnedSemaphorePermit> {
        let bodies = Arc::clone(&self.bodies);
        bodies.acquire_many_owned(kib(headers)).await.ok()
    }

    /// A turn to decode.
    pub(super) async fn decode(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.decoders).acquire_owned().await.ok()
    }
}

fn kib(headers: &HeaderMap) -> u32 {
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
    let kib = length.map(|it| u32::try_from(it.div_ceil(1024)).unwrap_or(u32::MAX));
    kib.unwrap_or(UNKNOWN_KIB).clamp(1, MAX_BODIES_KIB)
}
