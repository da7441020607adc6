//! Whether there is room on the disk: what is refused for want of it leaves the log as it is.

use std::sync::Arc;

use store::{Store, StoreError};

use crate::log::Options;
use crate::log::health::{Disk, Status};
use crate::metrics;

/// Watches the disk that the store is on.
pub(super) struct DiskSpace {
    store: Arc<dyn Store>,
    status: Arc<Status>,
    min_free_bytes: u64,
    reserve_bytes: u64,
    disk: Disk,
}

impl DiskSpace {
    pub(super) fn new(store: Arc<dyn Store>, status: Arc<Status>, options: &Options) -> Self {
        Self {
            store,
            status,
            min_free_bytes: options.min_free_bytes,
            reserve_bytes: options.reserve_bytes.min(options.min_free_bytes),
            disk: Disk::HasRoom,
        }
    }

    /// What was found when it was looked last.
    pub(super) const fn disk(&self) -> Disk {
        self.disk
    }

    /// Looks, and tells of a change.
    pub(super) fn look(&mut self) -> Result<Disk, StoreError> {
        let free_bytes = self.store.free_bytes()?;
        let disk = match free_bytes {
            Some(free_bytes) if free_bytes < self.reserve_bytes => Disk::Full,
            Some(free_bytes) if free_bytes < self.min_free_bytes => Disk::NearlyFull,
            Some(_) | None => Disk::HasRoom,
        };
        metrics::free_bytes(free_bytes);
        if disk != self.disk {
            tracing::warn!(
                ?disk,
                free_bytes,
                min_free_bytes = self.min_free_bytes,
                "disk"
            );
        }
        self.disk = disk;
        self.status.disk(disk);
        Ok(disk)
    }
}
