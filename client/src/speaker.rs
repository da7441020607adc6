//! Speaking for an agent while something without a key runs, at the other end of the socket.
//!
//! ```text
//!    log ◄── clerk ◄── jobs ── socket, conversations ◄── JSON lines ── a program, a hook, a server of tools
//!              ├── open: actions without a result; session: what belongs together, with its goal
//!              └── news: the agent's state, or that another process speaks for it
//! ```
//!
//! Nothing here starts, watches or ends a process. What is to become of one when the news are bad, whoever runs it decides.

mod answer;
mod caller;
mod clerk;
mod conversation;
mod goals;
pub mod hostile;
mod life;
mod open;
mod places;
mod prompt;
mod request;
mod session;
mod socket;
mod standing_goal;
mod steps;
pub(crate) mod version;

use std::time::Duration;

pub use caller::{Caller, with_sources};
pub use request::PROTOCOL;
pub(crate) use request::Request;
pub use socket::{SOCKET_VARIABLE, SocketError};

pub(crate) use answer::{Answer, By};
pub(crate) use clerk::{Clerk, Job, News, Stall};
pub(crate) use conversation::{Desk, Reply};
pub(crate) use life::{Closed, Life, Program};
pub(crate) use open::Connection;
pub(crate) use prompt::{Prompt, Unlogged};
pub(crate) use session::Roots;
pub(crate) use socket::Socket;
pub(crate) use standing_goal::StandingGoal;

/// How soon a service that was away is asked again.
pub(crate) const RETRY: Duration = Duration::from_millis(500);
