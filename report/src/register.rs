//! Registers: tables that an auditor files, as CSV (RFC 4180). Every row begins with its entry, its time and its agent.
//!
//! A cell of free text that a spreadsheet would take for a formula gets an apostrophe in front.

use std::collections::BTreeMap;

use ledger::digest::RecordHash;
use ledger::govern::State;
use ledger::key::KeyId;
use ledger::record::{AgentState, Body, Charter, Lease, Order, Registration};
use ledger::text::Name;
use timeline::entry::Entry;
use timeline::words::{utc, visible};

/// A register.
#[derive(Clone, Debug)]
pub(crate) struct Register {
    /// What it is called.
    pub(crate) name: &'static str,
    head: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

/// What somebody did from outside, so that an agent may go on or has to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Intervention {
    /// The entry.
    pub(crate) index: u64,
    /// When it was logged.
    pub(crate) received_ms: u64,
    /// About whom.
    pub(crate) agent: Name,
    /// What it was.
    pub(crate) what: String,
    /// Why.
    pub(crate) reason: String,
    /// By whom.
    pub(crate) by: String,
}

/// The registers of authority, changes and oversight, which are written while entries are heard.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) authority: Register,
    pub(crate) changes: Register,
    pub(crate) oversight: Register,
    pub(crate) interventions: Vec<Intervention>,
    holders: BTreeMap<KeyId, String>,
    leased: BTreeMap<RecordHash, Name>,
    /// Agents that an operator or a rule has stopped, so that the next lease is an intervention.
    stopped: BTreeMap<Name, bool>,
}

impl Register {
    /// An empty one.
    pub(crate) const fn new(name: &'static str, head: &'static [&'static str]) -> Self {
        Self {
            name,
            head,
            rows: Vec::new(),
        }
    }

    /// Adds a row: its entry, its time, its agent, and the rest.
    pub(crate) fn add<const N: usize>(
        &mut self,
        entry: Option<u64>,
        ms: u64,
        agent: Option<&Name>,
        rest: [String; N],
    ) {
        let entry = entry.map_or_else(String::new, |entry| entry.to_string());
        let agent = agent.map_or_else(String::new, Name::to_string);
        let row = [entry, utc(ms), agent].into_iter().chain(rest);
        self.rows.push(row.collect());
    }

    /// It as CSV.
    pub(crate) fn csv(&self) -> String {
        let mut csv = ["entry", "time", "agent"].join(",");
        for name in self.head {
            csv.push(',');
            csv.push_str(name);
        }
        csv.push_str("\r\n");
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
            csv.push_str(&cells.join(","));
            csv.push_str("\r\n");
        }
        csv
    }
}

