//! Plays fleets beside watchdogs, makes the report of each, and prints how well it agrees with the truth.
//!
//! `day_30 [DAYS [AGENTS [SEEDS]]]`: 30 days, 100 agents, one seed. It ends with 1 if a case is missing, or told that is
//! not so, or in another cell.

#[path = "../tests/fleet/mod.rs"]
mod fleet;

use std::process::ExitCode;
use std::time::Instant;

use fleet::Run;
use proving::difference::Score;
use proving::fleet::Size;

/// How much of what was wrong is printed.
const MAX_LISTED: usize = 40;

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<u64>());
    let mut next = |default| numbers.next().unwrap_or(Ok(default));
    let (Ok(days), Ok(agents), Ok(seeds)) = (next(30), next(100), next(1)) else {
        eprintln!("usage: day_30 [DAYS [AGENTS [SEEDS]]]");
        return ExitCode::from(2);
    };
    let agents = usize::try_from(agents).unwrap_or(usize::MAX);
    let began = Instant::now();
    let (mut total, mut alarms) = (Score::default(), 0);
    for seed in 1..=seeds {
        let run = Run::of(seed, Size { days, agents });
        alarms += run.alarms.len();
        total = total.and(run.score(&run.document()));
    }
    print!("{total}");
    let (right, seconds) = (total.right(), began.elapsed().as_secs_f64());
    println!(
        "{seeds} x {days} days x {agents} agents: {alarms} alerts, {right} cases told rightly, in {seconds:.1} s"
    );
    for missed in total.missed.iter().take(MAX_LISTED) {
        println!("missed  {missed:?}");
    }
    for surplus in total.surplus.iter().take(MAX_LISTED) {
        println!("surplus {surplus:?}");
    }
    ExitCode::from(u8::from(!total.is_perfect()))
}
