//! `report check`: a report, computed again from its evidence and its inputs, and compared with the files there.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ::evidence::Crew;
use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use host::bounded;
use ledger::digest::Digest;
use ledger::json::{Value, object};
use ledger::verify::{Report, Trust, Verifier};
use report::document::{FORMAT, Terms};
use report::files::{EVENTS, INPUTS, MAP, Made, PACK, REPORT, STATEMENT, SUMS, TRUST};
use report::inputs::{File, Watch};
use report::replay::Played;
use report::statement::Signed;
use sha2::{Digest as _, Sha256};
use watchdogs::config::MAX_CONFIG_BYTES;
use watchdogs::import::MAX_FILE_BYTES;

use super::hear;
use crate::evidence;
use crate::exit::Exit;
use crate::options::Threads;
use crate::output;
use crate::session::{Session, read_trust};

/// The longest file that is compared: a month of a large fleet is a tenth of it.
const MAX_FILE: usize = 1 << 30;

/// How much of a long file is hashed at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Which report.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The directory of the report
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    threads: Threads,
}

/// What a report says that it was made from.
struct Claim {
    terms: Terms,
    inputs: Vec<String>,
    /// The bytes of it.
    json: String,
}

/// The result of the comparison.
#[derive(Default)]
struct Compared {
    /// How many files are what they should be.
    equal: u64,
    /// Those that are not, and why.
    differs: Vec<String>,
    /// What is worth knowing beside.
    notes: Vec<String>,
}

/// Checks a report.
///
/// # Errors
///
/// If the report cannot be read at all.
pub(super) fn run(session: &Session, options: &Options) -> Result<Exit> {
    let directory = options.directory.as_path();
    let claim = Claim::read(directory)?;
    let given = session.trust()?;
    let missing = claim.missing(directory, given.is_some());
    if !missing.is_empty() {
        return told(session, &Compared::default(), &missing, given.is_some());
    }
    let is_given = given.is_some();
    let trust = match given {
        Some(trust) => trust,
        None => read_trust(&directory.join(TRUST))?,
    };
    let compared = compare(directory, &claim, trust, options.threads)?;
    told(session, &compared, &[], is_given)
}

impl Claim {
    fn read(directory: &Path) -> Result<Self> {
        let bytes = bounded::read(&directory.join(REPORT), MAX_FILE)?;
        let json = String::from_utf8(bytes).with_context(|| format!("{REPORT} is not text"))?;
        let value: serde_json::Value =
            serde_json::from_str(&json).with_context(|| format!("{REPORT} is not JSON"))?;
        ensure!(
            value["day30"] == FORMAT,
            "{REPORT} is not a report of the form {FORMAT}"
        );
        let number = |name: &str| {
            value[name]
                .as_u64()
                .with_context(|| format!("{REPORT} has no {name}"))
        };
        let inputs = value["inputs"]
            .as_array()
            .with_context(|| format!("{REPORT} has no inputs"))?;
        let inputs = inputs
            .iter()
            .map(|input| input["name"].as_str().unwrap_or_default());
        let inputs: Vec<String> = inputs
            .filter(|name| *name != PACK)
            .map(str::to_owned)
            .collect();
        for name in &inputs {
            let inner = name.strip_prefix(INPUTS).unwrap_or("/");
            let is_plain = !inner.is_empty() && !inner.contains('/') && inner != "..";
            ensure!(
                is_plain,
                "{REPORT} names an input that is not in {INPUTS}: {name:?}"
            );
        }
        Ok(Self {
            terms: Terms {
                from_ms: number("from_ms")?,
                to_ms: number("to_ms")?,
                charter: String::new(),
                made_by: value["made_by"].as_str().unwrap_or_default().to_owned(),
            },
            inputs,
            json,
        })
    }

    /// What is needed to compute it again, and is not there.
    fn missing(&self, directory: &Path, has_trust: bool) -> Vec<String> {
        let trust = (!has_trust).then_some(TRUST);
        let needed = [PACK, MAP].into_iter().chain(trust).map(str::to_owned);
        let needed = needed.chain(self.inputs.iter().filter(|it| *it != MAP).cloned());
        needed
            .filter(|name| !directory.join(name).is_file())
            .collect()
    }

