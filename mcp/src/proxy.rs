//! The proxy itself, whatever carries the messages: what becomes of what a client says.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ledger::digest::Digest;
use ledger::escape;
use ledger::record::Mode;
use ledger::text::{Name, Text};

use crate::answer;
use crate::calls::{OpenCall, OpenCalls, Place};
use crate::governor::{Action, Ending, Governor, Leave, Outcome};
use crate::heard::{Call, Heard, Item, Kind, Trouble};
use crate::tools::Tools;
use crate::watches::{Watch, Watches};

/// Stands between clients and one server.
pub struct Proxy {
    pub(crate) governor: Arc<dyn Governor>,
    /// What the server is called in scopes: `S` in `call:S/T`.
    pub(crate) server: String,
    pub(crate) calls: Mutex<OpenCalls>,
    pub(crate) watches: Mutex<Watches>,
    pub(crate) tools: Mutex<Tools>,
    /// How many calls were forwarded without permission, beside a log that observes.
    passed: AtomicU64,
}

/// What becomes of a message of the client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// What the server gets.
    pub(crate) forward: Forward,
    /// What the client is answered at once, without the server.
    pub(crate) answer: Option<Vec<u8>>,
}

/// What the server gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Forward {
    /// The message, byte by byte.
    Whole,
    /// What is left of an array of messages: each as it was.
    Rest(Vec<u8>),
    /// Nothing.
    Nothing,
}

