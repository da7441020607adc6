//! What may happen next, at random: mostly as it should, sometimes not.

use ledger::record::{AgentState, Rule};
use proptest::prelude::*;

/// One record, made and offered, after some time has passed.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) wait: Wait,
    /// Which of the agents.
    pub(crate) agent: usize,
    pub(crate) act: Act,
    /// What is wrong with it: usually nothing, at most two things.
    pub(crate) twists: Vec<Twist>,
    /// Whether control logs what is due now, or is late.
    pub(crate) settles: bool,
}

/// How time passes before a record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    /// So long, while the control plane beats and does its duties.
    Ms(u64),
    /// Until so long after the next deadline, or before it.
    Deadline(i64),
    /// So long, and nothing at all is logged.
    Silence(u64),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Beat {
        progress: u64,
        last: bool,
        drifts: bool,
    },
    Restart,
    Goal,
    Intent {
        goal: usize,
        scope: usize,
        tokens: u64,
    },
    Result {
        intent: usize,
        tokens: u64,
    },
    Outcome {
        goal: usize,
        backed: bool,
    },
    Register {
        change_key: bool,
        by_old_key: bool,
    },
    Grant {
        parent: Option<usize>,
        from_s: u64,
        for_s: u64,
        allow: usize,
        actions: Option<u64>,
    },
    Renew {
        lease: usize,
        by_control: bool,
        for_s: u64,
    },
    Revoke {
        lease: usize,
    },
    Order(AgentState),
    Amend(Amendment),
    Transition(Rule, AgentState),
    Pulse,
    /// Control says that it refused an intent; with what it was, or without.
    Refuse {
        is_told: bool,
    },
    Observe,
}

/// What an amendment changes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Amendment {
    /// Twice as patient, or half.
    Clocks { slower: bool },
    /// From enforce to observe, or back.
    Mode,
    /// The oldest operator's key is distrusted, and another takes its place.
    Distrust,
    /// One operator is enough, or two are needed.
    Threshold(u64),
    /// Another key signs the log's heads.
    LogKey,
    /// The only control key is distrusted.
    DistrustControl,
    /// A key of the log gets a role.
    LogsKey,
    /// An agent's key gets a role.
    AgentsKey,
    /// Its clocks contradict each other.
    Contradiction,
}

/// One thing that is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Twist {
    OtherLog,
    Agent,
    Key(u8),
    /// One signature less.
    Unsigned,
    Forged,
    Epoch(i64),
    Instance(u8),
    Seq(i64),
    Prev,
    Before,
    At(i64),
    /// The goal, lease, manifest or state that it speaks of.
    Names,
    /// What its signer knew.
    After,
    /// A head that the agent was shown.
    Seen {
        size: u64,
        by: u8,
    },
}

/// The steps of one history: mostly one by one, sometimes some that belong together.
pub(crate) fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let single = any_step().prop_map(|step| vec![step]);
    let together = (any_agent(), any_plot()).prop_map(|(agent, plot)| {
        let step = |(wait_ms, act, twist)| Step {
            wait: Wait::Ms(wait_ms),
            agent,
            act,
            twists: Option::into_iter(twist).collect(),
            settles: true,
        };
        plot.into_iter().map(step).collect()
    });
    prop::collection::vec(prop_oneof![6 => single, 1 => together], 1..40)
        .prop_map(|parts| parts.concat())
}

fn any_agent() -> impl Strategy<Value = usize> {
    prop_oneof![6 => Just(0usize), 2 => Just(1), 1 => Just(2)]
}

