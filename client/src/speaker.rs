//! Speaking for an agent while something runs that has no key: whoever sits at the other end of the socket.
//!
//! ```text
//!    log ◄── clerk ◄── jobs ── socket ◄── JSON lines ── a program, a hook, a server of tools
//!              └── news: where the agent stands, or that somebody else speaks for it
//! ```
//!
//! Nothing here starts, watches or ends a process. What is to become of one when the news are bad, whoever runs it decides.

mod caller;
mod clerk;
mod life;
mod open;
mod request;
mod socket;
mod standing_goal;

use std::time::Duration;

pub use caller::{Caller, with_sources};
pub use request::{Answer, Request};
pub use socket::{SOCKET_VARIABLE, SocketError};

pub(crate) use clerk::{Clerk, Job, News, Stall};
pub(crate) use life::{Closed, Life};
pub(crate) use open::{Connection, OpenActions};
pub(crate) use socket::Socket;
pub(crate) use standing_goal::StandingGoal;

/// How soon a service that was away is asked again.
pub(crate) const RETRY: Duration = Duration::from_millis(500);
