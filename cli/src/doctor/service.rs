//! The service: whether what answers is one, is well, speaks this command's language, and has the same time.

use client::http::{Look, Service};
use ledger::codes::Code;
use ledger::govern::{MAX_AGE_MS, MAX_AHEAD_MS};
use serde_json::Value;
use timeline::words::span;

use super::report::{Check, Known, Missing, Report, Step, causes};

const FURTHER: [&str; 5] = [
    "service-ready",
    "service-version",
    "clock",
    "log-time",
    "verify-page",
];

/// How far a service's clock may be behind the newest entry, in milliseconds: for so long it repeats that entry's time.
const REPEATED_MS: u64 = 60_000;

/// How old the newest entry may be, in milliseconds: a service that starts believes no clock that is further ahead.
const BELIEVED_MS: u64 = 60 * 60 * 1_000;

/// A service that answers, and how its clock stands to the one here.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) service: Service,
    skew: Option<Skew>,
}

/// How far the clock here is from the one there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skew {
    /// Ahead by so much.
    Ahead(u64),
    /// Behind by so much.
    Behind(u64),
}

impl Reached {
    /// What time it is for the service, as well as that is known.
    pub(super) fn now_ms(&self) -> u64 {
        match self.skew {
            Some(Skew::Ahead(ms)) => now_ms().saturating_sub(ms),
            Some(Skew::Behind(ms)) => now_ms().saturating_add(ms),
            None => now_ms(),
        }
    }
}

/// Looks at the service.
pub(super) fn examine(report: &mut Report, service: Known<Service>) -> Known<Reached> {
    let service = service.inspect_err(|missing| {
        report.not_checked(&["service"], missing);
        report.not_checked(&FURTHER, missing);
    })?;
    let before_ms = now_ms();
    let look = service.look("/healthz");
    let after_ms = now_ms();
    let look = look.map_err(|error| {
        Check::problem(
            "service",
            format!("no answer: {}", causes(&error)),
            "Nothing can be logged or read from the log; running agents get no permission for anything new.",
            "Start it (`dragonsd serve`), or correct --server or DRAGONS_SERVER; look at proxies and firewalls between.",
        )
    });
    let alive = report.step(look.and_then(judge_alive));
    let look = alive.inspect_err(|missing| report.not_checked(&FURTHER, missing))?;
    let skew = look
        .date_ms
        .map(|there_ms| skew(before_ms, after_ms, there_ms));
    let ready = ready(&service);
    let is_ready = ready.result() == "ok";
    report.add(ready);
    report.add(version(&service));
    report.add(judge_clock(skew));
    report.add(judge_log_time(look.date_ms, head_ms(&service), is_ready));
    report.add(verify_page(&service));
    Ok(Reached { service, skew })
}

/// What time it is here: milliseconds since the epoch.
fn now_ms() -> u64 {
    host::clock::wall_ms().unwrap_or(0)
}

fn judge_alive(look: Look) -> Step<Look> {
    let says_so = look.json().is_some_and(|it: Value| it["status"] == "alive");
    if look.status == 200 && says_so {
        return Ok((Check::ok("service", "answers, and lives"), look));
    }
    Err(judge_stranger(&look))
}

/// What answers, and is not a service that lives.
fn judge_stranger(look: &Look) -> Check {
    let problem = look.problem();
    let status = look.status;
    if (300..400).contains(&status) {
        let location = look.location.as_deref().unwrap_or("nowhere");
        return Check::problem(
            "service",
            format!("HTTP {status}: it is at {location}"),
            "Redirects are not followed, so that nobody is sent to another log: every command fails.",
            format!(
                "Use the address that it leads to, without /healthz: --server or DRAGONS_SERVER {location}"
            ),
        );
    }
    if problem.says("internal") {
        return Check::problem(
            "service",
            format!("it answers and logs nothing more: {problem}"),
            "Its sequencer has ended, so nothing is signed until it is started again.",
            "Read dragonsd's last messages, fix the cause, and start it again; `dragonsd fsck` checks its store.",
        );
    }
    let what = match look.content_type.as_str() {
        "" => format!("HTTP {status}"),
        content_type => format!("HTTP {status} and {content_type}"),
    };
    Check::problem(
        "service",
        format!("{what}, which a service does not answer"),
        "Something else answers at this address: a proxy, a page to log in at, another program.",
        "Correct --server or DRAGONS_SERVER; behind a proxy, let all paths through to dragonsd, unchanged.",
    )
}

fn ready(service: &Service) -> Check {
    match service.look("/readyz") {
        Ok(look) => judge_ready(&look),
        Err(error) => silent("service-ready", "/readyz", &causes(&error)),
    }
}

