//! Following what is logged about an agent: server-sent events (WHATWG HTML §9.2), of which only that they come counts.

use std::io::{BufRead as _, BufReader, Read as _};

use ledger::text::Name;
use reqwest::Method;
use reqwest::header::ACCEPT;

use super::Service;

/// What may end or change an agent's authority.
const KINDS: &str = "order,transition,lease,lease-renewal,lease-revocation,manifest,charter";

/// The longest line that is read: an entry has less.
const MAX_LINE_BYTES: u64 = 128 * 1024;

impl Service {
    /// Calls `hint` for each thing that is logged about an agent's authority, and once as soon as nothing is missed any
    /// more, as long as that gives true. It comes back when the stream ends, for whatever reason.
    pub(crate) fn follow(&self, agent: &Name, hint: &mut dyn FnMut() -> bool) {
        let path = format!("/v1/events?agent={agent}&kind={KINDS}");
        let url = format!("{}{path}", self.base);
        let request = self.client.request(Method::GET, url);
        let request = request.header(ACCEPT, "text/event-stream");
        let Ok(response) = request.send() else { return };
        if !response.status().is_success() || !hint() {
            return;
        }
        let mut stream = BufReader::new(response);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = (&mut stream)
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut line);
            match read {
                Ok(0) | Err(_) => return,
                Ok(_) if line.starts_with(b"data:") && !hint() => return,
                Ok(_) => {}
            }
        }
    }
}
