//! Watchdogs that look at a fleet from outside, each in its own way, and miss what it can't see.
//!
//! They know the script and not the log: what an agent does shows in a metric or an event, whatever the control plane
//! makes of it. Each has blind spots, delays and outages of its own.

use fastrand::Rng;

use crate::fleet::Plan;
use crate::script::{Act, DAY_MS, Deed, HOUR_MS, MINUTE_MS, START_MS, Trick};

/// What a watchdog is, for the map.
#[derive(Clone, Copy, Debug)]
pub struct Watchdog {
    /// Its name.
    pub name: &'static str,
    /// How often it looks: milliseconds.
    pub every_ms: u64,
    /// How far its alerts may be from what they are about: milliseconds.
    pub slack_ms: u64,
    /// What it has rules for, by the names of the classes.
    pub sees: &'static [&'static str],
    /// How long after the beginning it got them: milliseconds.
    pub rules_after_ms: u64,
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alarm {
    /// When it was opened.
    pub opened_ms: u64,
    /// When it was closed; `None` if it was not.
    pub closed_ms: Option<u64>,
    /// By which watchdog.
    pub source: &'static str,
    /// Its name there.
    pub id: String,
    /// The rule.
    pub monitor: &'static str,
    /// The agent.
    pub agent: usize,
    /// Its class; `None` if the watchdog can't tell.
    pub class: Option<&'static str>,
    /// Whether it was muted.
    pub muted: bool,
}

/// A cron job that looks every five minutes when an agent last beat. It does not know of goodbyes.
pub const CRON: Watchdog = Watchdog {
    name: "cron",
    every_ms: 5 * MINUTE_MS,
    slack_ms: MINUTE_MS / 2,
    sees: &["silence"],
    rules_after_ms: 0,
};

/// Rules over metrics that hold for a while before they fire. It knows of goodbyes, and flaps.
pub const RULES: Watchdog = Watchdog {
    name: "prometheus",
    every_ms: MINUTE_MS,
    slack_ms: MINUTE_MS / 2,
    sees: &["silence", "stall"],
    rules_after_ms: 0,
};

/// A monitor of events that says "no data". It can't tell why, was set up a day late, and is muted by night.
pub const EVENTS: Watchdog = Watchdog {
    name: "events",
    every_ms: MINUTE_MS,
    slack_ms: MINUTE_MS / 2,
    sees: &["silence", "stall"],
    rules_after_ms: DAY_MS,
};

/// A tracer, which sees what was called and how it ended, in samples and late. It has no rule for what does not happen.
pub const TRACER: Watchdog = Watchdog {
    name: "tracer",
    every_ms: MINUTE_MS,
    slack_ms: 5 * MINUTE_MS,
    sees: &["scope", "overrun"],
    rules_after_ms: 0,
};

impl Watchdog {
    /// Whether somebody thought of setting it up for an agent. Nobody thought of every agent.
    fn is_set_up_for(&self, agent: usize) -> bool {
        match self.name {
            "cron" => agent % 3 != 1,
            "prometheus" => !agent.is_multiple_of(4),
            "events" => agent % 2 == 1,
            _ => true,
        }
    }
}

/// All of them.
pub const ALL: [Watchdog; 4] = [CRON, RULES, EVENTS, TRACER];

/// When the cron job does not look, in hours of each day: its machine is patched.
const CRON_DOWN: [u64; 2] = [9, 12];

/// When the rules are not evaluated.
const RULES_DOWN: [u64; 2] = [15, 17];

/// Of ten denied calls, so many are not sampled.
const UNSAMPLED: u8 = 2;

/// Tokens of a call that are too many.
const MANY_TOKENS: u64 = 400;

/// What shows of an agent from outside.
#[derive(Debug, Default)]
struct Signals {
    beats: Vec<u64>,
    goodbyes: Vec<u64>,
    events: Vec<u64>,
    progress: Vec<u64>,
    goals: Vec<(u64, u64)>,
    denied: Vec<u64>,
    overrun: Vec<u64>,
}

