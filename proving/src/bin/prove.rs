//! Plays fleets with faults, verifies their logs, and prints how well the two agree.
//!
//! `prove [DAYS [AGENTS [SEEDS]]]`: 30 days, 100 agents, one seed. It ends with 1 if anything was missed, or found that
//! is not there.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use proving::fleet::{Size, plan};
use proving::score::{Score, score, sights, verify};
use proving::simulation::play;

/// How much of what was wrong is printed.
const MAX_LISTED: usize = 40;

/// What a run cost.
#[derive(Default)]
struct Cost {
    leaves: u64,
    played: Duration,
    verified: Duration,
}

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<u64>());
    let mut next = |default| match numbers.next() {
        None => Some(default),
        Some(number) => number.ok(),
    };
    let (Some(days), Some(agents), Some(seeds)) = (next(30), next(100), next(1)) else {
        eprintln!("usage: prove [DAYS [AGENTS [SEEDS]]]");
        return ExitCode::from(2);
    };
    let Ok(agents) = usize::try_from(agents) else {
        eprintln!("prove: {agents} agents are too many");
        return ExitCode::from(2);
    };
    let (mut total, mut cost) = (Score::default(), Cost::default());
    for seed in 1..=seeds {
        total = total.and(run(seed, Size { days, agents }, &mut cost));
    }
    print!("{total}");
    println!(
        "{seeds} x {days} days x {agents} agents: {} leaves, played in {:.1} s, verified in {:.1} s",
        cost.leaves,
        cost.played.as_secs_f64(),
        cost.verified.as_secs_f64()
    );
    for missed in total.missed.iter().take(MAX_LISTED) {
        println!("missed  {missed:?}");
    }
    for surplus in total.surplus.iter().take(MAX_LISTED) {
        println!("surplus {surplus:?}");
    }
    ExitCode::from(u8::from(!total.is_perfect()))
}

fn run(seed: u64, size: Size, cost: &mut Cost) -> Score {
    let plan = plan(seed, size);
    let begin = Instant::now();
    let log = play(seed, &plan.script, plan.end_ms);
    cost.played += begin.elapsed();
    let begin = Instant::now();
    let report = verify(&log);
    cost.verified += begin.elapsed();
    cost.leaves += log.size().get();
    let sights = sights(&log, &report);
    score(&plan, &log, sights)
}