/// What single steps hardly come upon: a process that lives on, work from goal to outcome, an
/// agent that tries what it must not, one that stands still, a process that speaks too late, what
/// only a slip can make wrong. Each act comes some time after the one before.
fn any_plot() -> impl Strategy<Value = Vec<(u64, Act, Option<Twist>)>> {
    let beat = |progress| Act::Beat {
        progress,
        last: false,
        drifts: false,
    };
    let grant = |for_s, actions| Act::Grant {
        parent: None,
        from_s: 0,
        for_s,
        allow: 0,
        actions,
    };
    let intent = |scope, tokens| Act::Intent {
        goal: 0,
        scope,
        tokens,
    };
    let lives = (
        1..5usize,
        0..2u64,
        prop::sample::select(vec![4_999u64, 5_000, 10_000]),
    )
        .prop_map(move |(beats, progress, every_ms)| vec![(every_ms, beat(progress)); beats]);
    let works = (0..7usize, 0..12u64, 0..60u64).prop_map(move |(scope, reserve, tokens)| {
        let (result, outcome) = (
            Act::Result { intent: 0, tokens },
            Act::Outcome {
                goal: 0,
                backed: true,
            },
        );
        let call = intent(scope, reserve);
        let acts = [Act::Goal, call, result, call, outcome];
        acts.map(|act| (1_000, act)).to_vec()
    });
    let tries = (4..7usize, 4..7usize).prop_map(move |(one, two)| {
        let acts = [Act::Goal, intent(one, 1), intent(two, 2)];
        acts.map(|act| (1_000, act)).to_vec()
    });
    // Silence until healing is due, and a new process that comes back, or stands still.
    let heals = (0..2u64, 4_999..5_002u64).prop_map(move |(progress, apart_ms)| {
        vec![
            (60_000, beat(1)),
            (apart_ms, beat(progress)),
            (apart_ms, beat(1)),
        ]
    });
    // It beats over its goal until it is degraded, healed, or given up.
    let stands = (1..8usize).prop_map(move |beats| {
        let still = vec![(9_999, beat(0)); beats];
        [vec![(1_000, Act::Goal)], still].concat()
    });
    let on_time = prop_oneof![3 => lives, 2 => works, 1 => tries, 1 => heals, 1 => stands];
    // Most of it is nothing but refusals under a lease that has ended, as most have by then.
    let actions = prop::sample::select(vec![None, Some(1), Some(3)]);
    let anew = prop::option::of(actions);
    let on_time = (anew, on_time).prop_map(move |(anew, acts)| {
        let right = |(wait_ms, act)| (wait_ms, act, None);
        let begin = |actions| [(0, grant(120, actions), None), (0, beat(1), None)];
        let before = anew.map(begin).into_iter().flatten();
        before.chain(acts.into_iter().map(right)).collect()
    });
    // Made before the lease ended, or just after, and logged later: a first beat, or a goal.
    let lates = (-3i64..0, any::<bool>()).prop_map(move |(seconds, has_begun)| {
        let late = Some(Twist::At(seconds * 1_000));
        let granted = (0, grant(10, None), None);
        match has_begun {
            false => vec![granted, (10_500, beat(1), late)],
            true => vec![granted, (1_000, beat(1), None), (9_500, Act::Goal, late)],
        }
    });
    let slips = (any::<bool>(), -1..=1i64).prop_map(move |(is_told, off)| {
        let register = Act::Register {
            change_key: false,
            by_old_key: false,
        };
        let unbacked = Act::Outcome {
            goal: 0,
            backed: false,
        };
        let shown = Twist::Seen {
            size: 3,
            by: if is_told { 6 } else { 7 },
        };
        let lost = Act::Transition(Rule::PulseLost, AgentState::Degraded);
        vec![
            (0, grant(120, None), None),
            (0, beat(2), None),
            (0, beat(0), Some(Twist::Names)),
            (0, beat(1), Some(Twist::Seq(-1))),
            (0, beat(1), Some(shown)),
            (0, lost, Some(Twist::Names)),
            (0, Act::Refuse { is_told }, Some(Twist::Epoch(off))),
            (0, lost, Some(Twist::Seq(off))),
            (0, lost, Some(Twist::Epoch(off))),
            (0, register, Some(Twist::Names)),
            (0, Act::Pulse, Some(Twist::Seq(off))),
            (0, Act::Pulse, Some(Twist::Names)),
            (0, Act::Goal, None),
            (0, unbacked, None),
        ]
    });
    prop_oneof![6 => on_time, 1 => lates, 1 => slips]
}

fn any_step() -> impl Strategy<Value = Step> {
    let twists = prop_oneof![
        8 => Just(vec![]),
        4 => any_twist().prop_map(|twist| vec![twist]),
        1 => (any_twist(), any_twist()).prop_map(|(one, two)| vec![one, two]),
    ];
    let agent = prop_oneof![6 => Just(0usize), 2 => Just(1), 1 => Just(2)];
    (
        any_wait(),
        agent,
        any_act(),
        twists,
        prop::bool::weighted(0.9),
    )
        .prop_map(|(wait, agent, act, twists, settles)| Step {
            wait,
            agent,
            act,
            twists,
            settles,
        })
}

fn any_wait() -> impl Strategy<Value = Wait> {
    // Half a beat, a beat, two beats, what degrades and what heals, to the millisecond.
    let near = prop::sample::select(vec![5_000u64, 10_000, 15_000, 20_000, 30_000, 60_000]);
    prop_oneof![
        4 => Just(Wait::Ms(0)),
        3 => (0..12_000u64).prop_map(Wait::Ms),
        4 => (near, -1..=1i64).prop_map(|(ms, off)| Wait::Ms(ms.saturating_add_signed(off))),
        3 => (-1..=1i64).prop_map(Wait::Deadline),
        1 => prop_oneof![9 => 1..90_000u64, 1 => 86_390_000..86_410_000u64].prop_map(Wait::Silence),
    ]
}