/// What the watchdogs say about a run, by time. The same seed gives the same alerts.
pub fn watch(seed: u64, plan: &Plan) -> Vec<Alarm> {
    let mut rng = Rng::with_seed(seed ^ 0xa1a2);
    let mut alarms = Vec::new();
    for (agent, signals) in signals(plan).iter().enumerate() {
        let mut kennel = AlarmSink {
            agent,
            end_ms: plan.end_ms,
            alarms: &mut alarms,
        };
        if CRON.is_set_up_for(agent) {
            kennel.cron(signals);
        }
        if RULES.is_set_up_for(agent) {
            kennel.rules(signals, &mut rng);
        }
        if EVENTS.is_set_up_for(agent) {
            kennel.events(signals);
        }
        kennel.tracer(signals, &mut rng);
    }
    alarms.sort();
    alarms
}

fn signals(plan: &Plan) -> Vec<Signals> {
    let mut signals: Vec<Signals> = Vec::new();
    for line in &plan.script {
        let Act::Agent(agent, deed) = &line.act else {
            continue;
        };
        if signals.len() <= *agent {
            signals.resize_with(agent + 1, Signals::default);
        }
        signals[*agent].note(deed, line.at_ms);
    }
    for of in &mut signals {
        for goal in &mut of.goals {
            goal.1 = goal.1.min(plan.end_ms);
        }
    }
    signals
}

impl Signals {
    fn note(&mut self, deed: &Deed, at_ms: u64) {
        match deed {
            Deed::Beat { steps, .. } => {
                self.beats.push(at_ms);
                if *steps > 0 {
                    self.progress.push(at_ms);
                }
            }
            Deed::Begin | Deed::Restart | Deed::Follow | Deed::BeatOfFork | Deed::BeatOfDrift => {
                self.beats.push(at_ms);
                self.progress.push(at_ms);
            }
            Deed::Goodbye => {
                self.beats.push(at_ms);
                self.goodbyes.push(at_ms);
            }
            Deed::Goal | Deed::Admit(Trick::Goal) => {
                self.goals.push((at_ms, u64::MAX));
                self.happened(at_ms);
            }
            Deed::Outcome => {
                if let Some(goal) = self.goals.last_mut() {
                    goal.1 = at_ms;
                }
                self.happened(at_ms);
            }
            Deed::Result { tokens } => {
                self.happened(at_ms);
                if *tokens >= MANY_TOKENS {
                    self.overrun.push(at_ms);
                }
            }
            Deed::Intent => self.happened(at_ms),
            Deed::Offer(Trick::Intent { .. }, code) if code.as_str() != "budget-exceeded" => {
                self.denied.push(at_ms);
            }
            Deed::Admit(Trick::Intent { .. }) | Deed::ForgeRefusal => self.denied.push(at_ms),
            _ => {}
        }
    }

    fn happened(&mut self, at_ms: u64) {
        self.events.push(at_ms);
        self.progress.push(at_ms);
    }
}

/// Where the watchdogs of one agent put their alerts.
struct AlarmSink<'a> {
    agent: usize,
    end_ms: u64,
    alarms: &'a mut Vec<Alarm>,
}

