//! One request and its answer, and what becomes of the calls in it when it is over.

use std::sync::Arc;

use crate::calls::Place;
use crate::governor::Ending;
use crate::proxy::{Proxy, locked};

/// An exchange that goes on. When it is dropped it has broken off: the client has closed the stream, which takes its
/// calls back.
pub(crate) struct Exchange {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) place: Place,
    is_over: bool,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// The server has said all that it says here.
    Answered,
    /// The server has said that the rest comes elsewhere: by another stream of the session.
    Elsewhere,
    /// The server has answered, packed in a way that is not read here.
    Unread,
    /// The server broke off, or was not reached.
    BrokenOff,
}

impl Exchange {
    pub(crate) fn new(proxy: Arc<Proxy>, place: Place) -> Self {
        Self {
            proxy,
            place,
            is_over: false,
        }
    }

    /// Ends it. Calls that were not answered are closed, but where their answers come elsewhere.
    pub(crate) fn end(&mut self, over: Over) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        match over {
            Over::Elsewhere => {}
            Over::Answered => self.close(Ending::Error, "the server did not answer"),
            Over::Unread => {
                self.close(Ending::Error, "the answer was packed and could not be read");
            }
            Over::BrokenOff => self.close(Ending::Error, "the server broke off"),
        }
    }

    fn close(&self, ending: Ending, why: &str) {
        let left = locked(&self.proxy.calls).of_exchange(self.place.exchange);
        self.proxy.close_all(left, ending, Some(why));
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.is_over {
            self.close(Ending::Cancelled, "the client closed the stream");
        }
    }
}
