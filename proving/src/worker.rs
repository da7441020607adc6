//! One agent of the fleet, with its supervisor: what the script says it does, it signs.

use ledger::digest::RecordHash;
use ledger::record::{Body, Chain, Heartbeat, Phase, Seen, SignedRecord, Status, Verdict};
use tlog::checkpoint::{self, Checkpoint};
use tlog::{EMPTY_ROOT, Hash, TreeSize};

use crate::keys::{instance, key};
use crate::script::Trick;
use crate::speaker::{Identity, Speaker};
use crate::{Log, record};

/// One agent of the fleet.
#[derive(Debug)]
pub(crate) struct Worker {
    identity: Identity,
    /// The process that speaks; `None` before the first.
    speaker: Option<Speaker>,
    /// The process before it, which may not know that it was fenced.
    fenced: Option<Speaker>,
    processes: u64,
    goal: Option<RecordHash>,
    intent: Option<RecordHash>,
    last_beat: Option<SignedRecord>,
    last_at_ms: u64,
}

impl Worker {
    pub(crate) const fn new(identity: Identity) -> Self {
        Self {
            identity,
            speaker: None,
            fenced: None,
            processes: 0,
            goal: None,
            intent: None,
            last_beat: None,
            last_at_ms: 0,
        }
    }

    pub(crate) const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Starts a process for the epoch in force, or for the next.
    pub(crate) fn start(&mut self, log: &Log, restart: bool) {
        self.processes += 1;
        let process = format!("{} {}", self.identity.name, self.processes);
        let identity = self.identity.clone();
        let speaker = match restart {
            true => Speaker::restarting(identity, &process, log),
            false => Speaker::beginning(identity, &process, log),
        };
        self.fenced = self.speaker.replace(speaker);
    }

    /// Goes on in the epoch that a lease has opened.
    pub(crate) fn follow(&mut self, log: &Log, lease: RecordHash) {
        let agent = log.state().agent(&self.identity.name);
        let epoch = agent.expect("it was enrolled").epoch();
        let speaker = self.speaker_mut();
        let last = speaker.chain.prev;
        speaker.follow(epoch, lease, Some(last));
    }

    pub(crate) fn beat(&mut self, log: &Log, steps: u64, seen: bool, at_ms: u64) -> SignedRecord {
        self.speaker_mut().progress += steps;
        let seen = seen.then(|| seen_of(log, None));
        let beat = Heartbeat {
            seen,
            ..self.speaker().heartbeat()
        };
        self.sign(Body::Heartbeat(Box::new(beat)), log, at_ms)
    }

    pub(crate) fn goodbye(&self, log: &Log, at_ms: u64) -> SignedRecord {
        let beat = Heartbeat {
            r#final: true,
            ..self.speaker().heartbeat()
        };
        self.sign(Body::Heartbeat(Box::new(beat)), log, at_ms)
    }

    /// A heartbeat of a process that was shown another history of the same length.
    pub(crate) fn beat_of_fork(&self, log: &Log, at_ms: u64) -> SignedRecord {
        let beat = Heartbeat {
            seen: Some(seen_of(log, Some(EMPTY_ROOT))),
            ..self.speaker().heartbeat()
        };
        self.sign(Body::Heartbeat(Box::new(beat)), log, at_ms)
    }

    pub(crate) fn beat_of_drift(&self, log: &Log, at_ms: u64) -> SignedRecord {
        let other = record::manifest(&self.identity.name, "v2, which nobody registered");
        let beat = Heartbeat {
            manifest_hash: other.hash(),
            ..self.speaker().heartbeat()
        };
        self.sign(Body::Heartbeat(Box::new(beat)), log, at_ms)
    }

    pub(crate) fn goal(&self, log: &Log, at_ms: u64) -> SignedRecord {
        let speaker = self.speaker();
        speaker.receipt(record::goal("a goal of the script"), log, at_ms)
    }

    /// An intent within bounds.
    pub(crate) fn intent(&self, log: &Log, at_ms: u64) -> SignedRecord {
        self.intent_on("write:repo/src/main.rs", 0, log, at_ms)
    }

    pub(crate) fn result(&self, log: &Log, tokens: u64, at_ms: u64) -> SignedRecord {
        let intent = self.intent.expect("the script opens before it closes");
        let mut result = record::result(intent, Status::Ok, 1);
        result.usage.tokens = tokens;
        self.speaker().receipt(Phase::Result(result), log, at_ms)
    }

