//! What a server says: which call it is about, and whether that is over.

use ledger::text::{Name, Text};

use crate::calls::{Awaits, OpenCall, Place};
use crate::governor::{Committed, Ending, KEPT_VALUE_BYTES, Outcome};
use crate::id::{Id, text};
use crate::members::Members;
use crate::proxy::{Proxy, locked, reference};
use crate::skim::{Skimmed, SkimmedResult, member};
use crate::tools::definitions;
use crate::watches::Watch;

impl Proxy {
    /// The server has said this, and the client has it.
    pub(crate) fn told(&self, message: &Skimmed, place: &Place) {
        if let Some(name) = &message.twice {
            self.governor.warn(&format!(
                "warning: the server {} sent a message that has the member {name:?} twice",
                self.server
            ));
        }
        let method = member(&message.members, "method").map(text);
        match method.as_deref() {
            Some("notifications/progress") => self.governor.progress(),
            Some("notifications/tasks/status" | "notifications/tasks") => {
                self.told_of_task(message);
            }
            Some(_) => {}
            None => {
                if let Some(id) = member(&message.members, "id").and_then(Id::read) {
                    self.answered(message, &id, place);
                }
            }
        }
    }

    /// Looks at a list of tools before the client has it: the call that follows is judged by it.
    pub(crate) fn heed(&self, message: &Skimmed, place: &Place) {
        if member(&message.members, "method").is_some() {
            return;
        }
        let id = member(&message.members, "id").and_then(Id::read);
        if id.is_some_and(|id| locked(&self.watches).lists_tools(place, &id)) {
            self.show_tools(message);
        }
    }

    fn answered(&self, message: &Skimmed, id: &Id, place: &Place) {
        let watch = locked(&self.watches).answered(place, id);
        match watch {
            Some(Watch::Tools) => self.show_tools(message),
            Some(Watch::Task { method, task }) => self.task_answered(message, &method, &task),
            None => {
                let call = locked(&self.calls).answered(place, id);
                if let Some(call) = call {
                    self.call_answered(call, message);
                }
            }
        }
    }

    fn call_answered(&self, call: OpenCall, message: &Skimmed) {
        match message.result.as_ref().and_then(interim) {
            Some(awaits) => {
                self.governor.progress();
                locked(&self.calls).wait(call, awaits);
            }
            None => self.close(call, ending(message), output(message), notices(message)),
        }
    }

    fn close(
        &self,
        call: OpenCall,
        ending: Ending,
        output: Option<Committed>,
        notices: Option<(Name, Text)>,
    ) {
        let outcome = Outcome {
            ending,
            output,
            refs: notices.into_iter().collect(),
        };
        self.governor.close(call.permit, outcome);
    }

    /// An answer about a task that a call has become: it may say that the task is over, or bring its result.
    fn task_answered(&self, message: &Skimmed, method: &str, task: &str) {
        let is_error = member(&message.members, "error").is_some();
        let over = match (method, is_error) {
            (_, true) => None,
            ("tasks/cancel", _) => Some((Ending::Cancelled, None)),
            ("tasks/result", _) => Some((ending(message), output(message))),
            _ => message.result.as_ref().and_then(task_over),
        };
        let Some((ending, output)) = over else {
            return;
        };
        let call = locked(&self.calls).task(task);
        if let Some(call) = call {
            self.close(call, ending, output, notices(message));
        }
    }

    /// A notification about a task: that it failed or was taken back ends it; of one that is complete the result is to come.
    fn told_of_task(&self, message: &Skimmed) {
        let params = member(&message.members, "params");
        let Some(params) = params.and_then(|params| Members::read(params.as_bytes())) else {
            return;
        };
        let ending = match params.text("status").as_deref() {
            Some("failed") => Ending::Error,
            Some("cancelled") => Ending::Cancelled,
            _ => return self.governor.progress(),
        };
        let task = params.text("taskId");
        let call = task.and_then(|task| locked(&self.calls).task(&task));
        if let Some(call) = call {
            self.close(call, ending, None, None);
        }
    }

    fn show_tools(&self, message: &Skimmed) {
        let Some(result) = &message.result else {
            return;
        };
        let Some(json) = &result.json else {
            let server = &self.server;
            return self.governor.warn(&format!(
                "warning: the list of tools of {server} is too long to be compared with the manifest"
            ));
        };
        let news = locked(&self.tools).show(definitions(json));
        for (name, drift) in news {
            self.governor.warn(&drift.warning(&self.server, &name));
        }
    }
}

/// What a result waits for that is not the last word: what the server asks for, or a task.
fn interim(result: &SkimmedResult) -> Option<Awaits> {
    let named = |name| {
        let json = member(&result.members, name)?;
        json.starts_with('"').then(|| text(json).into_owned())
    };
    let kind = named("resultType");
    if kind.as_deref() == Some("input_required") {
        return Some(Awaits::Retry(named("requestState")));
    }
    // Revision 2025-11-25 has the task in an object of its own, the extension of 2026 at the top.
    let nested = member(&result.members, "task").and_then(|task| Members::read(task.as_bytes()));
    let nested = nested.and_then(|task| task.text("taskId"));
    let flat = || named("taskId").filter(|_| kind.as_deref() == Some("task"));
    nested.or_else(flat).map(Awaits::Task)
}

/// How a task ended, by the answer to `tasks/get`; `None` if it goes on, or its result comes by another request.
fn task_over(result: &SkimmedResult) -> Option<(Ending, Option<Committed>)> {
    match &*text(member(&result.members, "status")?) {
        "failed" => {
            let error = member(&result.members, "error");
            Some((
                Ending::Error,
                error.map(|error| Committed::of(error.as_bytes())),
            ))
        }
        "cancelled" => Some((Ending::Cancelled, None)),
        "completed" => completed(result),
        _ => None,
    }
}

/// The extension of 2026 has the call's result within, revision 2025-11-25 has it by `tasks/result`.
fn completed(result: &SkimmedResult) -> Option<(Ending, Option<Committed>)> {
    let Some(json) = &result.json else {
        return Some((Ending::Ok, Some(Committed::Digest(result.digest))));
    };
    let within = Members::read(json)?.raw("result")?.as_bytes();
    let failed = Members::read(within).is_some_and(|says| says.raw("isError") == Some("true"));
    let ending = if failed { Ending::Error } else { Ending::Ok };
    Some((ending, Some(Committed::of(within))))
}

fn ending(message: &Skimmed) -> Ending {
    let result = message.result.as_ref();
    let failed = result.is_none_or(|result| member(&result.members, "isError") == Some("true"));
    if failed { Ending::Error } else { Ending::Ok }
}

fn output(message: &Skimmed) -> Option<Committed> {
    let Some(result) = &message.result else {
        return member(&message.members, "error").map(|error| Committed::of(error.as_bytes()));
    };
    Some(whole(result).unwrap_or(Committed::Digest(result.digest)))
}

fn whole(result: &SkimmedResult) -> Option<Committed> {
    let json = result.json.as_ref()?;
    (json.len() <= KEPT_VALUE_BYTES).then(|| Committed::Value(json.clone()))
}

fn notices(message: &Skimmed) -> Option<(Name, Text)> {
    let twice = message.twice.as_ref()?;
    reference("ambiguous", &format!("the member {twice:?} comes twice"))
}
