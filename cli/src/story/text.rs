//! A story in lines, for a terminal or a file.

use std::collections::BTreeMap;

use ledger::digest::Digest;
use ledger::scope::Scope;
use ledger::text::Name;
use ledger::verify::{Finding, Verdict};
use timeline::entry::Line;
use timeline::goal::{Action, GoalStory, OutcomeView, Refusal};
use timeline::leases::Authority;
use timeline::words::{counted, entries, span, utc};
use tlog::LeafIndex;

use super::Story;
use crate::printer::{Printer, Tone};

/// Writes the story.
pub(crate) fn write(story: &Story, printer: &mut Printer) {
    let ran = BTreeMap::new();
    Writer {
        story,
        printer,
        ran,
    }
    .write();
}

struct Writer<'a> {
    story: &'a Story,
    printer: &'a mut Printer,
    /// What was run last under each scope of each agent.
    ran: BTreeMap<(Name, Scope), Digest>,
}

impl Writer<'_> {
    fn write(mut self) {
        self.heading();
        let (mut goals, mut events) = (
            self.story.goals.iter().peekable(),
            self.story.events.iter().peekable(),
        );
        // Both are in the order of the log, and so is the result.
        loop {
            match (goals.peek(), events.peek()) {
                (Some(goal), Some(event)) if goal.index < event.index => self.goal(goals.next()),
                (Some(_), None) => self.goal(goals.next()),
                (_, Some(_)) => self.event(events.next()),
                (None, None) => break,
            }
        }
        for (index, refusal) in &self.story.unreadable {
            self.entry(Tone::Bad, *index, None, "no record", &refusal.to_string());
        }
        self.other_findings();
    }

    fn heading(&mut self) {
        if let Some(header) = &self.story.header {
            let entries = entries(header.count);
            let text = format!(
                "{}: {entries} of {}, {}",
                header.origin, header.size, header.selection
            );
            self.printer.line(Tone::Strong, "log ", &text);
        }
        match &self.story.report {
            None => self
                .printer
                .line(Tone::Bad, "unverified: ", "nobody has checked any of this"),
            Some(report) => {
                let tone = match report.verdict {
                    Verdict::Verified => Tone::Strong,
                    Verdict::Failed | Verdict::Incomplete => Tone::Bad,
                };
                let count = counted(report.findings.len() as u64, "finding");
                self.printer.line(
                    tone,
                    "verdict: ",
                    &format!("{}, {count}", report.verdict.as_str()),
                );
            }
        }
        self.printer.space();
    }

    fn goal(&mut self, goal: Option<&GoalStory>) {
        let Some(goal) = goal else {
            return;
        };
        let what = format!("{}: {}, for {}", goal.agent, goal.title, goal.requester);
        self.entry(
            Tone::Strong,
            goal.index,
            Some(goal.received_ms),
            "goal",
            &what,
        );
        self.authority(&goal.authority);
        for action in &goal.actions {
            self.action(goal, action);
        }
        goal.refusals
            .iter()
            .for_each(|refusal| self.refusal(refusal));
        goal.outcomes
            .iter()
            .for_each(|outcome| self.outcome(goal, outcome));
        if goal.outcome().is_none() {
            self.printer
                .line(Tone::Faint, &margin("outcome"), "none is told");
        }
    }

    /// Says where what runs under a name is not what ran under it before.
    fn changed(&mut self, action: &Action) {
        let name = (action.agent.clone(), action.scope.clone());
        let runs = action.digest;
        if let Some(ran) = self.ran.insert(name, runs).filter(|ran| *ran != runs) {
            let what = format!("{} is {runs}, and was {ran}", action.tool);
            self.printer.line(Tone::Strong, &margin("  changed"), &what);
        }
    }

    fn action(&mut self, goal: &GoalStory, action: &Action) {
        let by = match action.agent == goal.agent {
            true => String::new(),
            false => format!("{}: ", action.agent),
        };
        let what = format!("{by}{} with {}", action.scope, action.tool);
        self.entry(
            Tone::Plain,
            action.index,
            Some(action.received_ms),
            "  intent",
            &what,
        );
        self.changed(action);
        if !is_same(&action.authority, &goal.authority) {
            self.authority(&action.authority);
        }
        let Some(result) = &action.result else {
            self.printer
                .line(Tone::Faint, &margin("  result"), "none is told");
            return;
        };
        let usage = match (result.usage.tokens, result.usage.cost_micros) {
            (0, 0) => String::new(),
            (tokens, cost) => format!(", tokens {tokens}, cost {cost} millionths"),
        };
        let what = format!(
            "{} after {}{usage}",
            result.status,
            span(result.duration_ms)
        );
        self.entry(
            Tone::Plain,
            result.index,
            Some(result.received_ms),
            "  result",
            &what,
        );
    }

    fn refusal(&mut self, refusal: &Refusal) {
        let what = format!("{}: {}", refusal.what(), refusal.code);
        self.entry(
            Tone::Bad,
            refusal.index,
            Some(refusal.received_ms),
            "  denied",
            &what,
        );
    }

    fn outcome(&mut self, goal: &GoalStory, outcome: &OutcomeView) {
        let by = match outcome.agent == goal.agent {
            true => String::new(),
            false => format!("{}: ", outcome.agent),
        };
        let checks: Vec<String> = outcome
            .checks
            .iter()
            .map(|check| check.name.to_string())
            .collect();
        let checks = match checks.is_empty() {
            true => String::new(),
            false => format!(", checked by {}", checks.join(", ")),
        };
        let what = format!("{by}{}{checks}", outcome.verdict);
        self.entry(
            Tone::Strong,
            outcome.index,
            Some(outcome.received_ms),
            "outcome",
            &what,
        );
    }

    fn authority(&mut self, authority: &Authority) {
        let lease = authority
            .lease
            .map_or("no lease is told".to_owned(), |lease| {
                format!("lease {lease}")
            });
        let by = match authority.authorised_by.as_slice() {
            [] => String::new(),
            keys => format!(" by {}", self.story.holders.names(keys)),
        };
        let version = authority
            .version
            .as_ref()
            .map(|version| format!(", version {version}"));
        let manifest = authority.manifest_hash.map(|hash| format!(" ({hash})"));
        let text = format!(
            "epoch {}, {lease}{by}{}{}",
            authority.epoch,
            version.unwrap_or_default(),
            manifest.unwrap_or_default()
        );
        self.printer.line(Tone::Faint, &margin("  under"), &text);
    }

    fn event(&mut self, event: Option<&Line>) {
        let Some(event) = event else {
            return;
        };
        let agent = event.agent.as_ref().map(|agent| format!("{agent}: "));
        let what = format!("{}{}", agent.unwrap_or_default(), event.what);
        self.entry(
            ink_of(event.kind),
            event.index,
            Some(event.received_ms),
            event.kind,
            &what,
        );
    }

    /// An entry, and what was found at it.
    fn entry(
        &mut self,
        tone: Tone,
        index: LeafIndex,
        received_ms: Option<u64>,
        kind: &str,
        what: &str,
    ) {
        let head = head(index, received_ms, kind);
        self.printer.line(tone, &head, what);
        let found: Vec<String> = self.story.findings_at(index).map(sentence).collect();
        for finding in found {
            self.printer.line(Tone::Bad, &margin("  finding"), &finding);
        }
    }

    fn other_findings(&mut self) {
        let others = self.story.other_findings();
        if others.is_empty() {
            return;
        }
        self.printer.space();
        self.printer
            .line(Tone::Strong, "", "found beside what is told");
        for finding in others {
            let at = finding
                .index
                .map_or_else(String::new, |index| index.to_string());
            self.printer
                .line(Tone::Bad, &format!("{at:>7}  "), &sentence(finding));
        }
    }
}

/// What somebody should look at is a refusal, and whatever operators did against an agent.
pub(crate) fn ink_of(kind: &str) -> Tone {
    match kind {
        "refusal" | "lease-revocation" | "order" => Tone::Bad,
        _ => Tone::Plain,
    }
}

/// What is in front of an entry.
pub(crate) fn head(index: LeafIndex, received_ms: Option<u64>, kind: &str) -> String {
    let time = received_ms.map_or_else(String::new, utc);
    format!("{:>7}  {time:<24}  {kind:<16}  ", index.get())
}

/// What is in front of a line that is of the entry above.
pub(crate) fn margin(kind: &str) -> String {
    format!("{:7}  {:24}  {kind:<16}  ", "", "")
}

/// A finding for people: what it is, whose fault it is, and the numbers.
pub(crate) fn sentence(finding: &Finding) -> String {
    let (code, detail) = (finding.refusal.code, &finding.refusal.detail);
    format!(
        "{} {code}, by {}: {detail}",
        finding.class.as_str(),
        finding.by.told()
    )
}

fn is_same(one: &Authority, other: &Authority) -> bool {
    (one.epoch, one.lease) == (other.epoch, other.lease)
}