fn any_act() -> impl Strategy<Value = Act> {
    let few = 0..3usize;
    prop_oneof![
        12 => (0..3u64, prop::bool::weighted(0.1), prop::bool::weighted(0.05))
            .prop_map(|(progress, last, drifts)| Act::Beat { progress, last, drifts }),
        3 => Just(Act::Restart),
        5 => Just(Act::Goal),
        9 => (few.clone(), 0..7usize, 0..20u64)
            .prop_map(|(goal, scope, tokens)| Act::Intent { goal, scope, tokens }),
        3 => (few.clone(), 0..40u64).prop_map(|(intent, tokens)| Act::Result { intent, tokens }),
        2 => (few.clone(), any::<bool>())
            .prop_map(|(goal, backed)| Act::Outcome { goal, backed }),
        1 => (prop::bool::weighted(0.3), any::<bool>())
            .prop_map(|(change_key, by_old_key)| Act::Register { change_key, by_old_key }),
        4 => any_grant(),
        2 => (few.clone(), any::<bool>(), 1..120u64)
            .prop_map(|(lease, by_control, for_s)| Act::Renew { lease, by_control, for_s }),
        1 => few.prop_map(|lease| Act::Revoke { lease }),
        2 => any_target().prop_map(Act::Order),
        2 => (prop::sample::select(Rule::ALL), any_state())
            .prop_map(|(rule, to)| Act::Transition(rule, to)),
        1 => Just(Act::Pulse),
        1 => any::<bool>().prop_map(|is_told| Act::Refuse { is_told }),
        1 => Just(Act::Observe),
        2 => any_amendment().prop_map(Act::Amend),
    ]
}

fn any_grant() -> impl Strategy<Value = Act> {
    let parent = prop::option::weighted(0.3, 0..3usize);
    let from_s = prop_oneof![5 => Just(0), 1 => 1..60u64];
    let actions = prop::option::weighted(0.4, 0..4u64);
    (parent, from_s, 0..150u64, 0..5usize, actions).prop_map(
        |(parent, from_s, for_s, allow, actions)| Act::Grant {
            parent,
            from_s,
            for_s,
            allow,
            actions,
        },
    )
}

fn any_amendment() -> impl Strategy<Value = Amendment> {
    prop_oneof![
        1 => any::<bool>().prop_map(|slower| Amendment::Clocks { slower }),
        1 => Just(Amendment::Mode),
        1 => Just(Amendment::Distrust),
        3 => (1..3u64).prop_map(Amendment::Threshold),
        1 => Just(Amendment::LogKey),
        1 => Just(Amendment::DistrustControl),
        1 => Just(Amendment::LogsKey),
        1 => Just(Amendment::AgentsKey),
        1 => Just(Amendment::Contradiction),
    ]
}

fn any_target() -> impl Strategy<Value = AgentState> {
    use AgentState::{Autohealing, Quarantined, Stopped};
    prop::sample::select(vec![Autohealing, Autohealing, Quarantined, Stopped])
}

fn any_state() -> impl Strategy<Value = AgentState> {
    prop::sample::select(AgentState::ALL)
}

fn any_twist() -> impl Strategy<Value = Twist> {
    let minutes = |minutes: i64| minutes * 60_000 - 1..=minutes * 60_000 + 1;
    prop_oneof![
        1 => Just(Twist::OtherLog),
        1 => Just(Twist::Agent),
        1 => (0..11u8).prop_map(Twist::Key),
        1 => Just(Twist::Forged),
        4 => Just(Twist::Unsigned),
        1 => (-2..3i64).prop_map(Twist::Epoch),
        1 => (1..5u8).prop_map(Twist::Instance),
        1 => (-1..2i64).prop_map(Twist::Seq),
        1 => Just(Twist::Prev),
        1 => Just(Twist::Before),
        1 => minutes(2).prop_map(Twist::At),
        1 => minutes(-5).prop_map(Twist::At),
        1 => minutes(-24 * 60).prop_map(Twist::At),
        1 => minutes(24 * 60).prop_map(Twist::At),
        1 => (-20_000..1_000i64).prop_map(Twist::At),
        2 => Just(Twist::Names),
        2 => (0..40u64, prop::sample::select(vec![6u8, 6, 6, 40, 41, 7]))
            .prop_map(|(size, by)| Twist::Seen { size, by }),
        2 => Just(Twist::After),
    ]
}
