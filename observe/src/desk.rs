//! What becomes of a sighting: to whom it is about by the rules, whether it was seen before, what is written down.
//!
//! Plan, then commit, then apply: [`Desk::plan`] says which lines would be written and changes nothing; once they are in
//! the spool [`Desk::apply`] takes them into account, and it does so again for each line when the spool is opened anew.

mod line;
mod seen;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use ledger::digest::RecordHash;
use ledger::record::{Body, Event, Observation, Record, SeenStatus};
use ledger::text::Name;
use serde::{Deserialize, Serialize};
use watchdogs::alert::{Alert, Kind, Labels, Notice, id};
use watchdogs::rules::{Mapped, Rules};

use crate::gap::{Gap, Gaps, Heard, Stream};
use crate::intake::{Count, Found, Sighting, SpanKey, Verdict, Way};

pub(crate) use line::{Line, Tally, Unmapped};
use seen::{Key, Seen};

/// How many tools are remembered for a child that comes after them, and how many children for a tool that comes after
/// them: a second of a flood.
const MAX_REMEMBERED: usize = 20_000;

/// How many agents of a source are remembered.
const MAX_AGENTS: usize = 1_000;

/// What is known between two requests.
#[derive(Debug)]
pub(crate) struct Desk {
    rules: Rules,
    log: RecordHash,
    seen: Seen,
    verdicts: Recent<SeenStatus>,
    tools: Recent<Observation>,
    gaps: Gaps,
    agents: BTreeMap<Name, BTreeSet<Name>>,
    tally: Tally,
}

/// What is kept of it beside the lines.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    seen: Vec<String>,
    streams: Vec<((String, String), Stream)>,
    tally: Tally,
}

/// What a request comes to.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// What is to be written.
    pub(crate) lines: Vec<Line>,
    /// How many sightings were seen before.
    pub(crate) duplicates: u64,
}

impl Desk {
    pub(crate) fn new(rules: Rules, log: RecordHash, kept: Kept) -> Self {
        Self {
            rules,
            log,
            seen: Seen::of(&kept.seen),
            verdicts: Recent::default(),
            tools: Recent::default(),
            gaps: Gaps::of(kept.streams),
            agents: BTreeMap::new(),
            tally: kept.tally,
        }
    }

    /// What is to be kept.
    pub(crate) fn kept(&self) -> Kept {
        Kept {
            seen: self.seen.kept(),
            streams: self.gaps.kept(),
            tally: self.tally.clone(),
        }
    }

