//! A record of every kind with members that a healthy log would have. Change what a test is about, leave the rest.

use ledger::codes::Code;
use ledger::digest::{Digest, RecordHash};
use ledger::key::PublicKey;
use ledger::record::{
    AgentState, Amounts, Body, Budget, Chain, Charter, Check, Event, FileSet, Goal, Heartbeat,
    Intent, Lease, LeaseRenewal, LeaseRevocation, Limits, Liveness, Manifest, Mode, Observation,
    Order, Outcome, Phase, Pulse, RULES, Receipt, Refused, Registration, ResultOf, SignedRecord,
    Status, Thresholds, ToolUse, Verdict,
};
use ledger::scope::Pattern;
use ledger::text::{Name, Text};

use crate::keys::{Keys, ORIGIN};

const MINUTE_MS: u64 = 60_000;

/// What every agent here can do, and what its leases allow.
pub const CAPABILITIES: [&str; 2] = ["read:**", "write:repo/**"];

/// What no lease here allows, although the capabilities would.
pub const DENIED: &str = "write:repo/secrets/**";

/// The first charter, in enforce mode, with the default clocks.
pub fn charter(keys: &Keys) -> Charter {
    Charter {
        version: 1,
        rules: RULES,
        origin: ORIGIN.to_owned(),
        log_keys: vec![keys.log.verifier_key()],
        previous: None,
        mode: Mode::Enforce,
        thresholds: Thresholds::default(),
        keys: keys.in_charter(),
        distrusted: vec![],
        limits: Limits::default(),
        liveness: Liveness::default(),
    }
}

/// The manifest of a version, with calls of at most 15 minutes.
pub fn manifest(agent: &Name, version: &str) -> Manifest {
    let files = FileSet {
        root: Digest::of(&[version.as_bytes()]),
        files: 1,
        bytes: version.len() as u64,
        ignore: vec![],
    };
    Manifest {
        agent: agent.clone(),
        version: text(version),
        code: files.clone(),
        config: files,
        models: vec![],
        prompts: vec![],
        tools: vec![],
        capabilities: patterns(&CAPABILITIES),
        max_inflight_ms: 15 * MINUTE_MS,
    }
}

/// The registration of a manifest; `replaces` is the registration before it.
pub fn registration(
    manifest: Manifest,
    key: PublicKey,
    replaces: Option<RecordHash>,
) -> Registration {
    Registration {
        agent: manifest.agent.clone(),
        key,
        manifest_hash: manifest.hash(),
        manifest,
        replaces,
        reason: text("proving"),
    }
}

/// A lease from one time to another, without a budget, which control may renew for as long again.
pub fn lease(agent: &Name, manifest_hash: Digest, from_ms: u64, to_ms: u64) -> Lease {
    Lease {
        agent: agent.clone(),
        manifest_hash,
        allow: patterns(&CAPABILITIES),
        deny: patterns(&[DENIED]),
        budget: Budget::default(),
        not_before_ms: from_ms,
        expires_ms: to_ms,
        renew_until_ms: Some(to_ms + (to_ms - from_ms)),
        parent: None,
        after: None,
        purpose: text("proving"),
    }
}

/// More time for a lease. From when, whoever signs it knows: see [`Log::knowing`](crate::Log::knowing).
pub const fn renewal(lease: RecordHash, expires_ms: u64) -> Body {
    Body::LeaseRenewal(LeaseRenewal {
        lease,
        from_ms: 0,
        expires_ms,
    })
}

/// The end of a lease.
pub fn revocation(lease: RecordHash) -> Body {
    Body::LeaseRevocation(LeaseRevocation {
        lease,
        reason: text("proving"),
    })
}

/// An operator's command.
pub fn order(agent: &Name, to: AgentState) -> Body {
    Body::Order(Order {
        agent: agent.clone(),
        to,
        after: None,
        reason: text("proving"),
    })
}

/// A heartbeat. `before` is what `seq` 0 must name: the agent's last record of any earlier epoch.
pub fn heartbeat(
    chain: Chain,
    manifest_hash: Digest,
    progress: u64,
    before: Option<RecordHash>,
) -> Heartbeat {
    Heartbeat {
        before: before.filter(|_| chain.seq == 0),
        chain,
        progress,
        r#final: false,
        manifest_hash,
        seen: None,
    }
}

/// A step of work.
pub fn receipt(chain: Chain, phase: Phase) -> Body {
    Body::Receipt(Box::new(Receipt { chain, phase }))
}

/// What an agent sets out to do.
pub fn goal(title: &str) -> Phase {
    Phase::Goal(Goal {
        title: text(title),
        requester: text("proving"),
    })
}

/// An action that is about to happen, with a small reserve.
pub fn intent(goal: RecordHash, scope: &str) -> Intent {
    Intent {
        goal,
        scope: scope
            .parse()
            .expect("the scopes of the proving ground parse"),
        tool: ToolUse {
            name: name("tool"),
            digest: Digest::of(&[b"tool"]),
        },
        inputs: vec![],
        parents: vec![],
        reserve: Amounts {
            tokens: 10,
            cost_micros: 100,
        },
    }
}

/// What came of an action that used what it had reserved.
pub fn result(intent: RecordHash, status: Status, duration_ms: u64) -> ResultOf {
    ResultOf {
        intent,
        status,
        outputs: vec![],
        duration_ms,
        usage: Amounts {
            tokens: 10,
            cost_micros: 100,
        },
        refs: vec![],
    }
}

/// What came of a goal, with a check.
pub fn outcome(goal: RecordHash, verdict: Verdict) -> Phase {
    let check = Check {
        name: text("proving"),
        digest: Digest::of(&[b"check"]),
        record: None,
    };
    Phase::Outcome(Outcome {
        goal,
        verdict,
        checks: vec![check],
    })
}

/// A record that was not let in, counted once. A denial needs the envelope; all else has none.
pub fn refused(agent: &Name, epoch: u64, record: &SignedRecord, code: Code) -> Refused {
    let phase = match &record.record().body {
        Body::Receipt(receipt) => Some(receipt.phase.as_str().to_owned()),
        _ => None,
    };
    Refused {
        agent: agent.clone(),
        epoch,
        kind: record.kind(),
        phase,
        refused: record.hash(),
        code,
        count: 1,
        envelope: None,
    }
}

/// The control plane's sign of life.
pub const fn pulse(n: u64, agents: u64, witnessed: Option<String>) -> Body {
    Body::Pulse(Pulse {
        n,
        agents,
        state: None,
        witnessed,
    })
}

/// What another tool saw.
pub fn observation(agent: &Name, source_id: &str) -> Body {
    Body::Observation(Box::new(Observation {
        source: name("proving"),
        source_id: text(source_id),
        agent: agent.clone(),
        event: Event::AlertOpened,
        call: None,
        status: None,
        began_ms: None,
        ended_ms: None,
        digest: None,
        detail: text("proving"),
    }))
}

/// A name that is written in code.
pub fn name(name: &str) -> Name {
    name.parse().expect("the names of the proving ground parse")
}

fn text(text: &str) -> Text {
    text.parse()
        .expect("the texts of the proving ground are free text")
}

fn patterns(patterns: &[&str]) -> Vec<Pattern> {
    let parse = |pattern: &&str| pattern.parse().expect("a constant that is a pattern");
    patterns.iter().map(parse).collect()
}