    pub(crate) fn outcome(&self, log: &Log, at_ms: u64) -> SignedRecord {
        let goal = self.goal.expect("the script opens before it closes");
        let outcome = record::outcome(goal, Verdict::Accepted);
        self.speaker().receipt(outcome, log, at_ms)
    }

    /// A record that breaks a rule.
    pub(crate) fn trick(&self, trick: Trick, log: &Log, at_ms: u64) -> SignedRecord {
        let speaker = self.speaker();
        let beat_at = |chain: Chain, at_ms| {
            let beat = Heartbeat {
                chain,
                ..speaker.heartbeat()
            };
            self.sign(Body::Heartbeat(Box::new(beat)), log, at_ms)
        };
        let chain = speaker.chain.clone();
        match trick {
            Trick::Goal => self.goal(log, at_ms),
            Trick::Intent { scope, n } => self.intent_on(scope, n, log, at_ms),
            Trick::SkippedNumber => {
                let seq = chain.seq + 7;
                beat_at(Chain { seq, ..chain }, at_ms)
            }
            Trick::OtherPrevious => {
                let prev = log.name();
                beat_at(Chain { prev, ..chain }, at_ms)
            }
            Trick::Old(ms) => beat_at(chain, at_ms - ms),
            Trick::OutOfOrder => self.result(log, 10, self.last_at_ms - 1),
            Trick::Ahead(ms) => beat_at(chain, at_ms + ms),
            Trick::ForeignKey => {
                let body = Body::Heartbeat(Box::new(speaker.heartbeat()));
                log.sign(body, at_ms, &[&key("a key that nobody has")])
            }
            Trick::Replay => self.last_beat.clone().expect("it has beaten before"),
            Trick::Zombie => {
                let fenced = self.fenced.as_ref().expect("a process was fenced");
                fenced.beat(log, at_ms)
            }
            Trick::SecondInstance => {
                let instance = instance("a process that nobody started");
                beat_at(Chain { instance, ..chain }, at_ms)
            }
            Trick::EarlyRestart => {
                let identity = self.identity.clone();
                Speaker::restarting(identity, "too early", log).beat(log, at_ms)
            }
        }
    }

    fn intent_on(&self, scope: &str, n: u64, log: &Log, at_ms: u64) -> SignedRecord {
        let goal = self.goal.expect("the script opens a goal before an intent");
        let mut intent = record::intent(goal, scope);
        intent.reserve.tokens += n;
        self.speaker().intent(intent, log, at_ms)
    }

    /// Takes note that a record of its own is in the log.
    pub(crate) fn said(&mut self, signed: &SignedRecord) {
        self.speaker_mut().said(signed);
        self.last_at_ms = signed.record().at_ms;
        match &signed.record().body {
            Body::Heartbeat(_) => self.last_beat = Some(signed.clone()),
            Body::Receipt(receipt) => {
                self.speaker_mut().progress += 1;
                match &receipt.phase {
                    Phase::Goal(_) => self.goal = Some(signed.hash()),
                    Phase::Intent(_) => self.intent = Some(signed.hash()),
                    Phase::Result(_) => self.intent = None,
                    Phase::Outcome(_) => self.goal = None,
                }
            }
            _ => {}
        }
    }

    fn sign(&self, body: Body, log: &Log, at_ms: u64) -> SignedRecord {
        self.speaker().sign(body, log, at_ms)
    }

    fn speaker(&self) -> &Speaker {
        self.speaker.as_ref().expect("the script starts a process")
    }

    fn speaker_mut(&mut self) -> &mut Speaker {
        self.speaker.as_mut().expect("the script starts a process")
    }
}

/// The newest checkpoint as a heartbeat tells of it, or one of the same size with another root that the log signed.
fn seen_of(log: &Log, forked: Option<Hash>) -> Seen {
    let honest = log.checkpoint(log.size());
    let Checkpoint {
        origin, size, root, ..
    } = honest.unverified().clone();
    let root = forked.unwrap_or(root);
    let text = checkpoint::sign(&log.keys().log, &Checkpoint::new(origin, size, root));
    Seen {
        size: TreeSize::get(size),
        root,
        sig: signature_of(&text),
    }
}

/// The last field of the one signature line of a note.
fn signature_of(note: &str) -> String {
    let field = note.trim_end().rsplit(' ').next();
    field.expect("a signature line has fields").to_owned()
}