    /// What was counted.
    pub(crate) const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What was counted, to be counted on.
    pub(crate) const fn tally_mut(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// What a request comes to, at a time of this machine.
    pub(crate) fn plan(&self, found: Found, now_ms: u64) -> Plan {
        let mut plan = Plan::default();
        let mut keys = BTreeMap::new();
        for sighting in self.spread(found.sightings) {
            self.plan_sighting(sighting, now_ms, &mut keys, &mut plan);
        }
        for verdict in found.verdicts {
            self.plan_verdict(&verdict, now_ms, &mut keys, &mut plan);
        }
        plan.lines.extend(self.counts(found.counts, now_ms));
        plan
    }

    fn plan_sighting(
        &self,
        mut sighting: Sighting,
        now_ms: u64,
        keys: &mut BTreeMap<Key, (Way, [u8; 8])>,
        plan: &mut Plan,
    ) {
        let span = sighting.span.take();
        if let Some(status) = span.as_ref().and_then(|it| self.verdicts.get(it)) {
            say(&mut sighting.notice.alert, *status);
        }
        let Mapped { agent, class } = self.rules.map(&sighting.notice);
        let Some(agent) = agent else {
            let unmapped = Unmapped::of(&sighting.notice);
            let key = unmapped.key();
            match self.is_new(key, sighting.way, [0; 8], keys) {
                true => plan.lines.push(Line::Unmapped(unmapped)),
                false => plan.duplicates += 1,
            }
            return;
        };
        let mut observations = sighting.notice.alert.observations(&agent, class);
        if sighting.notice.by_name {
            plan.duplicates += self.go_on(&mut observations, keys);
        }
        for observation in observations {
            self.plan_observation(observation, sighting.way, span.as_ref(), now_ms, keys, plan);
        }
    }

    /// Of an alert that is known by its name alone, and was heard of before: it does not open again, and its end does not
    /// say when it began. Gives how many openings were left out.
    fn go_on(
        &self,
        observations: &mut Vec<Observation>,
        keys: &BTreeMap<Key, (Way, [u8; 8])>,
    ) -> u64 {
        let is_opening = |it: &Observation| it.event == Event::AlertOpened;
        let is_known = observations.iter().find(|it| is_opening(it)).map(Key::of);
        let is_known = is_known.is_some_and(|it| keys.contains_key(&it) || self.seen.has(it));
        if !is_known {
            return 0;
        }
        let all = observations.len();
        observations.retain(|it| !is_opening(it));
        observations.iter_mut().for_each(|it| it.began_ms = None);
        (all - observations.len()) as u64
    }

    /// A gap of which nobody says whom it concerns concerns every agent that its source has spoken of.
    fn spread(&self, sightings: Vec<Sighting>) -> Vec<Sighting> {
        let is_gap = |it: &Sighting| it.notice.alert.kind == Kind::of(Event::SourceGap);
        let agent = |it: &Sighting| self.rules.map(&it.notice).agent;
        let of_nobody = |it: &Sighting| is_gap(it) && agent(it).is_none();
        let (gaps, mut rest): (Vec<_>, Vec<_>) = sightings.into_iter().partition(of_nobody);
        for gap in gaps {
            let source = &gap.notice.alert.source;
            let here = rest.iter().filter(|it| it.notice.alert.source == *source);
            let here: BTreeSet<Name> = here.filter_map(agent).collect();
            let mut agents = here;
            agents.extend(self.agents_of(source));
            if agents.is_empty() {
                rest.push(gap);
                continue;
            }
            for agent in agents {
                let mut its = gap.clone();
                let name = format!("{}/{agent}", its.notice.alert.source_id);
                its.notice.alert.source_id = id(&name);
                its.notice.alert.agent = Some(agent);
                rest.push(its);
            }
        }
        rest
    }

    fn plan_observation(
        &self,
        observation: Observation,
        way: Way,
        span: Option<&SpanKey>,
        now_ms: u64,
        keys: &mut BTreeMap<Key, (Way, [u8; 8])>,
        plan: &mut Plan,
    ) {
        let (key, digest) = (Key::of(&observation), seen::short(observation.digest));
        if !self.is_new(key, way, digest, keys) {
            plan.duplicates += 1;
            return;
        }
        plan.lines.push(Line::Observation {
            payload: self.payload(observation, now_ms),
            way,
            span: span.map(line::span_text),
        });
    }

    /// Whether nothing here says the same: neither the same content in the same way, nor the same thing in another way.
    fn is_new(
        &self,
        key: Key,
        way: Way,
        digest: [u8; 8],
        keys: &mut BTreeMap<Key, (Way, [u8; 8])>,
    ) -> bool {
        let known = keys.get(&key).copied().or_else(|| self.seen.get(key));
        let is_new = known.is_none_or(|(was, said)| was == way && said != digest);
        if is_new {
            keys.insert(key, (way, digest));
        }
        is_new
    }

    /// A child that comes after its parent: what was said of the parent is said again, with what became of it. A child
    /// that comes before it waits.
    fn plan_verdict(
        &self,
        verdict: &Verdict,
        now_ms: u64,
        keys: &mut BTreeMap<Key, (Way, [u8; 8])>,
        plan: &mut Plan,
    ) {
        let Some(tool) = self.tools.get(&verdict.parent) else {
            plan.lines.push(Line::Verdict {
                span: line::span_text(&verdict.parent),
                status: verdict.status.as_str().to_owned(),
            });
            return;
        };
        let event = match verdict.status {
            SeenStatus::Denied => Event::ToolDenied,
            _ => Event::ToolEnded,
        };
        let observation = Observation {
            event,
            status: Some(verdict.status),
            ..tool.clone()
        };
        self.plan_observation(observation, Way::Span, None, now_ms, keys, plan);
    }

    /// One line for each stream of a request.
    fn counts(&self, counts: Vec<Count>, now_ms: u64) -> Vec<Line> {
        let mut streams = BTreeMap::<(Name, String), (Option<Name>, Vec<(u64, u64)>)>::new();
        for count in counts {
            let Count {
                source,
                stream,
                number,
                at_ms,
                labels,
            } = count;
            let agent = self.rules.map_labels(&source, &labels).agent;
            let known = streams.entry((source, stream)).or_default();
            known.0 = agent.or(known.0.take());
            known.1.push((number, at_ms));
        }
        let lines = streams
            .into_iter()
            .map(|((source, stream), (agent, numbers))| Line::Count {
                source: source.to_string(),
                stream,
                agent: agent.map(|it| it.to_string()),
                numbers,
                now_ms,
            });
        lines.collect()
    }

    /// Takes a line into account that is in the spool.
    pub(crate) fn apply(&mut self, line: &Line) {
        match line {
            Line::Observation { payload, way, span } => {
                let Some(observation) = line::observation(payload) else {
                    return;
                };
                self.tally.observations += 1;
                self.know(&observation.source, &observation.agent);
                let digest = seen::short(observation.digest);
                self.seen.put(Key::of(&observation), (*way, digest));
                if let Some(span) = span.as_deref().and_then(line::span_key) {
                    self.verdicts.remove(&span);
                    self.tools.put(span, observation);
                }
            }
            Line::Unmapped(unmapped) => {
                *self
                    .tally
                    .unmapped
                    .entry(unmapped.source.clone())
                    .or_default() += 1;
                self.seen.put(unmapped.key(), (Way::Alert, [0; 8]));
            }
            Line::Verdict { span, status } => {
                if let Some((span, status)) = line::span_key(span).zip(status.parse().ok()) {
                    self.verdicts.put(span, status);
                }
            }
            Line::Count {
                source,
                stream,
                agent,
                numbers,
                now_ms,
            } => {
                for (number, at_ms) in numbers {
                    self.gaps.count(Heard {
                        source,
                        stream,
                        agent: agent.as_deref(),
                        number: *number,
                        at_ms: *at_ms,
                        now_ms: *now_ms,
                    });
                }
            }
        }
    }

    fn know(&mut self, source: &Name, agent: &Name) {
        if !self.agents.contains_key(source) {
            self.agents.insert(source.clone(), BTreeSet::new());
        }
        if let Some(agents) = self.agents.get_mut(source)
            && agents.len() < MAX_AGENTS
            && !agents.contains(agent)
        {
            agents.insert(agent.clone());
        }
    }

    /// The agents that a source has spoken of: those that a gap is about which nobody could read.
    pub(crate) fn agents_of(&self, source: &Name) -> Vec<Name> {
        self.agents
            .get(source)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    /// Holes in counters that have been open for too long, and the lines that say so.
    pub(crate) fn due(&self, now_ms: u64) -> (Vec<Gap>, Plan) {
        let gaps = self.gaps.due(now_ms);
        let sightings = gaps.iter().filter_map(gap_sighting).collect();
        let found = Found {
            sightings,
            ..Found::default()
        };
        (gaps, self.plan(found, now_ms))
    }

    /// Lets gaps be that are on record.
    pub(crate) fn settle(&mut self, gaps: &[Gap]) {
        gaps.iter().for_each(|gap| self.gaps.settle(gap));
    }

    /// Whom things would have been about that the spool had no room for: how many of each agent.
    pub(crate) fn losses(&self, found: &Found) -> BTreeMap<(Name, Option<Name>), u64> {
        let mut losses = BTreeMap::new();
        for sighting in &found.sightings {
            let agent = self.rules.map(&sighting.notice).agent;
            let source = sighting.notice.alert.source.clone();
            *losses.entry((source, agent)).or_default() += 1;
        }
        losses
    }

    fn payload(&self, observation: Observation, now_ms: u64) -> String {
        let record = Record {
            log: Some(self.log),
            at_ms: now_ms,
            body: Body::Observation(Box::new(observation)),
            ext: None,
        };
        record.to_payload()
    }
}

/// What a source said that it has lost, or what was lost here.
pub(crate) fn loss(
    source: &Name,
    agent: &Name,
    count: u64,
    name: &str,
    span_ms: (u64, u64),
) -> Sighting {
    gap(
        source,
        Some(agent.clone()),
        name,
        &format!("{count} lost"),
        span_ms,
    )
}

fn gap_sighting(gap_: &Gap) -> Option<Sighting> {
    let Gap {
        source,
        stream,
        agent,
        from,
        to,
        before_ms,
        after_ms,
    } = gap_;
    let missing = to - from + 1;
    let monitor = format!("{missing} missing, from {from} to {to}");
    let source = source.parse().ok()?;
    let name = format!("{stream}/{from}-{to}");
    Some(gap(
        &source,
        agent.clone(),
        &name,
        &monitor,
        (*before_ms, *after_ms),
    ))
}

fn gap(
    source: &Name,
    agent: Option<Name>,
    name: &str,
    monitor: &str,
    (before_ms, after_ms): (u64, u64),
) -> Sighting {
    Sighting {
        notice: Notice {
            alert: Alert {
                source: source.clone(),
                source_id: id(name),
                monitor: monitor.to_owned(),
                agent,
                kind: Kind::of(Event::SourceGap),
                opened_ms: before_ms,
                closed_ms: Some(after_ms),
                severity: None,
            },
            labels: Labels::new(),
            class: None,
            muted: None,
            by_name: false,
        },
        way: Way::Alert,
        span: None,
    }
}

/// Says what became of a tool.
fn say(alert: &mut Alert, said: SeenStatus) {
    if let Kind::Event { event, status, .. } = &mut alert.kind {
        *status = Some(said);
        if said == SeenStatus::Denied {
            *event = Event::ToolDenied;
        }
    }
}

/// The last of many, by span.
#[derive(Debug)]
struct Recent<T> {
    all: HashMap<SpanKey, T>,
    order: VecDeque<SpanKey>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self {
            all: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<T> Recent<T> {
    fn get(&self, span: &SpanKey) -> Option<&T> {
        self.all.get(span)
    }

    fn remove(&mut self, span: &SpanKey) {
        self.all.remove(span);
    }

    fn put(&mut self, span: SpanKey, value: T) {
        if self.all.insert(span.clone(), value).is_none() {
            self.order.push_back(span);
        }
        while self.order.len() > MAX_REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.all.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests;