impl AlarmSink<'_> {
    fn cron(&mut self, signals: &Signals) {
        for (last, next) in quiet(&signals.beats, self.end_ms, 20 * MINUTE_MS) {
            let due = last + 20 * MINUTE_MS;
            let opened_ms = look(due, CRON.every_ms, CRON_DOWN);
            // What was over before anybody looked, nobody saw.
            if next.is_none_or(|next| opened_ms < next) && opened_ms < self.end_ms {
                let closed_ms = next.map(|next| look(next, CRON.every_ms, CRON_DOWN));
                self.alarm(CRON, "agent-alive", Some("silence"), opened_ms, closed_ms);
            }
        }
    }

    fn rules(&mut self, signals: &Signals, rng: &mut Rng) {
        for (last, next) in quiet(&signals.beats, self.end_ms, 25 * MINUTE_MS) {
            if signals.goodbyes.contains(&last) {
                continue;
            }
            self.fire("AgentDown", "silence", last + 25 * MINUTE_MS, next, rng);
        }
        for (last, next) in quiet(&signals.progress, self.end_ms, 35 * MINUTE_MS) {
            let next_ms = next.unwrap_or(self.end_ms);
            let is_open = |goal: &&(u64, u64)| goal.0 <= last && goal.1 >= next_ms;
            if signals.goals.iter().any(|goal| is_open(&goal)) {
                self.fire("AgentStuck", "stall", last + 35 * MINUTE_MS, next, rng);
            }
        }
    }

    /// A rule that has held for its time fires; of four alerts one flaps.
    fn fire(
        &mut self,
        monitor: &'static str,
        class: &'static str,
        due: u64,
        next: Option<u64>,
        rng: &mut Rng,
    ) {
        let opened_ms = look(due, RULES.every_ms, RULES_DOWN);
        let flaps = rng.u8(..4) == 0;
        if next.is_some_and(|next| opened_ms >= next) || opened_ms >= self.end_ms {
            return;
        }
        let closed_ms = next.map(|next| look(next, RULES.every_ms, RULES_DOWN));
        let again_ms = opened_ms + 6 * MINUTE_MS;
        if flaps && next.is_some_and(|next| again_ms < next) {
            self.alarm(
                RULES,
                monitor,
                Some(class),
                opened_ms,
                Some(opened_ms + 2 * MINUTE_MS),
            );
            self.alarm(RULES, monitor, Some(class), again_ms, closed_ms);
        } else {
            self.alarm(RULES, monitor, Some(class), opened_ms, closed_ms);
        }
    }

    fn events(&mut self, signals: &Signals) {
        for (last, next) in quiet(&signals.events, self.end_ms, 45 * MINUTE_MS) {
            let opened_ms = last + 47 * MINUTE_MS;
            let is_late = opened_ms < START_MS + EVENTS.rules_after_ms;
            if !is_late && next.is_none_or(|next| opened_ms < next) && opened_ms < self.end_ms {
                let closed_ms = next.map(|next| next + 2 * MINUTE_MS);
                self.alarm(EVENTS, "no-data", None, opened_ms, closed_ms);
            }
        }
    }

    fn tracer(&mut self, signals: &Signals, rng: &mut Rng) {
        let mut open_until = 0;
        for denied in &signals.denied {
            let is_sampled = rng.u8(..10) >= UNSAMPLED;
            if is_sampled && *denied >= open_until {
                open_until = denied + 12 * MINUTE_MS;
                let opened_ms = denied + 2 * MINUTE_MS;
                self.alarm(
                    TRACER,
                    "denied-calls",
                    Some("scope"),
                    opened_ms,
                    Some(open_until),
                );
            }
        }
        for overrun in &signals.overrun {
            let opened_ms = overrun + MINUTE_MS;
            self.alarm(TRACER, "token-spike", Some("overrun"), opened_ms, None);
        }
    }

    fn alarm(
        &mut self,
        dog: Watchdog,
        monitor: &'static str,
        class: Option<&'static str>,
        opened_ms: u64,
        closed_ms: Option<u64>,
    ) {
        let closed_ms = closed_ms.filter(|closed| *closed <= self.end_ms);
        self.alarms.push(Alarm {
            opened_ms,
            closed_ms,
            source: dog.name,
            // One name for all alerts of a rule about an agent, as fingerprints are.
            id: format!("{monitor}-{}", self.agent),
            monitor,
            agent: self.agent,
            class,
            muted: dog.name == EVENTS.name && is_night(opened_ms),
        });
    }
}

/// The times between two signs that are longer than a limit, and the one that lasts to the end.
fn quiet(signs: &[u64], end_ms: u64, limit_ms: u64) -> Vec<(u64, Option<u64>)> {
    let mut quiet: Vec<(u64, Option<u64>)> = signs
        .windows(2)
        .filter_map(|pair| match pair {
            [last, next] if next - last > limit_ms => Some((*last, Some(*next))),
            _ => None,
        })
        .collect();
    let last = signs.last().filter(|last| **last + limit_ms < end_ms);
    quiet.extend(last.map(|last| (*last, None)));
    quiet
}

/// When somebody looks next who looks at every multiple of a time, but not within some hours of the day.
fn look(at_ms: u64, every_ms: u64, [down, up]: [u64; 2]) -> u64 {
    let look = at_ms.next_multiple_of(every_ms);
    let of_day = (look - START_MS) % DAY_MS;
    match (down * HOUR_MS..up * HOUR_MS).contains(&of_day) {
        true => look - of_day + up * HOUR_MS,
        false => look,
    }
}

fn is_night(at_ms: u64) -> bool {
    let hour = (at_ms - START_MS) % DAY_MS / HOUR_MS;
    !(6..22).contains(&hour)
}
