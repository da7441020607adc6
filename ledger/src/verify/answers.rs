//! What a report comes to as answers to the six questions that people ask of evidence. Each is *yes*, *no* or *not checked*,
//! with the reason and, where there is one, the next step. No answer says more than the checks that it is based on.

use crate::codes::{Class, Code};
use crate::json::{Value, object};
use crate::record::words;
use crate::verify::reading::Reading;
use crate::verify::report::{AsOf, CheckId, Finding, Report, Status};
use crate::verify::trust::Trust;

/// Why nobody knows whether others see the same log.
const NOBODY_ELSE: &str = "your trust does not ask for witnesses, and there is no other checkpoint to compare this one with";

/// Why nobody knows whether what was done behind a state was allowed.
const UNKNOWN_STATE: &str = "everybody is judged from a state that your trust does not name";

words! {
    /// What people ask of evidence. Each is put so that *yes* is the good answer.
    Question, "question" {
        /// Is it in the log, unchanged?
        Logged = "logged",
        /// Did those sign it whose keys count?
        Signed = "signed",
        /// Were they allowed to?
        Allowed = "allowed",
        /// Is everything here?
        Complete = "complete",
        /// Has everybody seen the same log?
        Consistent = "consistent",
        /// Is it recent?
        Fresh = "fresh",
    }
}

words! {
    /// The answer to a question.
    Reply, "answer" {
        /// It is so.
        Yes = "yes",
        /// It is not so.
        No = "no",
        /// It was not checked, so nobody knows.
        NotChecked = "not-checked",
    }
}

/// An answer with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// To which question.
    pub question: Question,
    /// What it is.
    pub reply: Reply,
    /// Why, in a sentence.
    pub why: String,
    /// What to do next, in a sentence; empty if there is nothing to do.
    pub next: &'static str,
}

impl Question {
    /// The question as people ask it.
    pub const fn asked(self) -> &'static str {
        match self {
            Self::Logged => "Is it in the log, unchanged?",
            Self::Signed => "Is it signed by those who had to sign it?",
            Self::Allowed => "Were they allowed to do it?",
            Self::Complete => "Is everything here?",
            Self::Consistent => "Has everybody seen the same log?",
            Self::Fresh => "Is it recent?",
        }
    }

    /// The checks that an answer is based on; the first gives the reason for a *yes*.
    const fn checks(self) -> &'static [CheckId] {
        match self {
            Self::Logged => &[
                CheckId::Inclusion,
                CheckId::Form,
                CheckId::Checkpoint,
                CheckId::Leaves,
            ],
            Self::Signed => &[CheckId::Signatures],
            Self::Allowed => &[CheckId::Authority, CheckId::Liveness, CheckId::Outcomes],
            Self::Complete => &[CheckId::Chains],
            Self::Consistent => &[CheckId::Witnesses, CheckId::Consistency],
            Self::Fresh => &[CheckId::Freshness],
        }
    }

    /// What to do after an answer that is not *yes*.
    const fn next(self, reply: Reply) -> &'static str {
        match (self, reply) {
            (_, Reply::Yes) => "",
            (Self::Logged, Reply::No) => {
                "Do not rely on it. Get the file again by another way, and ask whoever gave it to you."
            }
            (Self::Logged, Reply::NotChecked) => "Bring a proof file or an evidence pack.",
            (Self::Signed, Reply::No) => {
                "Ask the holder of the key that the finding names what they signed."
            }
            (Self::Signed, Reply::NotChecked) => {
                "Bring a pack of the agent or of the whole log: it brings the charter with its keys."
            }
            (Self::Allowed, Reply::No) => "Read the findings: each one names who and when.",
            (Self::Allowed | Self::Complete, _) => {
                "Bring the whole log, from entry 0 to its checkpoint: only the whole log shows that."
            }
            (Self::Consistent, Reply::No) => {
                "Keep both versions of the log, and show them to its witnesses."
            }
            (Self::Consistent, Reply::NotChecked) => {
                "Bring an earlier checkpoint of the log, or a trust file that names witnesses."
            }
            (Self::Fresh, Reply::No) => "Fetch newer evidence.",
            (Self::Fresh, Reply::NotChecked) => "Have its age judged by your own clock.",
        }
    }

    /// The same for two checkpoints.
    const fn next_of_heads(self, reply: Reply) -> &'static str {
        match (self, reply) {
            (_, Reply::Yes) => "",
            (Self::Consistent, Reply::NotChecked) => {
                "Get the consistency proof, and bring it together with both checkpoints."
            }
            (Self::Consistent, Reply::No) => self.next(Reply::No),
            (Self::Fresh, _) => "Get the newest checkpoint, from the log and from its witnesses.",
            _ => "Bring a proof file or an evidence pack.",
        }
    }
}

impl Report {
    /// The answers to the six questions, in their order.
    pub fn answers(&self, trust: &Trust) -> Vec<Answer> {
        let answer = |question: &Question| {
            let (reply, why) = self.reply(*question, trust);
            Answer {
                question: *question,
                reply,
                why: sentence(&why),
                next: match self.aside.is_of_heads {
                    true => question.next_of_heads(reply),
                    false => question.next(reply),
                },
            }
        };
        Question::ALL.iter().map(answer).collect()
    }

    /// The answers as a page takes them.
    pub fn answers_value(&self, trust: &Trust) -> Value {
        let told = |answer: Answer| {
            object([
                ("id", answer.question.into()),
                ("answer", answer.reply.into()),
                ("why", answer.why.into()),
                ("asked", answer.question.asked().into()),
                ("next", answer.next.into()),
            ])
        };
        self.answers(trust).into_iter().map(told).collect()
    }

