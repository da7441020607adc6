//! One agent's part of the script: it lives in its rhythm, and a fault is written in between.

use fastrand::Rng;

use crate::fleet::{FAULT_ROOM_MS, Plan, Span};
use crate::script::{
    Act, CLOCKS, DAY_MS, Deed, HOUR_MS, INFLIGHT_MS, LAG_MS, Line, MINUTE_MS, START_MS,
};
use crate::truth::{Class, Fact, Incident, What, When};

/// How long a lease is, and a renewal of it.
const LEASE_MS: u64 = DAY_MS;

/// How long before its end a lease is renewed: longer than anything lasts in which nobody can.
const RENEW_AHEAD_MS: u64 = 7 * HOUR_MS;

/// The tokens that a call uses up: as many as it reserves.
const TOKENS: u64 = 10;

/// In which rhythm an agent works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rhythm {
    /// By day, call by call.
    Office,
    /// Calls that take nearly as long as they may.
    LongCalls,
    /// Many short calls, then nothing.
    Bursts,
    /// A job, an end, and again some hours later.
    Cron,
    /// Like the office, on a machine that fails.
    Frail,
}

impl Rhythm {
    const ALL: [Self; 5] = [
        Self::Office,
        Self::LongCalls,
        Self::Bursts,
        Self::Cron,
        Self::Frail,
    ];
}

/// One agent's part of the script, written from the beginning to the end.
#[derive(Debug)]
pub(crate) struct Diary<'a> {
    plan: &'a mut Plan,
    agent: usize,
    rng: Rng,
    rhythm: Rhythm,
    down: &'a [Span],
    now_ms: u64,
    beat_ms: u64,
    lease_ends_ms: u64,
    /// Until when control may renew the lease.
    renew_until_ms: u64,
    /// Whether it did anything since the grant or the last renewal.
    has_earned: bool,
    /// Whether others' leases hang on its lease, or its lease on another's.
    keeps_lease: bool,
}

impl<'a> Diary<'a> {
    pub(crate) fn open(agent: usize, rng: Rng, down: &'a [Span], plan: &'a mut Plan) -> Self {
        Self {
            plan,
            agent,
            rhythm: Rhythm::ALL[agent % Rhythm::ALL.len()],
            rng,
            down,
            now_ms: START_MS + 1_000 * (agent as u64 + 1),
            beat_ms: 0,
            lease_ends_ms: 0,
            renew_until_ms: 0,
            has_earned: false,
            keeps_lease: false,
        }
    }

    /// When the last line was.
    pub(crate) const fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The agent is registered, has a lease, and begins.
    pub(crate) fn enrol(&mut self, parent: Option<usize>, is_parent: bool) {
        self.keeps_lease = is_parent || parent.is_some();
        let for_ms = LEASE_MS;
        self.deed(Deed::Enrol { for_ms, parent });
        self.granted(for_ms);
        self.wait(500);
        self.deed(Deed::Begin);
    }

    /// Works and rests in its rhythm until a time, or until what it was about then is done.
    pub(crate) fn live_healthily(&mut self, until_ms: u64) {
        while self.now_ms < until_ms {
            match self.rhythm {
                _ if self.is_night() => self.sleep(until_ms),
                Rhythm::Cron => self.job(until_ms),
                Rhythm::Frail if self.rng.u8(..) < 60 && !self.is_down_soon() => {
                    self.crash_in_a_call();
                }
                _ => self.work(),
            }
            let rest = self.between(5 * MINUTE_MS, 40 * MINUTE_MS);
            self.live((self.now_ms + rest).min(until_ms));
        }
    }

    /// Beats until a time.
    pub(crate) fn live(&mut self, until_ms: u64) {
        while self.next_beat_ms() < until_ms {
            self.now_ms = self.now_ms.max(self.next_beat_ms());
            self.keep_lease();
            let seen = self.rng.u8(..) < 32;
            self.deed(Deed::Beat { steps: 0, seen });
        }
        self.now_ms = self.now_ms.max(until_ms);
    }

