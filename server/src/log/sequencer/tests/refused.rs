//! What becomes of records that are refused.

use super::*;

#[test]
fn denials_are_logged_with_their_envelope_and_quarantine() {
    let mut bench = Bench::new();
    let mut speaker = bench.running("a", 5);
    let goal = speaker.goal();
    bench.offer_one(goal.clone()).unwrap();
    for n in 0..10 {
        speaker.at_ms = START_MS + n;
        let denied = speaker.intent(goal.hash(), "read:secrets/key");
        let refusal = bench.offer_one(denied.clone()).unwrap_err();
        assert_eq!(refusal.code, Code::ScopeDenied);
        bench
            .offer_one(denied)
            .expect_err("sent again, it is refused and not counted again");
    }
    assert_eq!(bench.refusals(), [(Code::ScopeDenied, 1, true); 10]);
    assert_eq!(bench.rules(), [Rule::Started, Rule::Denials]);
    assert_eq!(
        bench.kinds().last(),
        Some(&Kind::Transition),
        "directly behind its cause"
    );
}

/// Whoever sends an intent before its turn and again in its turn asks for what it must not have all the same.
#[test]
fn a_denial_that_was_refused_for_its_place_before_counts() {
    let mut bench = Bench::new();
    let mut speaker = bench.running("a", 5);
    let goal = speaker.goal();
    bench.offer_one(goal.clone()).unwrap();
    for n in 0..10 {
        speaker.at_ms = START_MS + n;
        let beat = speaker.beat(n + 2);
        let early = speaker.intent(goal.hash(), "read:secrets/key");
        let refusal = bench.offer_one(early.clone()).unwrap_err();
        assert_eq!(refusal.code, Code::SequenceGap);
        bench.offer_one(beat).unwrap();
        let refusal = bench.offer_one(early).unwrap_err();
        assert_eq!(refusal.code, Code::ScopeDenied);
    }
    assert_eq!(bench.rules(), [Rule::Started, Rule::Denials]);
}

#[test]
fn other_refusals_are_counted_by_the_minute() {
    let mut bench = Bench::new();
    let speaker = bench.running("a", 5);
    for n in 0..5 {
        let refusal = bench.offer_one(speaker.gap(n)).unwrap_err();
        assert_eq!(refusal.code, Code::SequenceGap);
    }
    assert_eq!(bench.refusals(), [(Code::SequenceGap, 1, false)]);
    bench.clock.advance(60_000);
    bench.offer(vec![]);
    assert_eq!(
        bench.refusals(),
        [(Code::SequenceGap, 1, false), (Code::SequenceGap, 4, false)]
    );
}

#[test]
fn refusals_that_were_counted_are_logged_at_the_end() {
    let mut bench = Bench::new();
    let speaker = bench.running("a", 5);
    bench.offer(vec![speaker.gap(1), speaker.gap(2)]);
    bench.writer.finish().unwrap();
    check_log(bench.store.as_ref(), &bench.trust);
    assert_eq!(
        bench.refusals(),
        [(Code::SequenceGap, 1, false), (Code::SequenceGap, 1, false)]
    );
}

#[test]
fn a_count_is_told_in_the_epoch_that_is_in_force() {
    let mut bench = Bench::new();
    let speaker = bench.running("a", 5);
    bench.offer(vec![speaker.gap(1), speaker.gap(2)]);
    bench.clock.advance(1_000);
    let (mut operators, ..) = Speaker::introduced(&bench.trust, "a", 5, bench.clock.wall_ms());
    let first = bench
        .published()
        .state
        .agent(&"a".parse().unwrap())
        .and_then(Agent::after);
    let second_lease = operators.lease(|lease| lease.after = first);
    bench.offer_one(second_lease).unwrap();
    bench.clock.advance(60_000);
    bench.offer(vec![]);
    assert_eq!(bench.refusals().len(), 2);
}

#[test]
fn what_nobody_here_signed_leaves_no_trace() {
    let mut bench = Bench::new();
    bench.running("a", 5);
    let before = bench.kinds();
    let (mut stranger, ..) = Speaker::introduced(&bench.trust, "a", 9, START_MS);
    let refusal = bench.offer_one(stranger.beat(1)).unwrap_err();
    assert_eq!(refusal.code.http_status(), Some(403));
    assert_eq!(bench.kinds(), before);
}

#[test]
fn a_refused_record_that_comes_again_after_a_restart_is_not_logged_again() {
    let mut bench = Bench::new();
    let speaker = bench.running("a", 5);
    bench.offer_one(speaker.gap(1)).unwrap_err();
    let mut again = Bench::at(bench.storage, bench.trust, &bench.clock, 0);
    again.offer_one(speaker.gap(1)).unwrap_err();
    assert_eq!(again.refusals(), [(Code::SequenceGap, 1, false)]);
}