    fn reply(&self, question: Question, trust: &Trust) -> (Reply, String) {
        if let Reading::Other(what) = self.aside.reading {
            let why = format!("this file is not evidence: it is {what}");
            return (Reply::NotChecked, why);
        }
        match question {
            Question::Allowed => self.allowed(),
            Question::Complete => self.complete(),
            Question::Consistent => self.consistent(trust),
            Question::Fresh if self.aside.is_old => (Reply::No, self.detail(CheckId::Freshness)),
            Question::Logged | Question::Signed | Question::Fresh => self.settle(question),
        }
    }

    /// *No* if one of the checks does not hold, *yes* if all do; otherwise nobody knows.
    fn settle(&self, question: Question) -> (Reply, String) {
        let ids = question.checks();
        let with = |status: Status| {
            let mut ids = ids.iter();
            ids.find(|id| self.status(**id) == status)
        };
        let (reply, id) = match (with(Status::Fail), with(Status::Skipped)) {
            (Some(id), _) => (Reply::No, Some(id)),
            (None, Some(id)) => (Reply::NotChecked, Some(id)),
            (None, None) => (Reply::Yes, ids.first()),
        };
        (reply, id.map_or_else(String::new, |id| self.detail(*id)))
    }

    /// Whatever anybody did out of bounds counts, whichever check has found it.
    fn allowed(&self) -> (Reply, String) {
        if self.aside.rests_on_a_state {
            return (Reply::NotChecked, UNKNOWN_STATE.to_owned());
        }
        let mut findings = self.findings.iter();
        match findings.find(|finding| finding.class == Class::Breach) {
            Some(first) => {
                let by = first.by.told();
                let many = match self.count(Class::Breach) {
                    1 => "1 breach".to_owned(),
                    number => format!("{number} breaches, the first"),
                };
                (Reply::No, format!("{many}: {first}, by {by}"))
            }
            None => self.settle(Question::Allowed),
        }
    }

    /// Everything is here if every entry up to the checkpoint is, and no agent's records have a hole.
    fn complete(&self) -> (Reply, String) {
        let AsOf {
            size, judged_to, ..
        } = self.as_of;
        let is_short = |finding: &&Finding| {
            matches!(finding.refusal.code, Code::PackCount | Code::PackIncomplete)
        };
        if let Some(short) = self.findings.iter().find(is_short) {
            return (Reply::No, short.refusal.to_string());
        }
        match (self.settle(Question::Complete), size) {
            ((Reply::NotChecked, why), _) if self.aside.lacks_entries => (Reply::No, why),
            ((Reply::Yes, _), Some(size)) if judged_to == Some(size) => {
                let why = format!("no entry up to the checkpoint at size {size} is missing");
                (Reply::Yes, why)
            }
            ((Reply::Yes, why), _) => (Reply::NotChecked, why),
            (settled, _) => settled,
        }
    }

    /// One that holds is enough: witnesses, or another head of the log.
    fn consistent(&self, trust: &Trust) -> (Reply, String) {
        let [witnesses, heads] = [CheckId::Witnesses, CheckId::Consistency];
        let detail = |id| self.detail(id);
        match (self.status(witnesses), self.status(heads)) {
            (_, Status::Fail) => (Reply::No, detail(heads)),
            (Status::Fail, _) => (Reply::No, detail(witnesses)),
            (_, Status::Skipped) if self.aside.is_of_heads => (Reply::NotChecked, detail(heads)),
            (_, Status::Pass) if self.aside.is_of_heads => (Reply::Yes, detail(heads)),
            (Status::Pass, _) => (Reply::Yes, detail(witnesses)),
            (_, Status::Pass) => (Reply::Yes, detail(heads)),
            _ if trust.policy.needs_witnesses() => (Reply::NotChecked, detail(witnesses)),
            _ => (Reply::NotChecked, NOBODY_ELSE.to_owned()),
        }
    }

    /// What is not in a report was not checked.
    fn status(&self, id: CheckId) -> Status {
        self.check(id).map_or(Status::Skipped, |check| check.status)
    }

    fn detail(&self, id: CheckId) -> String {
        match self.check(id) {
            Some(check) => check.detail.clone(),
            None if self.aside.is_of_heads => absent_from_heads(id).to_owned(),
            None => absent(id).to_owned(),
        }
    }
}

/// Why a check is not in a report: that of a proof file has few.
const fn absent(id: CheckId) -> &'static str {
    match id {
        CheckId::Freshness => {
            "a proof file shows one record, and not how long the log has grown since"
        }
        _ => "one record cannot show that: it follows from the records before it",
    }
}

/// The same of two checkpoints.
const fn absent_from_heads(id: CheckId) -> &'static str {
    match id {
        CheckId::Freshness => "a checkpoint does not say when the log signed it",
        _ => "a checkpoint does not show what anybody did",
    }
}

/// A detail as a sentence, without the code that it may begin with.
pub(super) fn sentence(detail: &str) -> String {
    let detail = match detail.split_once(": ") {
        Some((code, rest)) if code.parse::<Code>().is_ok() => rest,
        _ => detail,
    };
    let mut letters = detail.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    let stop = if detail.ends_with(['.', '?', '!']) {
        ""
    } else {
        "."
    };
    first
        .into_iter()
        .chain(letters)
        .chain(stop.chars())
        .collect()
}

#[cfg(test)]
mod tests;
