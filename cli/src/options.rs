//! The command line, as types.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::UNIX_EPOCH;

use clap::{Args, Parser, Subcommand};
use evidence::Crew;
use ledger::digest::RecordHash;
use ledger::verify::Verifier;
use tlog::LeafIndex;

use crate::commands::{
    agent, attend, charter, doctor, export, fingerprint, generate, hook, incident, keygen, lease,
    log, manifest, mcp, observe, page, receipt, replay, report, run, trust, verify,
};

/// Operate and audit agents whose only state is a transparency log.
#[derive(Debug, Parser)]
#[command(name = "dragons", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, or verified without a breach; 1 failed, or a breach; \
    2 could not be decided or done; 3 incomplete."
)]
pub(crate) struct Cli {
    /// What all commands have.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where a service is by itself.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:7117";

/// What all commands have, before or after their names.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of all commands")]
pub(crate) struct Global {
    /// The service
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "DRAGONS_SERVER",
        hide_env_values = true
    )]
    #[arg(default_value = DEFAULT_SERVER)]
    pub(crate) server: String,
    /// The private key to sign with
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "DRAGONS_KEY",
        hide_env_values = true
    )]
    pub(crate) key: Option<PathBuf>,
    /// The trust file that names the log: its keys, its witnesses, its charter
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
    /// A log that `dragons trust add` remembered, in place of --server and --trust
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "trust")]
    pub(crate) log: Option<String>,
    /// Print JSON, one document a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// How many threads verify.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Threads {
    /// How many threads verify: as many as there are processors, unless it is given. The report is the same with any number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_THREADS)))]
    threads: Option<u16>,
}

/// More threads than that have to wait for the one that judges what they read.
const MAX_THREADS: u16 = 64;

impl Threads {
    /// Gives a verifier so many.
    pub(crate) fn crew(self, verifier: Verifier) -> Crew {
        let here = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.threads.map_or_else(here, usize::from);
        let threads = NonZeroUsize::new(threads.min(usize::from(MAX_THREADS)));
        Crew::new(verifier, threads.unwrap_or(NonZeroUsize::MIN))
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a private key
    Keygen(keygen::Options),
    /// Show the fingerprints of a key or a trust file, for comparing over the phone or in person
    Fingerprint(fingerprint::Options),
    /// Check this installation, and say what is wrong and how to fix it
    Doctor(doctor::Options),
    /// Show an entry of the log, checked against its proof
    Get(log::GetOptions),
    /// Fetch the proof that an entry is in the log
    Prove(log::ProveOptions),
    /// Fetch the proof of what a pulse says about an agent: its state, epoch and lease, or that there is no such agent
    ProveState(log::ProveStateOptions),
    /// Show the newest checkpoint
    Checkpoint,
    /// Check that the log only grew from one size to another
    Consistency(log::ConsistencyOptions),
    /// Fetch an evidence pack: a range of entries, or what belongs to an agent or a goal
    Export(export::Options),
    /// See whether a verifier's page, or a sealed case, is one that this program knows
    #[command(subcommand)]
    Page(page::Command),
    /// Verify a proof file or an evidence pack, offline
    Verify(verify::Options),
    /// Tell the story of a pack or a log: goals, actions, outcomes, and the authority behind each
    Replay(replay::Options),
    /// Collect everything about an agent over a period into one directory: evidence, timeline, leases, versions, refusals, findings
    Incident(incident::Options),
    /// Compare what a watchdog and Dragons saw of the same agents, or check such a report
    Report(Box<report::Options>),
    /// Show agents, and give them orders
    #[command(subcommand)]
    Agent(agent::Command),
    /// Remember which logs to trust, by name
    #[command(subcommand)]
    Trust(trust::Command),
    /// Show or amend the log's charter
    #[command(subcommand)]
    Charter(charter::Command),
    /// Build an agent's identity from its directory, and register it
    #[command(subcommand)]
    Manifest(manifest::Command),
    /// Ask for, grant, show and revoke leases
    #[command(subcommand)]
    Lease(lease::Command),
    /// Receive what other tools see of agents (traces, events, alerts), and log it
    Observe(observe::Options),
    /// Run a program as an agent, and log its goal, intent, result and outcome
    Run(Box<run::Options>),
    /// Speak for an agent that other programs start: hooks, proxies and SDKs use its socket
    Attend(Box<attend::Options>),
    /// Check the actions of a coding agent from its hooks, or install those hooks
    #[command(subcommand)]
    Hook(hook::Command),
    /// Run an MCP server behind a proxy that asks for permission before each tool call
    Mcp(Box<mcp::Options>),
    /// Talk to the `dragons run` around this command, and print its answers
    Tell(run::TellOptions),
    /// Log a step of an agent's work
    #[command(subcommand)]
    Receipt(receipt::Command),
    /// Log an agent's heartbeat
    Heartbeat(receipt::HeartbeatOptions),
    /// End the program of a run that does not answer, once its authority has ended
    #[command(hide = true)]
    Watcher(run::WatcherOptions),
    /// Print completions for a shell
    Completions(generate::CompletionsOptions),
    /// Write the man pages into a directory
    #[command(hide = true)]
    Man(generate::ManOptions),
}

/// An entry, by where it is or what it is called.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EntryName {
    /// By its index.
    Index(LeafIndex),
    /// By the hash of its record.
    Record(RecordHash),
}

