//! A fleet and its script: who works in which rhythm, when which fault comes, and what is true of it.

use fastrand::Rng;

use crate::diary::Diary;
use crate::fault;
use crate::script::{Act, CLOCKS, DAY_MS, HOUR_MS, LAG_MS, Line, MINUTE_MS, START_MS};
use crate::truth::{Class, Fact, Incident, What, When};

/// How large a fleet is and how long it runs.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Days of the log's time.
    pub days: u64,
    /// Agents.
    pub agents: usize,
}

/// The script of a run and the truth about it.
#[derive(Debug)]
pub struct Plan {
    /// Who does what, by time.
    pub script: Vec<Line>,
    /// What must be seen in the log, and nothing else.
    pub truth: Vec<Fact>,
    /// What happens, in the words of a report.
    pub incidents: Vec<Incident>,
    /// The agents that no fault is planned for.
    pub healthy: Vec<usize>,
    /// The faults that are planned, as often as they are.
    pub faults: Vec<Class>,
    /// When the run ends.
    pub end_ms: u64,
}

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from_ms: u64,
    pub(crate) to_ms: u64,
}

/// The most faults of one agent. A long run has more healthy days, not more faults; and one more heal within a day
/// would be one too many.
const MAX_FAULTS: usize = 3;

/// Room for one fault of one agent, from its first sign to the last of its consequences.
pub(crate) const FAULT_ROOM_MS: u64 = 4 * HOUR_MS;

/// What happens to the whole log, at which per mille of the run. Nothing else goes wrong around these times.
const CALENDAR: [(Class, u64); 4] = [
    (Class::SlowClock, 250),
    (Class::Outage, 500),
    (Class::Silence, 750),
    (Class::PulseForgotten, 900),
];

/// When the operators' key is changed, per mille of the run.
const AMENDMENT: u64 = 620;

/// How long agents are left alone before and after something that happens to the whole log.
const GUARD_MS: u64 = 45 * MINUTE_MS;

impl Span {
    pub(crate) const fn new(from_ms: u64, to_ms: u64) -> Self {
        Self { from_ms, to_ms }
    }

    pub(crate) fn holds(&self, ms: u64) -> bool {
        (self.from_ms..self.to_ms).contains(&ms)
    }
}

/// Plans a run. The same seed and size give the same plan.
pub fn plan(seed: u64, size: Size) -> Plan {
    let end_ms = START_MS + size.days * DAY_MS;
    let mut rng = Rng::with_seed(seed);
    let mut plan = Plan {
        script: Vec::new(),
        truth: Vec::new(),
        incidents: Vec::new(),
        healthy: Vec::new(),
        faults: Vec::new(),
        end_ms,
    };
    let calendar: Vec<(Class, Span)> = CALENDAR.map(|(class, at)| dated(class, at, end_ms)).into();
    for (class, span) in &calendar {
        enter(&mut plan, *class, *span);
    }
    let amendment = START_MS + (end_ms - START_MS) / 1000 * AMENDMENT;
    plan.script.push(line(amendment, Act::Amend));
    let rooms = rooms(&calendar, end_ms);
    let mut deck = Deck::new(&mut rng);
    for agent in 0..size.agents {
        let role = Role::of(agent);
        if role != Role::Faulty {
            plan.healthy.push(agent);
        }
        let faults = match role {
            Role::Faulty => deck.deal(&mut rng, &rooms),
            _ => Vec::new(),
        };
        let down: Vec<Span> = down(&calendar).collect();
        let mut diary = Diary::open(agent, Rng::with_seed(rng.u64(..)), &down, &mut plan);
        diary.enrol(
            (role == Role::Child).then(|| agent - 1),
            role == Role::Parent,
        );
        for (class, room) in faults {
            diary.live_healthily(room.from_ms);
            // Whoever was busy for too long has no room left for this one.
            if diary.now_ms() + FAULT_ROOM_MS <= room.to_ms + HOUR_MS {
                diary.begin_fault(class);
                fault::write(&mut diary, class);
            }
        }
        diary.live_healthily(end_ms);
    }
    plan.script.sort_by_key(|line| line.at_ms);
    plan
}

/// Faults after which a log can't be relied on; and the denials, which count for a day, so that without a fault of the log
/// between them they may be more than the script expects.
const PROBLEMS: [Class; 6] = [
    Class::ForkShown,
    Class::AdmittedForgery,
    Class::AdmittedReplay,
    Class::HiddenRecords,
    Class::ForgedLease,
    Class::TooManyDenials,
];