fn judge_ready(look: &Look) -> Check {
    const NAME: &str = "service-ready";
    let body: Value = look.json().unwrap_or_default();
    if let (200, Some(size)) = (look.status, body["size"].as_u64()) {
        return Check::ok(NAME, format!("takes records, and has {size} of them"));
    }
    let problem = look.problem();
    let (meaning, advice) = match problem.code.map(Code::as_str) {
        Some("disk-full") => (
            "Nothing more is logged until there is room on its disk.",
            "Make room on the disk of its data; it goes on by itself.",
        ),
        Some("overloaded") => (
            "It has logged nothing for longer than its own pulses may take: it hangs, or its disk does.",
            "Look at its metrics and at dragonsd's messages; start it again if it hangs.",
        ),
        Some("stopping") => (
            "It finishes what it has accepted and takes nothing new.",
            "Wait for its next start.",
        ),
        _ => (
            "It does not say that it takes records.",
            "Read dragonsd's last messages; `dragonsd fsck` checks its store while it is stopped.",
        ),
    };
    Check::problem(NAME, problem.to_string(), meaning, advice)
}

fn version(service: &Service) -> Check {
    let look = service.look("/openapi.json");
    let document: Option<Value> = look.ok().and_then(|look| look.json());
    let version = document
        .as_ref()
        .and_then(|it| it["info"]["version"].as_str());
    judge_version(version, env!("CARGO_PKG_VERSION"))
}

fn judge_version(there: Option<&str>, here: &str) -> Check {
    const NAME: &str = "service-version";
    let Some(there) = there else {
        let missing = Missing::new(
            "the service does not say which version it is",
            "Let /openapi.json through to dragonsd.",
        );
        return Check::not_checked(NAME, &missing);
    };
    let detail = format!("the service is {there}, this command {here}");
    if compatible(there) == compatible(here) {
        return Check::ok(NAME, detail);
    }
    Check::warning(
        NAME,
        detail,
        "Each may lack what the other needs; what they sign and verify stays the same.",
        "Bring the older one up to the newer one's version.",
    )
}

/// The part of a version that says what goes together (Semantic Versioning 2.0.0 §4 and §8).
fn compatible(version: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = version.split(['.', '-', '+']).take(2).collect();
    if parts.first() != Some(&"0") {
        parts.truncate(1);
    }
    parts
}

/// The date is cut to the second, so the middle of it is meant; and it was told between asking and hearing.
fn skew(before_ms: u64, after_ms: u64, there_ms: u64) -> Skew {
    let (here, there) = (before_ms / 2 + after_ms / 2, there_ms.saturating_add(500));
    match here >= there {
        true => Skew::Ahead(here - there),
        false => Skew::Behind(there - here),
    }
}

/// How much of what the rules let a clock be wrong it may use up before somebody should know: a clock that drifts goes on.
const NOTICEABLE_PART: u64 = 2;

fn judge_clock(skew: Option<Skew>) -> Check {
    const NAME: &str = "clock";
    let Some(skew) = skew else {
        let missing = Missing::new(
            "the answers bear no date",
            "Let the Date header of dragonsd through.",
        );
        return Check::not_checked(NAME, &missing);
    };
    let (ms, way, most_ms, code) = match skew {
        Skew::Ahead(ms) => (ms, "ahead of", MAX_AHEAD_MS, "clock-ahead"),
        Skew::Behind(ms) => (ms, "behind", MAX_AGE_MS, "stale"),
    };
    let allowed = span(most_ms);
    // What the second that the date is cut to, and a slow line, leave in the dark.
    if ms < 1_000 {
        return Check::ok(NAME, "here and at the service within a second");
    }
    let detail = format!("here {} {way} the service's", span(ms));
    if ms > most_ms {
        return Check::problem(
            NAME,
            detail,
            format!("What an agent signs here is refused as `{code}`: the rules allow {allowed}."),
            "Set this machine's clock by NTP; if it is right, the service's is wrong.",
        );
    }
    if ms > most_ms / NOTICEABLE_PART {
        return Check::warning(
            NAME,
            detail,
            format!("Past {allowed}, the log refuses what an agent signs here as `{code}`."),
            "Set this machine's clock by NTP; if it is right, the service's is wrong.",
        );
    }
    Check::ok(NAME, format!("{detail}, of {allowed} that the rules allow"))
}

/// When the newest entry was received.
fn head_ms(service: &Service) -> Option<u64> {
    let look = service.look("/v1/agents?limit=1").ok()?;
    look.json::<Value>()?["as_of_ms"].as_u64()
}

