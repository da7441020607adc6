//! A fleet beside its watchdogs, and what the report makes of it.
#![allow(dead_code, reason = "each program that uses this uses a part of it")]

use ledger::digest::Digest;
use ledger::verify::{Report, Verifier};
use proving::Log;
use proving::difference::{Cell, Difference, Score, score, truth};
use proving::fleet::{Plan, Size, plan};
use proving::script::START_MS;
use proving::simulation::{agent_name, play};
use proving::watchdog::{self, Alarm, Watchdog};
use report::document::{CaseView, Document, Terms};
use report::files::Made;
use report::inputs::Watch;
use report::replay::{Played, Replay};
use report::watch::Alert;
use watchdogs::config::{Map, MapSource};

/// A run, its log, and its watchdogs.
pub(crate) struct Run {
    /// Who did what, and what is true of it.
    pub(crate) plan: Plan,
    /// What was logged.
    pub(crate) log: Log,
    /// What the watchdogs said.
    pub(crate) alarms: Vec<Alarm>,
    /// The whole log as a pack, line by line.
    pub(crate) pack: Vec<String>,
    /// What the verifier says about it.
    verified: Report,
}

impl Run {
    /// Plays a run.
    pub(crate) fn of(seed: u64, size: Size) -> Self {
        Self::play(seed, plan(seed, size))
    }

    /// Plays a run that was planned.
    pub(crate) fn play(seed: u64, plan: Plan) -> Self {
        let log = play(seed, &plan.script, plan.end_ms);
        let alarms = watchdog::watch(seed, &plan);
        let pack = pack(&log);
        let mut verifier = Verifier::new(log.trust_witnessed());
        pack.iter().for_each(|line| verifier.push(line.as_bytes()));
        Self {
            plan,
            log,
            alarms,
            pack,
            verified: verifier.finish(),
        }
    }

    /// The time that the whole run is.
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            from_ms: START_MS,
            to_ms: self.plan.end_ms + 1,
            charter: self.log.name().to_string(),
            made_by: "proving".to_owned(),
        }
    }

    /// What the watchdogs said, as it comes from files.
    pub(crate) fn watch(&self) -> Watch {
        Watch {
            sources: watchdog::ALL.iter().map(source).collect(),
            alerts: self.alarms.iter().map(alert).collect(),
            ..Watch::default()
        }
    }

    /// The report of a time, with what the watchdogs said.
    pub(crate) fn played(&self, terms: &Terms, watch: &Watch) -> Played {
        let span = terms.from_ms..terms.to_ms;
        let mut replay = Replay::new(self.verified.clone(), span, watch);
        for line in &self.pack {
            replay.push(line.as_bytes(), &mut |_| {}).expect("a pack");
        }
        replay.finish().expect("a whole pack")
    }

    /// The report of the whole run.
    pub(crate) fn document(&self) -> Document {
        let (terms, watch) = (self.terms(), self.watch());
        self.made(&terms, &watch).document
    }

    /// The files of a report.
    pub(crate) fn made(&self, terms: &Terms, watch: &Watch) -> Made {
        let played = self.played(terms, watch);
        Made::of(terms, &played, watch, Digest::of(&[b"pack"])).expect("a report")
    }

    /// How well a report agrees with the truth.
    pub(crate) fn score(&self, document: &Document) -> Score {
        let told = document.cases.iter().map(told).collect();
        score(truth(&self.plan, &self.alarms), told)
    }
}

fn pack(log: &Log) -> Vec<String> {
    let (size, time_s) = (log.size(), log.state().last_received_ms() / 1000);
    let signed = log.cosigned(size, time_s);
    log.pack_lines(0, size.get(), &signed).collect()
}

fn source(dog: &Watchdog) -> MapSource {
    let sees = dog.sees.iter().map(|class| class.parse().expect("a class"));
    MapSource {
        name: dog.name.parse().expect("a name"),
        every_ms: Some(dog.every_ms),
        slack_ms: dog.slack_ms,
        sees: Some(sees.collect()),
        rules_from_ms: Some(START_MS + dog.rules_after_ms),
    }
}

fn alert(alarm: &Alarm) -> Alert {
    Alert {
        opened_ms: alarm.opened_ms,
        closed_ms: alarm.closed_ms,
        source: alarm.source.to_owned(),
        source_id: alarm.id.clone(),
        monitor: alarm.monitor.to_owned(),
        agent: agent_name(alarm.agent),
        class: alarm.class.map(|class| class.parse().expect("a class")),
        severity: None,
        muted: Some(alarm.muted),
        entry: None,
    }
}

fn told(case: &CaseView) -> Difference {
    let alerts = case.alerts.iter();
    let mut alerts: Vec<_> = alerts
        .map(|it| (it.source.clone(), it.source_id.clone(), it.opened_ms))
        .collect();
    alerts.sort();
    Difference {
        class: case.class.to_owned(),
        agent: case.agent.clone(),
        began_ms: case.began_ms,
        ended_ms: case.ended_ms,
        cell: match (case.by, case.verdict) {
            ("both", "incident") => Cell::Both,
            ("dragons", "incident") => Cell::Dragons,
            ("watchdog", "incident") => Cell::Watchdog,
            ("dragons", "false-alarm") => Cell::FalseDragons,
            ("watchdog", "false-alarm") => Cell::FalseWatchdog,
            other => panic!("{other:?} is nowhere in the difference"),
        },
        alerts,
        could_see: case.could_see,
        rule_on_day_0: case.rule_on_day_0,
        muted: case.muted,
    }
}

/// The map that says what the watchdogs see, in the form that people write.
pub(crate) fn map() -> String {
    let words = |dog: &Watchdog| {
        let sees: Vec<String> = dog
            .sees
            .iter()
            .map(|class| format!("\"{class}\""))
            .collect();
        format!(
            "[[source]]\nname = \"{}\"\nevery_ms = {}\nslack_ms = {}\nsees = [{}]\nrules_from = \"{}\"\n\n",
            dog.name,
            dog.every_ms,
            dog.slack_ms,
            sees.join(", "),
            timeline::words::utc(START_MS + dog.rules_after_ms)
        )
    };
    let map: String = watchdog::ALL.iter().map(words).collect();
    Map::parse(map.as_bytes()).expect("a map");
    map
}

/// What a watchdog said, as a table.
pub(crate) fn csv(dog: &Watchdog, alarms: &[Alarm]) -> String {
    let its = alarms.iter().filter(|alarm| alarm.source == dog.name);
    let row = |alarm: &Alarm| {
        let (agent, id) = (agent_name(alarm.agent), &alarm.id);
        let opened = timeline::words::utc(alarm.opened_ms);
        let closed = alarm
            .closed_ms
            .map_or_else(String::new, timeline::words::utc);
        let event = alarm.class.unwrap_or(alarm.monitor);
        format!(
            "{opened},{agent},{event},{id}-{opened},{closed},page,{}\n",
            alarm.monitor
        )
    };
    let head = "ts,agent,event,id,until,severity,detail\n".to_owned();
    std::iter::once(head).chain(its.map(row)).collect()
}
