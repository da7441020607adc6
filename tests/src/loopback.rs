//! Addresses of this machine that no other test uses.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

/// An address of loopback of the caller's own. A service that is started again where it was has to find its port free:
/// of an address that others use, the system may have given it to a connection meanwhile.
pub fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let n = NEXT.fetch_add(1, Ordering::Relaxed) % 255;
    let below = (std::process::id() % (1 << 16)) << 8 | n;
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 0, 0, 0).to_bits() | below)
}