/// A reference in a result: its name is one of ours, and a text that cannot be one is left out.
pub(crate) fn reference(name: &str, text: &str) -> Option<(Name, Text)> {
    Some((name.parse().ok()?, text.parse().ok()?))
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// A proxy for the server that is called so, whose tools the manifest lists with these digests. `None` if a scope
    /// cannot have the name, for it is empty.
    pub fn new(
        governor: Arc<dyn Governor>,
        server: &str,
        registered: impl IntoIterator<Item = (Name, Digest)>,
    ) -> Option<Self> {
        Some(Self {
            governor,
            server: escape::segment(server)?,
            calls: Mutex::default(),
            watches: Mutex::default(),
            tools: Mutex::new(Tools::new(registered)),
            passed: AtomicU64::new(0),
        })
    }

    /// How many messages were forwarded without permission, because the log only observes.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// Whether an answer to a call is still to come.
    pub fn has_open_calls(&self) -> bool {
        !locked(&self.calls).is_empty()
    }

    /// Decides what becomes of a message. It waits for the governor where it has to.
    pub(crate) fn decide(&self, heard: &Heard, place: &Place) -> Decision {
        let verdicts = match &heard.trouble {
            Some(trouble) => return self.decide_on_trouble(heard, trouble),
            None => self.verdicts(heard, place),
        };
        let refused = |at: usize| verdicts.get(at).is_some_and(Option::is_some);
        let answers: Vec<Vec<u8>> = verdicts.iter().flatten().flatten().cloned().collect();
        let is_whole = !(0..verdicts.len()).any(refused);
        let left: Vec<&[u8]> = (0..verdicts.len())
            .filter(|at| !refused(*at))
            .filter_map(|at| heard.bytes.get(heard.items.get(at)?.place.clone()))
            .collect();
        Decision {
            forward: match (is_whole, left.is_empty()) {
                (true, _) => Forward::Whole,
                (false, true) => Forward::Nothing,
                (false, false) => Forward::Rest([b"[", left.join(&b',').as_slice(), b"]"].concat()),
            },
            answer: joined(heard, &answers),
        }
    }

    /// Asks for all calls of a message at once. For each message that is not forwarded there is what the client gets, if
    /// it gets anything.
    fn verdicts(&self, heard: &Heard, place: &Place) -> Vec<Option<Option<Vec<u8>>>> {
        if let [item] = heard.items.as_slice() {
            return vec![self.verdict(item, place)];
        }
        std::thread::scope(|scope| {
            let asked: Vec<_> = heard
                .items
                .iter()
                .map(|item| scope.spawn(|| self.verdict(item, place)))
                .collect();
            // A thread that panicked has given no leave.
            asked
                .into_iter()
                .map(|one| one.join().unwrap_or(Some(None)))
                .collect()
        })
    }

    /// `None` if the message is forwarded.
    fn verdict(&self, item: &Item, place: &Place) -> Option<Option<Vec<u8>>> {
        let Kind::Call(call) = &item.kind else {
            return None;
        };
        let text = match call {
            Ok(call) => self.leave(call, place),
            Err(trouble) => Some(answer::ambiguous(&trouble.to_string())),
        };
        let text = text?;
        if self.passes(&text) {
            return None;
        }
        let id = item.id.as_ref();
        Some(id.map(|(_, id)| answer::denied(id, &text, item.is_stateless)))
    }

    /// `None` if there is leave, else what the model is told.
    fn leave(&self, call: &Call, place: &Place) -> Option<String> {
        if locked(&self.calls).retry(place, call) {
            return None;
        }
        let Some(action) = self.action(call) else {
            return Some(answer::ambiguous(
                "the tool's name cannot be part of a scope",
            ));
        };
        match self.governor.ask(&action) {
            Leave::Granted(permit) => {
                locked(&self.calls).begin(OpenCall::new(place, call, permit));
                None
            }
            Leave::Denied { code, reason } => {
                let scope = action.scope.to_string();
                Some(answer::not_allowed(&code, &reason, &scope))
            }
            Leave::Away { reason } => Some(answer::away(&reason)),
        }
    }

    fn action(&self, call: &Call) -> Option<Action> {
        let name = escape::name(&call.tool)?;
        let scope = format!("call:{}/{}", self.server, escape::segment(&call.tool)?);
        let definition = locked(&self.tools).digest(&name);
        Some(Action {
            scope: scope.parse().ok()?,
            definition,
            arguments: call.arguments.clone(),
            call: call.call.clone(),
            refs: self.refs(call, &name),
            tool: name,
        })
    }

    fn refs(&self, call: &Call, tool: &Name) -> Vec<(Name, Text)> {
        let drift = locked(&self.tools).drift(tool);
        let trace = call.traceparent.as_deref().and_then(trace);
        let given = [
            trace.and_then(|(trace, _)| reference("trace", trace)),
            trace.and_then(|(_, span)| reference("span", span)),
            drift.and_then(|drift| reference("definition", &drift.to_ref())),
        ];
        given.into_iter().flatten().collect()
    }

    /// Whether what has no leave is forwarded all the same; then it is counted, and people hear of it.
    pub(crate) fn passes(&self, text: &str) -> bool {
        if self.governor.mode() == Mode::Enforce {
            return false;
        }
        self.passed.fetch_add(1, Ordering::Relaxed);
        self.governor.warn(&format!(
            "warning: only because the log only observes, a message passes: {text}"
        ));
        true
    }

    fn decide_on_trouble(&self, heard: &Heard, trouble: &Trouble) -> Decision {
        let text = answer::ambiguous(&trouble.to_string());
        if self.passes(&text) {
            return Decision {
                forward: Forward::Whole,
                answer: None,
            };
        }
        self.governor.warn(&format!(
            "warning: a message of the client is not forwarded: {trouble}"
        ));
        let is_request = |item: &&Item| item.method.is_some();
        let answers: Vec<Vec<u8>> = heard
            .items
            .iter()
            .filter(is_request)
            .filter_map(|item| {
                let (_, id) = item.id.as_ref()?;
                Some(match item.kind {
                    Kind::Call(_) => answer::denied(id, &text, item.is_stateless),
                    _ => answer::refused(id, &text),
                })
            })
            .collect();
        let unreadable = (*trouble == Trouble::NotJson).then(|| answer::unreadable(&text));
        Decision {
            forward: Forward::Nothing,
            answer: unreadable.or_else(|| joined(heard, &answers)),
        }
    }

    /// A message is about to be forwarded: what has to be known of it when its answer comes is noted.
    pub(crate) fn forwarded(&self, heard: &Heard, place: &Place) {
        for item in &heard.items {
            let id = item.id.as_ref().map(|(id, _)| id);
            match (&item.kind, id) {
                (Kind::List, Some(id)) => locked(&self.watches).add(place, id, Watch::Tools),
                (Kind::Task { method, task }, Some(id)) => {
                    let (method, task) = (method.clone(), task.clone());
                    locked(&self.watches).add(place, id, Watch::Task { method, task });
                }
                (Kind::Cancelled(id), _) => {
                    let taken_back = locked(&self.calls).answered(place, id);
                    self.close_all(taken_back, Ending::Cancelled, None);
                }
                _ => {}
            }
        }
    }

    /// What is still open ends so, for a reason that the refs of the result have.
    pub(crate) fn close_all(
        &self,
        calls: impl IntoIterator<Item = OpenCall>,
        ending: Ending,
        why: Option<&str>,
    ) {
        for call in calls {
            let outcome = Outcome {
                ending,
                output: None,
                refs: why
                    .and_then(|why| reference("end", why))
                    .into_iter()
                    .collect(),
            };
            self.governor.close(call.permit, outcome);
        }
    }

    /// The server has gone: no answer comes any more.
    pub fn server_ended(&self) {
        let open = locked(&self.calls).all();
        self.close_all(open, Ending::Error, Some("the server ended"));
    }

    /// The client has gone, or this process is asked to end: nobody waits for an answer any more.
    pub fn client_ended(&self) {
        let open = locked(&self.calls).all();
        self.close_all(open, Ending::Cancelled, Some("the client ended"));
    }
}

/// Several answers to an array are an array.
fn joined(heard: &Heard, answers: &[Vec<u8>]) -> Option<Vec<u8>> {
    match answers {
        [] => None,
        _ if heard.is_batch => Some(answer::array(answers)),
        [first, ..] => Some(first.clone()),
    }
}

/// The trace and the span of a `traceparent` (W3C Trace Context, section 3.2): 32 and 16 hex digits.
fn trace(traceparent: &str) -> Option<(&str, &str)> {
    let mut parts = traceparent.split('-').skip(1);
    let (trace, span) = (parts.next()?, parts.next()?);
    let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    (trace.len() == 32 && span.len() == 16 && is_hex(trace) && is_hex(span))
        .then_some((trace, span))
}

#[cfg(test)]
mod tests;