/// The clock of the service beside the newest entry, whose time no later entry goes behind.
fn judge_log_time(clock_ms: Option<u64>, head_ms: Option<u64>, is_ready: bool) -> Check {
    const NAME: &str = "log-time";
    let (Some(clock_ms), Some(head_ms)) = (clock_ms, head_ms) else {
        let missing = Missing::new(
            "the service does not say what time it is, or when its newest entry was logged",
            "Let the Date header and /v1/agents of dragonsd through.",
        );
        return Check::not_checked(NAME, &missing);
    };
    let behind_ms = head_ms.saturating_sub(clock_ms);
    let age_ms = clock_ms.saturating_sub(head_ms);
    if behind_ms > REPEATED_MS {
        let detail = format!(
            "the service's clock is {} behind the newest entry",
            span(behind_ms)
        );
        return match is_ready {
            true => Check::warning(
                NAME,
                detail,
                "A clock that was ahead was once believed: the log goes on in its own time, at half speed, until the two meet.",
                "Leave --accept-clock-jump on until then; clients sign in the log's time by themselves.",
            ),
            false => Check::problem(
                NAME,
                detail,
                "Nothing is signed until the clock has caught up with the log.",
                "If the clock is wrong, set it; if it is right, start dragonsd with --accept-clock-jump (docs/operations.md, Clock).",
            ),
        };
    }
    if age_ms > BELIEVED_MS && !is_ready {
        return Check::problem(
            NAME,
            format!("the newest entry is {} old", span(age_ms)),
            "The service was started so long after it that it does not trust its clock until somebody else vouches for it.",
            "Let an agent beat or an operator sign something, or start dragonsd with --accept-clock-jump (docs/operations.md, Clock).",
        );
    }
    Check::ok(NAME, "the service's clock goes with the newest entry")
}

fn verify_page(service: &Service) -> Check {
    match service.look("/verify/") {
        Ok(look) => judge_page(&look),
        Err(error) => silent("verify-page", "/verify/", &causes(&error)),
    }
}

fn judge_page(look: &Look) -> Check {
    const NAME: &str = "verify-page";
    if look.status == 200 && look.content_type == "text/html" {
        return Check::ok(NAME, "served at /verify/");
    }
    Check::warning(
        NAME,
        look.problem().detail,
        "People cannot verify evidence in a browser here; `dragons verify` does it all the same.",
        "Build the page (`make web`) before dragonsd, or name its directory with `dragonsd serve --web DIR`.",
    )
}

fn silent(name: &'static str, path: &str, causes: &str) -> Check {
    Check::problem(
        name,
        format!("no answer to {path}: {causes}"),
        "The service answered once and does not now: it hangs, or the line to it does.",
        "Look at dragonsd's messages and its metrics, and ask again.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_by_the_rules() {
        for (skew, result) in [
            (None, "not checked"),
            (Some(Skew::Ahead(0)), "ok"),
            (Some(Skew::Ahead(60_000)), "ok"),
            (Some(Skew::Ahead(60_001)), "warning"),
            (Some(Skew::Ahead(120_000)), "warning"),
            (Some(Skew::Ahead(120_001)), "problem"),
            (Some(Skew::Behind(150_000)), "ok"),
            (Some(Skew::Behind(300_000)), "warning"),
            (Some(Skew::Behind(300_001)), "problem"),
        ] {
            assert_eq!(judge_clock(skew).result(), result, "{skew:?}");
        }
    }

    #[test]
    fn the_logs_time_is_compared_with_the_clock() {
        const NOW: u64 = 1_700_000_000_000;
        for (head_ms, is_ready, result) in [
            (NOW - 3_600_000, false, "ok"),
            (NOW - 3_600_001, false, "problem"),
            (NOW + 60_000, true, "ok"),
            (NOW + 60_001, true, "warning"),
            (NOW + 60_001, false, "problem"),
        ] {
            let check = judge_log_time(Some(NOW), Some(head_ms), is_ready);
            assert_eq!(check.result(), result, "{head_ms}");
        }
        assert_eq!(
            judge_log_time(None, Some(NOW), true).result(),
            "not checked"
        );
    }

    #[test]
    fn a_difference_is_taken_from_the_middle() {
        assert_eq!(skew(10_000, 12_000, 10_000), Skew::Ahead(500));
        assert_eq!(skew(10_000, 10_200, 10_000), Skew::Behind(400));
        assert_eq!(skew(10_000, 10_000, 70_000), Skew::Behind(60_500));
    }

    #[test]
    fn versions_go_together_as_semantic_versioning_says() {
        for (there, here, result) in [
            (Some("0.1.0"), "0.1.0", "ok"),
            (Some("0.1.7"), "0.1.0", "ok"),
            (Some("0.2.0"), "0.1.9", "warning"),
            (Some("1.2.0"), "1.9.3", "ok"),
            (Some("2.0.0"), "1.9.3", "warning"),
            (None, "0.1.0", "not checked"),
        ] {
            assert_eq!(
                judge_version(there, here).result(),
                result,
                "{there:?} {here}"
            );
        }
    }
}
