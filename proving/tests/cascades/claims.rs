//! Claims that the rules answer: authority that comes back, budgets that others overrun, quarantine, denials.

use ledger::codes::{Class, Code, Party};
use ledger::digest::RecordHash;
use ledger::record::{AgentState, Amounts, Body, Budget, Lease, Phase, ResultOf, Rule, Status};
use ledger::verify::Verdict;
use proving::{Identity, Speaker, record};

use crate::story::{Found, HOUR, MINUTE, Story, found, one};

/// A lease that was lost on the line is granted again, and revoked; the lost one is handed in hours later.
#[test]
fn a_lease_that_comes_back_does_nothing_and_is_controls_to_answer_for() {
    let mut story = Story::new();
    let operator = story.log.keys().operator.clone();
    let lost = story
        .log
        .knowing(Body::Lease(Box::new(story.lease(20 * HOUR))));
    let lost = story.log.sign(lost, story.now, &[&operator]);
    story.now += 1;
    let again = story.by_operators(Body::Lease(Box::new(story.lease(20 * HOUR))));
    story.follow();
    story.live(2);
    story.by_operators(record::revocation(again.hash()));
    story.settle();
    story.live(2);
    story.hold(lost.clone());
    assert_eq!(
        story
            .log
            .state()
            .agent(&story.me.identity.name)
            .unwrap()
            .lease(),
        Some(again.hash())
    );
    assert!(story.log.state().lease(&lost.hash()).is_none());
    assert_eq!(
        story.found(),
        one(Code::AfterMismatch, Class::Breach, Party::Control)
    );
}

/// A child reports a usage beyond all bounds: its parent works on, and the child's own next intent is a denial.
#[test]
fn an_overrun_of_a_child_is_no_denial_of_its_parent() {
    let mut story = Story::new();
    let with_tokens = |lease: Lease, tokens: u64| Lease {
        budget: Budget {
            tokens: Some(tokens),
            ..Budget::default()
        },
        ..lease
    };
    let lease = with_tokens(story.lease(10 * HOUR), 1000);
    let parent = story.by_operators(Body::Lease(Box::new(lease)));
    story.follow();
    story.beat();
    let helper = Identity::registered(&mut story.log, "helper", story.now);
    let part = record::lease(
        &helper.name,
        helper.manifest_hash,
        story.now,
        story.now + HOUR,
    );
    let part = Lease {
        parent: Some(parent.hash()),
        ..with_tokens(part, 100)
    };
    story.by_operators(Body::Lease(Box::new(part)));
    let mut helper = Speaker::beginning(helper, "helper", &story.log);
    let goal = speaks(&mut story, &mut helper, record::goal("part"));
    let intent = Phase::Intent(Box::new(record::intent(goal, "read:docs")));
    let intent = speaks(&mut story, &mut helper, intent);
    let result = Phase::Result(ResultOf {
        usage: Amounts {
            tokens: (1 << 53) - 1,
            cost_micros: 0,
        },
        ..record::result(intent, Status::Ok, 1)
    });
    speaks(&mut story, &mut helper, result);
    for _ in 0..12 {
        let intent = story.intent("read:docs");
        story.result(intent);
    }
    assert_eq!(story.state(), AgentState::Running);
    assert_eq!(
        story.found(),
        one(Code::BudgetExceeded, Class::Breach, Party::Agent)
    );
    // What control makes of the parent's next intent then is not so.
    let goal = story.goal.unwrap();
    let signed = story
        .me
        .intent(record::intent(goal, "read:docs"), &story.log, story.now);
    let denial = story.denial(&signed, Code::BudgetExceeded);
    story.by_control(Body::Refusal(Box::new(denial)));
    let mut want = one(Code::BudgetExceeded, Class::Breach, Party::Agent);
    want.extend(one(Code::RefusalUnfounded, Class::Breach, Party::Control));
    assert_eq!(story.found(), want);
}

/// What another agent says next; its first record is a heartbeat, whatever it is to be.
fn speaks(story: &mut Story, who: &mut Speaker, phase: Phase) -> RecordHash {
    if who.chain.seq == 0 {
        who.progress = 1;
        let beat = who.beat(&story.log, story.now);
        who.said(&beat);
        story.hold(beat);
        story.settle();
    }
    let signed = who.receipt(phase, &story.log, story.now);
    who.said(&signed);
    story.hold(signed.clone());
    story.settle();
    signed.hash()
}