    /// Does something now, or when the control plane is back, if it is down.
    pub(crate) fn deed(&mut self, deed: Deed) {
        if let Some(down) = self.down.iter().find(|down| down.holds(self.now_ms)) {
            self.now_ms = down.to_ms + self.rng.u64(1_000..30_000);
        }
        match deed {
            Deed::Begin | Deed::Follow | Deed::Restart | Deed::Beat { .. } => {
                self.beat_ms = self.now_ms;
            }
            Deed::Goal | Deed::Intent | Deed::Result { .. } | Deed::Outcome => {
                self.has_earned = true;
            }
            _ => {}
        }
        self.plan.script.push(Line {
            at_ms: self.now_ms,
            act: Act::Agent(self.agent, deed),
        });
    }

    /// Lets time pass in silence.
    pub(crate) const fn wait(&mut self, ms: u64) {
        self.now_ms += ms;
    }

    /// Lets time pass in silence until a time.
    pub(crate) fn wait_until(&mut self, at_ms: u64) {
        self.now_ms = self.now_ms.max(at_ms);
    }

    /// Writes down what must be seen of a fault of this agent.
    pub(crate) fn expect(&mut self, class: Class, when: When, what: What) {
        self.plan.truth.push(Fact {
            class,
            agent: Some(self.agent),
            when,
            what,
        });
    }

    /// Writes down what happened of a fault of this agent, from its cause until now.
    pub(crate) fn happened(&mut self, fault: Class, class: &'static str, began_ms: u64) {
        self.plan.incidents.push(Incident {
            fault,
            class,
            agent: Some(self.agent),
            began_ms,
            ended_ms: self.now_ms,
            is_false: false,
        });
    }

    /// Writes down that the control plane says something now that is not so.
    pub(crate) fn said_wrongly(&mut self, fault: Class, class: &'static str) {
        self.happened(fault, class, self.now_ms);
        if let Some(said) = self.plan.incidents.last_mut() {
            said.is_false = true;
        }
    }

    /// A lease that is good for all that a fault may bring, and a moment of quiet behind it.
    pub(crate) fn begin_fault(&mut self, class: Class) {
        self.plan.faults.push(class);
        if self.lease_ends_ms < self.now_ms + RENEW_AHEAD_MS + FAULT_ROOM_MS {
            self.renew_by_operators();
        }
        self.live(self.now_ms + 6 * MINUTE_MS);
        let quiet = self.between(1_000, 50_000);
        self.wait(quiet);
    }

    /// A new lease, on which the process goes on.
    pub(crate) fn lease_anew(&mut self, tokens: Option<u64>) {
        let for_ms = LEASE_MS;
        self.deed(Deed::Lease { for_ms, tokens });
        self.granted(for_ms);
    }

    /// Operators renew the lease.
    pub(crate) fn renew_by_operators(&mut self) {
        let expires_ms = self.now_ms + LEASE_MS;
        self.renew(false, expires_ms);
    }

    /// Somebody renews the lease.
    pub(crate) fn renew(&mut self, by_control: bool, expires_ms: u64) {
        self.deed(Deed::Renew {
            by_control,
            expires_ms,
        });
        self.lease_ends_ms = expires_ms;
        self.has_earned = false;
    }

    /// When the lease ends.
    pub(crate) const fn lease_ends_ms(&self) -> u64 {
        self.lease_ends_ms
    }

    /// One call: an intent, what it takes, a result.
    pub(crate) fn call(&mut self, ms: u64) {
        self.deed(Deed::Intent);
        self.live(self.now_ms + ms);
        self.deed(Deed::Result { tokens: TOKENS });
    }

    /// A time at random.
    pub(crate) fn between(&mut self, from_ms: u64, to_ms: u64) -> u64 {
        self.rng.u64(from_ms..to_ms)
    }

    fn granted(&mut self, for_ms: u64) {
        self.lease_ends_ms = self.now_ms + for_ms;
        self.renew_until_ms = self.now_ms + 2 * for_ms;
        self.has_earned = false;
    }

    fn next_beat_ms(&self) -> u64 {
        self.beat_ms + CLOCKS.heartbeat_ms
    }

