//! An incident in lines, for a file or a terminal.

use client::manifest::diff::Difference;
use ledger::record::{AgentState, FileSet, Manifest};
use timeline::entry::Line;
use timeline::goal::Refusal;
use timeline::words::{counted, entries, span, utc};

use super::Incident;
use super::lease::LeaseView;
use super::version::VersionView;
use crate::printer::{Printer, Tone};
use crate::story::text::{head, ink_of, margin, sentence};

/// What an agent is before its first registration: of what came after it everything was heard.
pub(super) const NO_STATE: &str = "not registered";

/// Writes it.
pub(crate) fn write(incident: &Incident, printer: &mut Printer) {
    Writer { incident, printer }.write();
}

struct Writer<'a> {
    incident: &'a Incident,
    printer: &'a mut Printer,
}

impl Writer<'_> {
    fn write(mut self) {
        self.heading();
        self.findings();
        self.states();
        self.entries();
        self.leases();
        self.versions();
        self.refusals();
    }

    fn heading(&mut self) {
        let Incident { agent, .. } = self.incident;
        let (from_ms, to_ms) = (self.incident.from_ms, self.incident.to_ms);
        let length = span(to_ms - from_ms);
        let when = format!("{} to {} ({length})", utc(from_ms), utc(to_ms));
        self.printer
            .line(Tone::Strong, &format!("{agent}  "), &when);
        if let Some(header) = &self.incident.header {
            let (count, size) = (entries(header.count), header.size);
            let heard = format!("{}, {count} of {size}, {}", header.origin, header.selection);
            self.printer.line(Tone::Plain, "heard from  ", &heard);
        }
        self.printer.line(Tone::Plain, "", &self.incident.extent());
        self.printer
            .line(Tone::Strong, "", &self.incident.verdict());
    }

    fn title(&mut self, title: &str) {
        self.printer.space();
        self.printer.line(Tone::Strong, "", title);
    }

    fn findings(&mut self) {
        if self.incident.report.is_none() {
            return;
        }
        self.title("FINDINGS");
        for finding in &self.incident.findings {
            let at = finding.index.map_or_else(String::new, |it| it.to_string());
            let head = format!("{at:>7}  ");
            self.printer.line(Tone::Bad, &head, &sentence(finding));
            let why = finding.refusal.code.sentence();
            self.printer.line(Tone::Faint, "           ", why);
        }
        let others = match self.incident.other_findings() {
            0 => return self.none(self.incident.findings.is_empty()),
            others => {
                format!("report.json has {others} more, before or after the span or about others")
            }
        };
        self.printer.line(Tone::Faint, "         ", &others);
    }

    fn states(&mut self) {
        self.title("STATES");
        for state in &self.incident.life.states {
            let name = state.state.map_or(NO_STATE, AgentState::as_str);
            let why = match &state.cause {
                Some(cause) => format!("{}, entry {}", cause.in_words(), cause.index),
                None => "since before".to_owned(),
            };
            let lasted = span(state.to_ms - state.from_ms);
            let head = format!("         {}  {name:<16}  ", utc(state.from_ms));
            self.printer
                .line(Tone::Plain, &head, &format!("for {lasted}: {why}"));
        }
        self.none(self.incident.life.states.is_empty());
    }

    fn entries(&mut self) {
        self.title("ENTRY BY ENTRY");
        for run in self.incident.runs() {
            match run {
                [] => {}
                [one] => self.entry(one),
                [first, .., last] => self.beats(first, last, run.len()),
            }
        }
        for (index, refusal) in &self.incident.unreadable {
            let head = head(*index, None, "no record");
            self.printer.line(Tone::Bad, &head, &refusal.to_string());
        }
        self.none(self.incident.lines.is_empty() && self.incident.unreadable.is_empty());
    }

    fn entry(&mut self, line: &Line) {
        let about = line.agent.as_ref();
        let about = about.filter(|about| **about != self.incident.agent);
        let about = about.map(|about| format!("{about}: "));
        let what = format!("{}{}", about.unwrap_or_default(), line.what);
        let head = head(line.index, Some(line.received_ms), line.kind);
        self.printer.line(ink_of(line.kind), &head, &what);
        for finding in self.incident.findings_at(line.index) {
            self.printer
                .line(Tone::Bad, &margin("  finding"), &sentence(finding));
        }
    }

    fn beats(&mut self, first: &Line, last: &Line, count: usize) {
        let head = head(first.index, Some(first.received_ms), "heartbeats");
        let (until, index) = (utc(last.received_ms), last.index);
        let what = format!("{count} up to {until}, entry {index}: {}", last.what);
        self.printer.line(Tone::Faint, &head, &what);
    }

    fn leases(&mut self) {
        self.title("LEASES");
        for lease in &self.incident.leases {
            self.lease(lease);
        }
        for gap in &self.incident.life.unleased {
            let (from, to) = (utc(gap.from_ms), utc(gap.to_ms));
            self.printer.line(
                Tone::Bad,
                "         none  ",
                &format!("of its own was in force from {from} to {to}"),
            );
        }
        self.none(self.incident.leases.is_empty() && self.incident.life.unleased.is_empty());
    }

    fn lease(&mut self, lease: &LeaseView) {
        let (told, holders) = (&lease.span, &self.incident.holders);
        let head = format!("{:>7}  ", told.index.get());
        let what = format!("{}: {}", told.agent, lease.scope());
        self.printer.line(Tone::Strong, &head, &what);
        let when = format!("{} to {}", utc(told.from_ms), utc(told.to_ms));
        self.detail("in force", &when);
        self.detail("record", &told.lease.to_string());
        self.detail("what for", told.purpose.as_str());
        self.detail("granted by", &lease.granted(holders));
        if let Some(parent) = told.parent {
            self.detail("a part of", &parent.to_string());
        }
        for renewal in lease.renewals(holders) {
            self.detail("renewed", &renewal);
        }
        self.detail("used", &lease.budget());
        self.detail("at the end", &lease.standing(holders));
    }

    fn versions(&mut self) {
        self.title("VERSIONS");
        for version in &self.incident.versions {
            self.version(version);
        }
        self.none(self.incident.versions.is_empty());
    }

    fn version(&mut self, version: &VersionView) {
        let now = &version.now;
        let manifest = &now.registration.manifest;
        let head = format!("{:>7}  ", now.index.get());
        let what = format!("{}, since {}", manifest.version, utc(now.received_ms));
        self.printer.line(Tone::Strong, &head, &what);
        self.detail("manifest", &now.registration.manifest_hash.to_string());
        self.detail("registered", &self.incident.holders.names(&now.by));
        self.detail("why", now.registration.reason.as_str());
        self.detail("may at most", &capabilities(manifest));
        self.detail("code", &files(&manifest.code));
        self.detail("config", &files(&manifest.config));
        match &version.before {
            None => self.detail("before it", "none: it is the first"),
            Some(before) => {
                let manifest = &before.registration.manifest;
                let what = format!("{}, entry {}", manifest.version, before.index);
                self.detail("before it", &what);
            }
        }
        for difference in version.differences() {
            self.detail("difference", &in_words(&difference));
        }
    }

    fn refusals(&mut self) {
        self.title("REFUSALS");
        for refusal in &self.incident.life.refusals {
            let head = head(
                refusal.index,
                Some(refusal.received_ms),
                refusal.code.as_str(),
            );
            self.printer.line(Tone::Bad, &head, &refused(refusal));
            self.printer
                .line(Tone::Faint, &margin(""), refusal.code.sentence());
        }
        self.none(self.incident.life.refusals.is_empty());
    }

    fn detail(&mut self, what: &str, text: &str) {
        if !text.is_empty() {
            self.printer
                .line(Tone::Plain, &format!("         {what:<12}  "), text);
        }
    }

    fn none(&mut self, is_none: bool) {
        if is_none {
            self.printer.line(Tone::Faint, "         ", "none");
        }
    }
}

/// What was refused, and how often.
pub(super) fn refused(refusal: &Refusal) -> String {
    let times = match refusal.count {
        1 => String::new(),
        count => format!(", {count} times"),
    };
    format!("{} in epoch {}{times}", refusal.what(), refusal.epoch)
}

/// What no lease can allow more than.
pub(super) fn capabilities(manifest: &Manifest) -> String {
    let texts: Vec<String> = manifest
        .capabilities
        .iter()
        .map(ToString::to_string)
        .collect();
    texts.join(", ")
}

/// Files, as far as the log has them.
pub(super) fn files(files: &FileSet) -> String {
    let count = counted(files.files, "file");
    format!("{count}, {}, {}", counted(files.bytes, "byte"), files.root)
}

fn in_words(difference: &Difference) -> String {
    let shown = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing".to_owned());
    let (group, name) = (difference.group, &difference.name);
    let (old, new) = (shown(&difference.old), shown(&difference.new));
    format!("{group} {name}: {old} becomes {new}")
}