    fn watch(&self, directory: &Path) -> Result<Watch> {
        let map = bounded::read(&directory.join(MAP), MAX_CONFIG_BYTES)?;
        let mut files = Vec::new();
        for name in self.inputs.iter().filter(|it| *it != MAP) {
            files.push(File {
                name: name.strip_prefix(INPUTS).unwrap_or(name).to_owned(),
                bytes: bounded::read(&directory.join(name), MAX_FILE_BYTES)?,
            });
        }
        Ok(Watch::read(&map, &files)?)
    }
}

fn compare(directory: &Path, claim: &Claim, trust: Trust, threads: Threads) -> Result<Compared> {
    let mut compared = Compared::default();
    compared.sums(directory)?;
    let terms = Terms {
        charter: trust.charter.to_string(),
        ..claim.terms.clone()
    };
    let again = match claim.watch(directory) {
        Ok(watch) => {
            let verifier = threads.crew(Verifier::new(trust));
            again(directory, &terms, &watch, verifier)
        }
        Err(error) => Err(error),
    };
    match again {
        Ok(again) => again.compare(directory, claim, &mut compared)?,
        // What was made of it can't have been made of this.
        Err(error) => compared
            .differs
            .push(format!("it can't be computed again: {error:#}")),
    }
    Ok(compared)
}

/// A report, computed again.
struct Again {
    made: Made,
    played: Played,
    events: String,
}

fn again(directory: &Path, terms: &Terms, watch: &Watch, verifier: Crew) -> Result<Again> {
    let path = directory.join(PACK);
    let mut hash = Sha256::new();
    let report: Report = evidence::verify_aloud(&path, verifier, &mut |bytes| hash.update(bytes))
        .with_context(|| format!("{PACK} could not be read"))?;
    let pack: Digest = format!("sha256:{}", hex(hash)).parse()?;
    let mut events = Sha256::new();
    let played = hear(&path, report, terms, watch, &mut |line| events.update(line))?;
    let made = Made::of(terms, &played, watch, pack)?;
    Ok(Again {
        made,
        played,
        events: hex(events),
    })
}

impl Again {
    fn compare(&self, directory: &Path, claim: &Claim, compared: &mut Compared) -> Result<()> {
        compared.text(REPORT, &self.made.json, Some(&claim.json));
        for (name, content) in &self.made.files {
            let there = read_text(&directory.join(name))?;
            compared.text(name, content, there.as_deref());
        }
        let events = sha256_of(&directory.join(EVENTS))?;
        compared.is_equal(
            EVENTS,
            events.as_ref() == Some(&self.events),
            events.is_some(),
        );
        match read_text(&directory.join(STATEMENT))? {
            Some(envelope) => self.statement(&envelope, compared),
            None => compared.is_equal(STATEMENT, false, false),
        }
        compared.strays(directory, &self.names(claim))
    }

    /// The files of such a report.
    fn names<'a>(&'a self, claim: &'a Claim) -> BTreeSet<&'a str> {
        let made = self.made.files.iter().map(|(name, _)| name.as_str());
        let inputs = claim.inputs.iter().map(String::as_str);
        let rest = [REPORT, EVENTS, STATEMENT, TRUST, PACK, MAP, SUMS];
        made.chain(inputs).chain(rest).collect()
    }

    fn statement(&self, envelope: &str, compared: &mut Compared) {
        let key = |id: &ledger::key::KeyId| self.played.key(id);
        match self.made.statement.check(envelope, &key) {
            Ok(signed) => {
                compared.equal += 1;
                compared.notes.push(match signed {
                    Signed::Unsigned => format!("nobody signed {STATEMENT}"),
                    Signed::By(id) => format!("{STATEMENT} is signed by key {id}, which the log knows"),
                    Signed::Unknown(id) => {
                        format!("{STATEMENT} names key {id}, which the log does not know: its signature was not checked")
                    }
                });
            }
            Err(error) => compared.differs.push(format!("{STATEMENT}: {error}")),
        }
    }
}

impl Compared {
    /// The fingerprints of all files are right.
    fn sums(&mut self, directory: &Path) -> Result<()> {
        let Some(sums) = read_text(&directory.join(SUMS))? else {
            self.differs.push(format!("{SUMS} is missing"));
            return Ok(());
        };
        for line in sums.lines() {
            let Some((want, name)) = line.split_once("  ") else {
                bail!("{SUMS} has a line that sha256sum does not write");
            };
            let path = Path::new(name);
            let is_inner = path.is_relative() && !name.split('/').any(|part| part == "..");
            ensure!(is_inner, "{SUMS} names a file elsewhere: {name:?}");
            match sha256_of(&directory.join(path))? {
                Some(got) if got == want => {}
                Some(_) => self.differs.push(format!("{name} is not what {SUMS} says")),
                None => self.differs.push(format!("{name} is missing")),
            }
        }
        Ok(())
    }