/// The first run whose log is verified, and its seed: agents go wrong in it, and the log's clock is right.
pub fn sound(size: Size) -> (u64, Plan) {
    let is_sound = |plan: &Plan| !plan.faults.iter().any(|fault| PROBLEMS.contains(fault));
    let mut plans = (1..).map(|seed| (seed, plan(seed, size)));
    let first = plans.find(|(_, plan)| is_sound(plan));
    let (seed, mut plan) = first.expect("one of endlessly many");
    plan.script.retain(|line| !matches!(line.act, Act::Lag(_)));
    plan.truth.retain(|fact| fact.class != Class::SlowClock);
    plan.incidents.retain(|it| it.fault != Class::SlowClock);
    (seed, plan)
}

/// What part an agent plays. A parent's lease is never replaced, since that would end its child's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Healthy,
    Parent,
    Child,
    Faulty,
}

impl Role {
    const fn of(agent: usize) -> Self {
        match agent % 10 {
            0 | 1 => Self::Healthy,
            2 => Self::Parent,
            3 => Self::Child,
            _ => Self::Faulty,
        }
    }
}

/// The classes in an order at random, over and over: each comes once before any comes twice.
struct Deck {
    cards: Vec<Class>,
    next: usize,
}

impl Deck {
    fn new(rng: &mut Rng) -> Self {
        let in_calendar = |class: &&Class| CALENDAR.iter().any(|(other, _)| other == *class);
        let mut cards: Vec<Class> = Class::ALL.to_vec();
        cards.retain(|class| !in_calendar(&class));
        rng.shuffle(&mut cards);
        Self { cards, next: 0 }
    }

    /// A few rooms at random, each with the next class.
    fn deal(&mut self, rng: &mut Rng, rooms: &[Span]) -> Vec<(Class, Span)> {
        let mut chosen = rooms.to_vec();
        rng.shuffle(&mut chosen);
        chosen.truncate(MAX_FAULTS);
        chosen.sort_by_key(|room| room.from_ms);
        let mut card = || {
            self.next += 1;
            self.cards[(self.next - 1) % self.cards.len()]
        };
        chosen.into_iter().map(|room| (card(), room)).collect()
    }
}

fn dated(class: Class, per_mille: u64, end_ms: u64) -> (Class, Span) {
    let long_ms = match class {
        Class::Outage => HOUR_MS,
        Class::Silence => 20 * MINUTE_MS,
        Class::SlowClock => 30 * MINUTE_MS,
        _ => 12 * MINUTE_MS,
    };
    // On a beat of the control plane, so that the beats after it are where they were.
    let every = CLOCKS.pulse_ms;
    let from_ms = START_MS + (end_ms - START_MS) / 1000 * per_mille / every * every;
    (class, Span::new(from_ms, from_ms + long_ms))
}

/// When nothing at all can be logged.
fn down(calendar: &[(Class, Span)]) -> impl Iterator<Item = Span> {
    let is_down = |class| matches!(class, Class::Outage | Class::Silence);
    let down = calendar.iter().filter(move |(class, _)| is_down(*class));
    down.map(|(_, span)| *span)
}

/// Writes down what happens to the whole log, and what must be seen of it.
fn enter(plan: &mut Plan, class: Class, span: Span) {
    let Span { from_ms, to_ms } = span;
    let (begin, end) = match class {
        Class::Outage | Class::Silence => (Act::Down, Act::Up),
        Class::SlowClock => (Act::Lag(LAG_MS), Act::Lag(0)),
        _ => (Act::ForgetPulses(true), Act::ForgetPulses(false)),
    };
    // A moment after the pulse that is due then, which is logged still.
    plan.script.push(line(from_ms + 1, begin));
    plan.script.push(line(to_ms, end));
    plan.faults.push(class);
    plan.truth.extend(fault::of_the_log(class, span));
    plan.incidents.push(fault::incident_of_the_log(class, span));
}

/// Where agents may go wrong: between what happens to the whole log.
fn rooms(calendar: &[(Class, Span)], end_ms: u64) -> Vec<Span> {
    let mut rooms = Vec::new();
    let mut from = START_MS + 2 * HOUR_MS;
    let ends = calendar.iter().map(|(_, span)| *span);
    for busy in ends.chain([Span::new(end_ms, end_ms)]) {
        while from + FAULT_ROOM_MS + GUARD_MS <= busy.from_ms {
            rooms.push(Span::new(from, from + FAULT_ROOM_MS));
            from += FAULT_ROOM_MS + HOUR_MS;
        }
        from = busy.to_ms + GUARD_MS;
    }
    rooms
}

const fn line(at_ms: u64, act: Act) -> Line {
    Line { at_ms, act }
}

impl Fact {
    pub(crate) const fn of_the_log(class: Class, when: When, what: What) -> Self {
        Self {
            class,
            agent: None,
            when,
            what,
        }
    }
}