    /// Renews the lease in time, or takes a new one: whichever way it can be done.
    fn keep_lease(&mut self) {
        if self.lease_ends_ms > self.now_ms + RENEW_AHEAD_MS {
            return;
        }
        // As long as the lease by a clock that is late.
        let by_control = (self.now_ms + LEASE_MS - LAG_MS).min(self.renew_until_ms);
        let way = self.rng.u8(..3);
        if way == 0 && self.has_earned && by_control > self.lease_ends_ms + HOUR_MS {
            self.renew(true, by_control);
        } else if way == 1 && !self.keeps_lease {
            self.lease_anew(None);
            self.wait(2_000);
            self.deed(Deed::Follow);
        } else {
            self.renew_by_operators();
        }
        self.wait(1_000);
    }

    fn is_night(&self) -> bool {
        let hour = (self.now_ms - START_MS) % DAY_MS / HOUR_MS;
        !matches!(self.rhythm, Rhythm::Cron) && !(6..22).contains(&hour)
    }

    /// Whether the log will be down before a process that crashes now is replaced: then its call would be closed too
    /// late, and that would be a fault.
    fn is_down_soon(&self) -> bool {
        let soon = Span::new(self.now_ms, self.now_ms + HOUR_MS);
        self.down.iter().any(|down| soon.holds(down.from_ms))
    }

    fn sleep(&mut self, until_ms: u64) {
        let morning = (self.now_ms - START_MS + 2 * HOUR_MS) / DAY_MS * DAY_MS + 6 * HOUR_MS;
        self.live((START_MS + morning).min(until_ms));
    }

    /// A goal with some calls.
    fn work(&mut self) {
        let (calls, shortest, longest) = match self.rhythm {
            Rhythm::LongCalls => (
                self.rng.u64(1..4),
                INFLIGHT_MS * 2 / 3,
                INFLIGHT_MS - LAG_MS - 5_000,
            ),
            Rhythm::Bursts => (self.rng.u64(10..25), 500, 5_000),
            _ => (self.rng.u64(1..6), 2_000, 4 * MINUTE_MS),
        };
        self.deed(Deed::Goal);
        for _ in 0..calls {
            let (think, call) = (self.between(500, 30_000), self.between(shortest, longest));
            self.live(self.now_ms + think);
            self.call(call);
        }
        self.wait(700);
        self.deed(Deed::Outcome);
    }

    /// A job that says goodbye at its end, and comes back some hours later.
    fn job(&mut self, until_ms: u64) {
        self.work();
        self.wait(1_000);
        self.keep_lease();
        self.deed(Deed::Goodbye);
        let pause = self.between(HOUR_MS, 4 * HOUR_MS);
        self.wait_until((self.now_ms + pause).min(until_ms.max(self.now_ms + MINUTE_MS)));
        self.deed(Deed::Restart);
    }

    /// The process dies in a call; the next one closes what it finds open.
    fn crash_in_a_call(&mut self) {
        self.deed(Deed::Goal);
        self.live(self.now_ms + 20_000);
        self.deed(Deed::Intent);
        self.restart_after_silence();
        self.wait(3_000);
        self.deed(Deed::Result { tokens: 0 });
        self.wait(1_000);
        self.deed(Deed::Outcome);
    }

    /// Starts the next process as soon as the silence of the one before lets it.
    pub(crate) fn restart_after_silence(&mut self) {
        let since = self.silent_since_ms();
        // More than the log's clock may be late, for it is by that clock that the silence counts.
        let extra = LAG_MS + self.between(1_000, 60_000);
        self.wait_until(since + 2 * CLOCKS.heartbeat_ms + extra);
        // The silence counts again when the log was down meanwhile.
        let since = self.silent_since_ms();
        self.wait_until(since + 2 * CLOCKS.heartbeat_ms + extra);
        self.deed(Deed::Restart);
    }

    /// Since when the log has heard nothing of the agent, and could have.
    pub(crate) fn silent_since_ms(&self) -> u64 {
        let ended = self.down.iter().filter(|down| down.from_ms < self.now_ms);
        let gap_end = ended.map(|down| down.to_ms).max().unwrap_or(0);
        self.beat_ms.max(gap_end)
    }
}
