//! The wall clock is set, while the service runs and while it does not.

use super::*;
use crate::log::time::Doubt;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Another process on the same store, which accepts the jump or does not.
fn restarted(bench: &Bench, accept_clock_jump: bool) -> Result<Bench, OpenError> {
    let options = Options {
        accept_clock_jump,
        ..options(&bench.clock)
    };
    let (status, writer) = opened(&bench.storage, keys(), &options)?;
    Ok(Bench {
        storage: bench.storage.clone(),
        store: Arc::clone(&bench.store),
        trust: bench.trust.clone(),
        clock: Arc::clone(&bench.clock),
        status,
        writer,
    })
}

#[test]
fn a_jump_forward_is_taken_and_the_log_goes_on() {
    let mut bench = Bench::new();
    let mut speaker = bench.running("a", 5);
    bench.clock.step(300_000);
    speaker.at_ms = bench.clock.wall_ms();
    let answer = bench.offer_one(speaker.beat(2)).unwrap();
    assert_eq!(answer.received_ms, START_MS + 300_000);
}

#[test]
fn after_a_jump_back_nothing_is_signed_beyond_a_minute_and_then_it_goes_on_by_itself() {
    let mut bench = Bench::new();
    let mut speaker = bench.running("a", 5);
    bench.clock.step(-300_000);
    for n in 2..4 {
        let answer = bench.offer_one(speaker.beat(n)).unwrap();
        assert_eq!(answer.received_ms, START_MS, "the last time is repeated");
        bench.clock.advance(29_000);
    }
    bench.clock.advance(3_000);
    let size = bench.published().size;
    let beat = speaker.beat(4);
    let refusal = bench.offer_one(beat.clone()).unwrap_err();
    assert_eq!(refusal.code, Code::Overloaded);
    assert_eq!(bench.published().size, size);
    let health = bench.status.health(&bench.published());
    let behind_ms = 300_000 - 61_000;
    assert_eq!(health.doubt, Some(Doubt::Behind { behind_ms }));
    assert_eq!(health.clock_behind_ms, behind_ms);
    assert!(!health.is_ready());
    bench.clock.advance(behind_ms);
    bench.offer_one(beat).unwrap();
    assert!(bench.status.health(&bench.published()).is_ready());
}

#[test]
fn a_clock_far_ahead_at_a_start_waits_for_an_agents_beat() {
    let mut bench = Bench::new();
    let mut speaker = bench.running("a", 5);
    let kinds = bench.kinds().len();
    bench.clock.step(i64::try_from(6 * DAY_MS).unwrap());
    let mut again = restarted(&bench, false).unwrap();
    again.offer(vec![]);
    // A beat that was signed by the right time is let in by no clock that is days ahead.
    let old = speaker.beat(2);
    let refusal = again.offer_one(old.clone()).unwrap_err();
    assert_eq!(refusal.code, Code::Overloaded);
    assert_eq!(again.kinds().len(), kinds, "nothing is signed");
    let ahead_ms = 6 * DAY_MS;
    let health = again.status.health(&again.published());
    assert_eq!(health.doubt, Some(Doubt::Ahead { ahead_ms }));
    // Somebody else's key is not a voice.
    let (mut stranger, ..) = Speaker::introduced(&again.trust, "a", 9, again.clock.wall_ms());
    stranger.at_ms = again.clock.wall_ms();
    again.offer_one(stranger.beat(1)).unwrap_err();
    assert_eq!(again.kinds().len(), kinds);
    // The clock is set right, so it needs nobody.
    again.clock.step(-i64::try_from(6 * DAY_MS).unwrap());
    again.offer_one(old).unwrap();
    // Now it is right that so much time has passed: the agent says so as well.
    again.clock.advance(6 * DAY_MS);
    let mut later = restarted(&again, false).unwrap();
    speaker.at_ms = later.clock.wall_ms();
    let answer = later.offer_one(speaker.beat(3)).unwrap();
    assert_eq!(answer.received_ms, later.clock.wall_ms());
    assert!(later.status.health(&later.published()).is_ready());
}

#[test]
fn the_way_back_from_a_clock_that_was_believed_too_soon_works_at_once() {
    let mut bench = Bench::new();
    let mut speaker = bench.running("a", 5);
    bench.clock.step(i64::try_from(6 * DAY_MS).unwrap());
    bench.offer(vec![]);
    let far_ms = bench.published().time_ms;
    bench.clock.step(-i64::try_from(6 * DAY_MS).unwrap());
    let refused = restarted(&bench, false).err();
    assert!(
        matches!(refused, Some(OpenError::ClockBehind { .. })),
        "{refused:?}"
    );
    let mut again = restarted(&bench, true).unwrap();
    again.offer(vec![]);
    assert_eq!(again.published().time_ms, far_ms);
    again.clock.advance(20_000);
    // Whoever signs in the log's time is let in.
    speaker.at_ms = again.published().time_ms;
    let answer = again.offer_one(speaker.beat(2)).unwrap();
    assert_eq!(answer.received_ms, far_ms + 10_000);
    let health = again.status.health(&again.published());
    assert!(health.is_ready());
    assert_eq!(health.clock_behind_ms, 6 * DAY_MS - 10_000);
    // Duties run in it as well, at its speed.
    let next_ms = again.published().state.next_pulse_ms().unwrap() - far_ms - 10_000;
    let idle = again.writer.idle_time();
    assert_eq!(
        idle,
        std::time::Duration::from_secs(1).min(std::time::Duration::from_millis(2 * next_ms))
    );
    again.clock.advance(12 * DAY_MS);
    again.offer(vec![]);
    assert_eq!(again.published().time_ms, again.clock.wall_ms());
}