#[test]
fn the_way_out_of_quarantine_blames_nobody() {
    let mut story = Story::new();
    let name = story.me.identity.name.clone();
    story.by_operators(record::order(&name, AgentState::Quarantined));
    story.sleep(3);
    let mended = record::manifest(&name, "v2");
    let key = story.me.identity.key.clone();
    let identity = Identity::registered_as(&mut story.log, mended, key, story.now);
    story.me.identity = identity.clone();
    story.by_operators(Body::Lease(Box::new(story.lease(HOUR))));
    story.sleep(2);
    story.by_operators(record::order(&name, AgentState::Autohealing));
    story.me = Speaker::beginning(identity, "mended", &story.log);
    story.beat();
    story.live(3);
    assert_eq!(story.state(), AgentState::Running);
    assert_eq!(story.found(), Found::new());
}

/// Three denials are too many, whatever comes between them; a control plane that forgets them is found out.
#[test]
fn a_goodbye_forgets_no_denials() {
    let story_of = |control_remembers: bool| {
        let mut story = Story::under(|charter| charter.limits.denials_max = 3);
        for n in 0..3_u64 {
            let goal = story.goal.unwrap();
            let asked = record::intent(goal, "write:repo/secrets/key");
            let signed = story.me.intent(asked, &story.log, story.now + n);
            let denial = story.denial(&signed, Code::ScopeDenied);
            story.by_control(Body::Refusal(Box::new(denial)));
            if n < 2 {
                story.settle();
                let mut goodbye = story.me.heartbeat();
                goodbye.r#final = true;
                let body = Body::Heartbeat(Box::new(goodbye));
                let goodbye = story.me.sign(body, &story.log, story.now);
                story.me.said(&goodbye);
                story.hold(goodbye);
                story.settle();
                let process = format!("process {n}");
                story.me = Speaker::restarting(story.me.identity.clone(), &process, &story.log);
                story.beat();
            }
        }
        match control_remembers {
            true => {
                story.settle();
                story.sleep(5);
            }
            false => {
                for _ in 0..5 {
                    story.now += MINUTE;
                    story.by_control(story.log.pulse(None));
                    story.beat_on();
                }
            }
        }
        story
    };
    let kept = story_of(true);
    assert_eq!(kept.state(), AgentState::Quarantined);
    assert_eq!(kept.found(), Found::new());
    let report = story_of(false).report();
    let missed = one(Code::DutyMissed, Class::Breach, Party::Control);
    assert_eq!(found(&report), missed);
    assert_eq!(report.verdict, Verdict::Verified);
}

/// A pulse that counts wrong behind what nobody can read is not held against control, and one in front of it is.
#[test]
fn where_a_record_does_not_hold_nobody_knows_what_there_was_to_count() {
    let miscounted = |after_a_forgery: bool| {
        let mut story = Story::new();
        if after_a_forgery {
            let name = record::name("ghost");
            let manifest = record::manifest(&name, "v1");
            let key = story.me.identity.key.clone();
            let registration = record::registration(manifest, key.public(), None);
            let stranger = story.log.keys().observer.clone();
            story.believed(Body::Manifest(Box::new(registration)), &stranger);
        }
        let n = story.log.state().pulses() + 1;
        story.now += MINUTE;
        story.by_control(record::pulse(n, 7, None));
        story.found()
    };
    let alone = one(Code::PulseUnfounded, Class::Breach, Party::Control);
    assert_eq!(miscounted(false), alone);
    let dark = miscounted(true);
    assert!(
        !dark.contains_key(&("pulse-unfounded", "breach", "control")),
        "{dark:?}"
    );
    assert!(
        dark.keys().any(|(code, ..)| *code == "rests-on-problem"),
        "{dark:?}"
    );
}

/// Rules of a transition that control logs for what it only claims.
#[test]
fn claims_without_ground_move_nothing() {
    let mut story = Story::new();
    for count in [1, 6_000_000] {
        story.now += 1;
        let signed = story.me.receipt(record::goal("x"), &story.log, story.now);
        let mut claim = record::refused(&story.me.identity.name, 1, &signed, Code::EpochFenced);
        claim.count = count;
        story.by_control(Body::Refusal(Box::new(claim)));
    }
    story.live(3);
    assert_eq!(story.found(), Found::new());
    assert!(
        !story
            .log
            .state()
            .duties(story.now)
            .any(|due| due.rule == Rule::Denials)
    );
    let signed = story
        .me
        .receipt(record::goal("x"), &story.log, story.now + 1);
    let mut claim = record::refused(&story.me.identity.name, 1, &signed, Code::EpochFenced);
    claim.count = 1_000_000_000_000_000;
    story.by_control(Body::Refusal(Box::new(claim)));
    let unfounded = one(Code::RefusalUnfounded, Class::Breach, Party::Control);
    assert_eq!(story.found(), unfounded);
}