/// A cell: quoted where RFC 4180 asks for it.
fn cell(text: &str) -> String {
    let text = visible(text);
    let is_formula = text.starts_with(['=', '+', '-', '@']) && text.parse::<i64>().is_err();
    let text = match is_formula {
        true => format!("'{text}"),
        false => text.into_owned(),
    };
    match text.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

impl Books {
    pub(crate) fn new() -> Self {
        Self {
            authority: Register::new(
                "authority",
                &[
                    "kind", "record", "lease", "until", "allow", "deny", "why", "by",
                ],
            ),
            changes: Register::new("changes", &["kind", "version", "hash", "why", "by"]),
            oversight: Register::new("oversight", &["what", "counts", "why", "by"]),
            interventions: Vec::new(),
            holders: BTreeMap::new(),
            leased: BTreeMap::new(),
            stopped: BTreeMap::new(),
        }
    }

    /// Hears an entry, and writes it down if it is within the report's time.
    pub(crate) fn hear(&mut self, entry: &Entry, before: &State, is_within: bool) {
        let by = self.signers(entry);
        match entry.body() {
            Body::Charter(charter) => self.charter(entry, charter, by, is_within),
            Body::Manifest(it) => self.registration(entry, it, by, is_within),
            Body::Lease(lease) => self.lease(entry, lease, before, by, is_within),
            Body::LeaseRenewal(it) if is_within => {
                let until = utc(it.expires_ms);
                let terms = [until, String::new(), String::new(), String::new()];
                self.of_lease(entry, "renewed", it.lease, terms, by);
            }
            Body::LeaseRevocation(it) if is_within => {
                let reason = it.reason.as_str().to_owned();
                let none = String::new;
                self.of_lease(
                    entry,
                    "revoked",
                    it.lease,
                    [none(), none(), none(), reason.clone()],
                    by.clone(),
                );
                if let Some(agent) = self.leased.get(&it.lease).cloned() {
                    self.intervene(entry, &agent, "lease revoked".to_owned(), reason, by);
                }
            }
            Body::Order(order) => self.order(entry, order, by, is_within),
            Body::Transition(it) => {
                self.stopped.insert(it.agent.clone(), false);
                if it.to == AgentState::Stopped && it.rule != ledger::record::Rule::Finished {
                    self.stopped.insert(it.agent.clone(), true);
                }
            }
            _ => {}
        }
    }

    fn charter(&mut self, entry: &Entry, charter: &Charter, by: String, is_within: bool) {
        let names = charter.keys.iter();
        let names = names.map(|key| (key.key.id(), key.name.to_string()));
        self.holders.extend(names);
        if is_within {
            let version = charter.version.to_string();
            let hash = entry.record.hash().to_string();
            let why = format!("{} mode", charter.mode);
            let row = ["charter".to_owned(), version, hash, why, by];
            self.changes.add(at(entry), entry.received_ms, None, row);
        }
    }

    fn registration(&mut self, entry: &Entry, it: &Registration, by: String, is_within: bool) {
        let name = format!("agent {}", it.agent);
        self.holders.insert(it.key.id(), name);
        if is_within {
            let row = [
                "manifest".to_owned(),
                it.manifest.version.as_str().to_owned(),
                it.manifest_hash.to_string(),
                it.reason.as_str().to_owned(),
                by,
            ];
            let agent = Some(&it.agent);
            self.changes.add(at(entry), entry.received_ms, agent, row);
        }
    }

    fn lease(&mut self, entry: &Entry, lease: &Lease, before: &State, by: String, is_within: bool) {
        let hash = entry.record.hash();
        let was = before.agent(&lease.agent).map(ledger::govern::Agent::state);
        let was_stopped = self.stopped.get(&lease.agent).copied().unwrap_or(false);
        let is_again = match was {
            Some(AgentState::Quarantined) => true,
            Some(AgentState::Stopped) => was_stopped,
            _ => false,
        };
        self.leased.insert(hash, lease.agent.clone());
        if !is_within {
            return;
        }
        let words = |patterns: &[ledger::scope::Pattern]| {
            let words: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            words.join(" ")
        };
        let purpose = lease.purpose.as_str().to_owned();
        let (allow, deny) = (words(&lease.allow), words(&lease.deny));
        let terms = [utc(lease.expires_ms), allow, deny, purpose.clone()];
        self.of_lease(entry, "granted", hash, terms, by.clone());
        if is_again {
            let state = was.map_or("", AgentState::as_str);
            let what = format!("lease granted again while {state}");
            self.intervene(entry, &lease.agent, what, purpose, by);
        }
    }

    fn of_lease(
        &mut self,
        entry: &Entry,
        kind: &str,
        lease: RecordHash,
        [until, allow, deny, why]: [String; 4],
        by: String,
    ) {
        let record = entry.record.hash().to_string();
        let row = [
            kind.to_owned(),
            record,
            lease.to_string(),
            until,
            allow,
            deny,
            why,
            by,
        ];
        let agent = self.leased.get(&lease);
        self.authority.add(at(entry), entry.received_ms, agent, row);
    }

    fn order(&mut self, entry: &Entry, order: &Order, by: String, is_within: bool) {
        let is_stop = order.to == AgentState::Stopped;
        self.stopped.insert(order.agent.clone(), is_stop);
        if is_within {
            let (what, why) = (format!("ordered to {}", order.to), order.reason.as_str());
            self.intervene(entry, &order.agent, what, why.to_owned(), by);
        }
    }

    fn intervene(&mut self, entry: &Entry, agent: &Name, what: String, reason: String, by: String) {
        let row = [what.clone(), "yes".to_owned(), reason.clone(), by.clone()];
        self.oversight
            .add(at(entry), entry.received_ms, Some(agent), row);
        self.interventions.push(Intervention {
            index: entry.index.get(),
            received_ms: entry.received_ms,
            agent: agent.clone(),
            what,
            reason,
            by,
        });
    }

    /// The names of those who signed, by the record's own account.
    fn signers(&self, entry: &Entry) -> String {
        let keys = entry.record.envelope().signatures().iter();
        let names = keys.map(|signature| match self.holders.get(&signature.keyid) {
            Some(name) => format!("{name} [{}]", signature.keyid),
            None => format!("[{}]", signature.keyid),
        });
        names.collect::<Vec<_>>().join(" and ")
    }
}

const fn at(entry: &Entry) -> Option<u64> {
    Some(entry.index.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_where_it_has_to_be_and_is_never_a_formula() {
        for (text, want) in [
            ("plain", "plain"),
            ("a, b", "\"a, b\""),
            ("say \"no\"", "\"say \"\"no\"\"\""),
            ("=1+1", "'=1+1"),
            ("-5", "-5"),
            ("@root", "'@root"),
            ("a\u{202e}b", "a⟨U+202E⟩b"),
        ] {
            assert_eq!(cell(text), want);
        }
    }

    #[test]
    fn a_row_begins_with_entry_time_and_agent() {
        let mut register = Register::new("x", &["what"]);
        let agent: Name = "a".parse().unwrap();
        register.add(Some(7), 0, Some(&agent), ["done".to_owned()]);
        register.add(None, 0, None, ["done".to_owned()]);
        let time = "1970-01-01T00:00:00.000Z";
        let want = format!("entry,time,agent,what\r\n7,{time},a,done\r\n,{time},,done\r\n");
        assert_eq!(register.csv(), want);
    }
}
