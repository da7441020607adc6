//! A proxy of the [Model Context Protocol](https://modelcontextprotocol.io/specification) between a client, which is an
//! agent's host, and a server, which has tools.
//!
//! ```text
//!            ┌── leave? ──▶ governor ◀── what came of it ──┐
//!            │                                             │
//! client ──▶ hear ──▶ decide ──▶ server ──▶ skim ──▶ client
//!              └── the bytes of a message are never changed ──┘
//! ```
//!
//! The proxy forwards the bytes of each message and looks at a copy. It asks leave for `tools/call` alone: the intent is
//! logged before the call is forwarded, the result after the answer is. A call that is denied is answered by the proxy,
//! with a result that a model can read, and the server never sees it.
//!
//! It does not know which revision of the protocol is spoken, so it is right for all of them: it relies only on what a
//! message says about itself.
//!
//! Who gives permission is the [`Governor`]: nothing here knows of a log, a key or a socket of an agent.

mod answer;
mod calls;
#[cfg(test)]
mod fake;
mod governor;
mod heard;
pub mod http;
mod id;
mod lines;
mod list;
mod members;
mod proxy;
mod skim;
mod sse;
mod stdio;
mod told;
mod tools;
mod watches;

pub use calls::Place;
pub use governor::{Action, Committed, Ending, Governor, KEPT_VALUE_BYTES, Leave, Outcome, Permit};
pub use list::{ListError, tools_by_stdio};
pub use proxy::Proxy;
pub use stdio::{Streams, relay};
pub use tools::{Definition, definitions};