    /// Names the files in the directory that do not belong to the report, such as alerts that it was not made from.
    /// Hidden files are ignored: some systems put one into every folder that they open.
    fn strays(&mut self, directory: &Path, names: &BTreeSet<&str>) -> Result<()> {
        for folder in ["", INPUTS, "registers/"] {
            let path = directory.join(folder);
            if !path.is_dir() {
                continue;
            }
            let unreadable = || format!("{path:?} could not be read");
            for entry in fs::read_dir(&path).with_context(unreadable)? {
                let name = entry.with_context(unreadable)?.file_name();
                let name = format!("{folder}{}", name.to_string_lossy());
                let is_folder = [INPUTS, "registers/"].contains(&format!("{name}/").as_str());
                let is_hidden = name
                    .rsplit('/')
                    .next()
                    .is_some_and(|it| it.starts_with('.'));
                if !is_folder && !is_hidden && !names.contains(name.as_str()) {
                    self.differs
                        .push(format!("{name} is not a part of the report"));
                }
            }
        }
        self.differs.sort();
        Ok(())
    }

    fn text(&mut self, name: &str, want: &str, got: Option<&str>) {
        self.is_equal(name, got == Some(want), got.is_some());
    }

    fn is_equal(&mut self, name: &str, is_equal: bool, is_there: bool) {
        match (is_equal, is_there) {
            (true, _) => self.equal += 1,
            (false, true) => self.differs.push(format!(
                "{name} is not what the evidence and the inputs give"
            )),
            (false, false) => self.differs.push(format!("{name} is missing")),
        }
    }
}

fn told(
    session: &Session,
    compared: &Compared,
    missing: &[String],
    is_given: bool,
) -> Result<Exit> {
    let mut differs = compared.differs.clone();
    differs.dedup();
    let (exit, word) = match (missing.is_empty(), differs.is_empty()) {
        (false, _) => (Exit::Incomplete, "inputs-missing"),
        (true, false) => (Exit::Bad, "differs"),
        (true, true) => (Exit::Good, "equal"),
    };
    if session.json() {
        let list = |lines: &[String]| -> Value { lines.iter().map(String::as_str).collect() };
        output::json(&object([
            ("result", word.into()),
            ("trust", if is_given { "given" } else { "its own" }.into()),
            ("equal", compared.equal.into()),
            ("differs", list(&differs)),
            ("missing", list(missing)),
            ("notes", list(&compared.notes)),
        ]))?;
        return Ok(exit);
    }
    for name in missing {
        output::line(&format!("missing: {name}"))?;
    }
    for line in &differs {
        output::line(&format!("differs: {line}"))?;
    }
    for note in &compared.notes {
        output::line(&format!("note: {note}"))?;
    }
    output::line(&conclusion(exit, compared.equal, is_given))?;
    Ok(exit)
}

fn conclusion(exit: Exit, equal: u64, is_given: bool) -> String {
    let by = match is_given {
        true => "by the trust that you gave",
        false => "by the trust that came with it: give --trust to check it by your own",
    };
    match exit {
        Exit::Good => format!("equal: {equal} files follow from the evidence and the inputs, {by}"),
        Exit::Incomplete => {
            "not computed again: something that it was made from is missing".to_owned()
        }
        _ => format!("differs, {by}"),
    }
}

fn read_text(path: &Path) -> Result<Option<String>> {
    if !path.is_file() {
        return Ok(None);
    }
    let bytes = bounded::read(path, MAX_FILE)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn sha256_of(path: &Path) -> Result<Option<String>> {
    if !path.is_file() {
        return Ok(None);
    }
    let unreadable = || format!("{path:?} could not be read");
    let mut file = fs::File::open(path).with_context(unreadable)?;
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; CHUNK_BYTES]);
    loop {
        let length = file.read(&mut chunk).with_context(unreadable)?;
        if length == 0 {
            return Ok(Some(hex(hash)));
        }
        hash.update(&chunk[..length]);
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
