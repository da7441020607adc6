//! The lines that are printed.

use std::time::Duration;

use crate::load::Took;

/// A figure and what it is of.
pub(crate) fn line(what: &str, figure: &str) {
    println!("{what:<50} {figure}");
}

/// The duration below which so many of a thousand are.
pub(crate) fn at(samples: &[Duration], of_a_thousand: usize) -> Duration {
    let mut samples = samples.to_vec();
    samples.sort_unstable();
    samples[(samples.len() - 1) * of_a_thousand / 1000]
}

pub(crate) fn latencies(what: &str, samples: &[Duration]) {
    let [p50, p99] = [500, 990].map(|share| at(samples, share).as_secs_f64() * 1e3);
    let count = samples.len();
    line(
        what,
        &format!("p50 {p50:7.3} ms   p99 {p99:7.3} ms   of {count}"),
    );
}

pub(crate) fn a_second(count: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / took.as_secs_f64()
}

pub(crate) fn rate(what: &str, count: usize, took: Duration) {
    let rate = a_second(count, took);
    let seconds = took.as_secs_f64();
    line(what, &format!("{rate:9.0}/s   {count} in {seconds:.2} s"));
}

/// A rate, and what share it is of some limits.
pub(crate) fn rated(what: &str, count: usize, took: &Took, limits: &[(&str, f64)]) {
    rate(what, count, took.all);
    for (limit, most) in limits {
        let share = a_second(count, took.all) / most;
        line(&format!("  of {limit}"), &format!("{share:9.2} times"));
    }
}

/// What one entry cost the service, in all its threads.
pub(crate) fn per_entry(took: &Took, entries: usize) {
    let each = took.worked.as_secs_f64() * 1e6 / entries as f64;
    line(
        "  processor time of the service an entry",
        &format!("{each:9.1} µs"),
    );
}