impl FromStr for EntryName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let index = text.parse().map(|index| Self::Index(LeafIndex::new(index)));
        let record = || text.parse().map(Self::Record);
        index
            .or_else(|_| record())
            .map_err(|_| "neither an index nor sha256: and 64 hex digits".to_owned())
    }
}

/// A span of time, written as a number and a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// In milliseconds.
    pub(crate) ms: u64,
}

const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let unit = UNITS.iter().find(|(name, _)| *name == unit);
        let ms = number
            .parse::<u64>()
            .ok()
            .zip(unit)
            .and_then(|(number, (_, ms))| number.checked_mul(*ms));
        ms.map(|ms| Self { ms })
            .ok_or_else(|| "a span is a number and one of ms, s, m, h, d, such as 1h".to_owned())
    }
}

/// In the largest unit that leaves no rest.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut units = UNITS.iter().rev();
        let unit = units.find(|(_, ms)| self.ms > 0 && self.ms.is_multiple_of(*ms));
        let (name, ms) = unit.unwrap_or(&UNITS[0]);
        write!(f, "{}{name}", self.ms / ms)
    }
}

/// A point in time, by the clock of the world or by how long ago it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Milliseconds since the epoch.
    At {
        /// How many.
        ms: u64,
    },
    /// So long before now.
    Ago(Span),
}

impl Moment {
    /// It in milliseconds since the epoch; `now_ms` is asked only where it matters.
    ///
    /// # Errors
    ///
    /// Those of `now_ms`.
    pub(crate) fn ms(self, now_ms: impl FnOnce() -> anyhow::Result<u64>) -> anyhow::Result<u64> {
        match self {
            Self::At { ms } => Ok(ms),
            Self::Ago(span) => Ok(now_ms()?.saturating_sub(span.ms)),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "now" {
            return Ok(Self::Ago(Span { ms: 0 }));
        }
        if let Some(span) = text.strip_prefix('-') {
            return span.parse().map(Self::Ago);
        }
        let unreadable = |_| "neither a time in UTC such as 2026-11-23T14:00:00Z, nor how long ago, such as -2h, nor now";
        let time = humantime::parse_rfc3339(text).map_err(unreadable)?;
        let since = time.duration_since(UNIX_EPOCH);
        let ms = since.map(|since| u64::try_from(since.as_millis()));
        match ms {
            Ok(Ok(ms)) => Ok(Self::At { ms }),
            _ => Err("a time before 1970".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn spans_are_a_number_and_a_unit() {
        let cases = [
            ("0s", 0),
            ("250ms", 250),
            ("90s", 90_000),
            ("15m", 900_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
        ];
        for (text, ms) in cases {
            assert_eq!(text.parse(), Ok(Span { ms }), "{text}");
            assert_eq!(Span { ms }.to_string().parse(), Ok(Span { ms }));
        }
        for text in [
            "",
            "1",
            "h",
            "1 h",
            "-1h",
            "1.5h",
            "1w",
            "1h30m",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_moment_is_a_time_or_so_long_ago() {
        let now_ms = || Ok(10_000_000);
        for (text, ms) in [
            ("now", 10_000_000),
            ("-2h", 2_800_000),
            ("-0s", 10_000_000),
            ("-1d", 0),
            ("1970-01-01T00:00:01Z", 1_000),
            ("2026-11-23T14:00:00.250Z", 1_795_442_400_250),
        ] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(moment.ms(now_ms).unwrap(), ms, "{text}");
        }
        let no_clock = || anyhow::bail!("nobody should ask");
        assert_eq!(Moment::At { ms: 7 }.ms(no_clock).unwrap(), 7);
        for text in [
            "",
            "-",
            "2h",
            "--2h",
            "-2",
            "yesterday",
            "2026-11-23",
            "2026-11-23T14:00:00",
            "1969-12-31T23:59:59Z",
        ] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }

    #[test]
    fn global_options_stand_before_or_after() {
        for line in [
            "dragons --server http://x --key k --json agent stop a --reason r",
            "dragons agent --json stop a --key k --reason r --server http://x",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(
                (cli.global.server.as_str(), cli.global.json),
                ("http://x", true)
            );
            assert_eq!(cli.global.key, Some("k".into()));
        }
    }

    #[test]
    fn an_entry_is_named_by_index_or_record() {
        assert!(matches!("7".parse(), Ok(EntryName::Index(index)) if index.get() == 7));
        let record = format!("sha256:{}", "0".repeat(64));
        assert!(matches!(record.parse(), Ok(EntryName::Record(_))));
        assert!("latest".parse::<EntryName>().is_err());
    }
}
