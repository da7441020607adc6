//! Logs that are known on this machine: pinned once, by a trust file or by a fingerprint that a person has compared,
//! and the same ever after.
//!
//! Each is a file of its own, named after the log, for its owner alone:
//!
//! ```text
//! <state>/dragons/known-logs/<fingerprint of the log>.json
//! {"name":"production","servers":["https://log.example.com"],"policy":"log …\nquorum none\n","charter":"sha256:…"}
//! ```
//!
//! A name and a server stand for one log. What would make either stand for another is refused: whoever wants that has
//! to remove the one that is known first.

use std::io;
use std::path::{Path, PathBuf};

use host::bounded;
use host::durable::{self, Readers};
use host::private::{Folder, PrivateError};
use ledger::codes::Refusal;
use ledger::digest::RecordHash;
use ledger::json::{Members, Value, object, string};
use ledger::verify::{MAX_TRUST_BYTES, Trust};

const FOLDER: [&str; 2] = ["dragons", "known-logs"];
const SUFFIX: &str = ".json";

/// The longest file: a trust file, a name, and the servers of a log.
const MAX_FILE_BYTES: usize = 2 * MAX_TRUST_BYTES;

/// The longest name, so that a list of them stays one.
const MAX_NAME_BYTES: usize = 128;

/// A log that is known.
#[derive(Clone, Debug)]
pub struct KnownLog {
    /// What it is called on this machine.
    pub name: String,
    /// Where it is served.
    pub servers: Vec<String>,
    /// What it is verified by.
    pub trust: Trust,
}

/// The logs that are known.
#[derive(Clone, Debug)]
pub struct KnownLogs {
    state: PathBuf,
}

/// Why a log is not known, or cannot be made known.
#[derive(Debug, thiserror::Error)]
pub enum KnownError {
    /// A file could not be read or written.
    #[error("{path:?} could not be read or written")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder is not private.
    #[error(transparent)]
    NotPrivate(#[from] PrivateError),
    /// A file does not say what it should.
    #[error("{path:?} does not describe a known log: {refusal}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// The name is empty, too long, or not printable.
    #[error("a log's name has 1 to {MAX_NAME_BYTES} printable characters without spaces")]
    Name,
    /// No log has the name.
    #[error("no log is known as {name:?}; `dragons trust list` shows those that are")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The name belongs to another log.
    #[error(
        "{name:?} is the name of another log, {known}: choose another with --log, or remove it first: dragons trust remove {name}"
    )]
    NameTaken {
        /// The name.
        name: String,
        /// The log that has it.
        known: RecordHash,
    },
    /// The log is known, by other keys.
    #[error(
        "the log {charter} is known as {name:?} by other keys or witnesses: if they have changed, remove it first: dragons trust remove {name}"
    )]
    OtherKeys {
        /// The log.
        charter: RecordHash,
        /// What it is called.
        name: String,
    },
    /// The server is known to serve another log.
    #[error(
        "{server} IS KNOWN TO SERVE ANOTHER LOG. Somebody may be in its place, and nothing was signed or sent.\n\
         known as {name:?}: {known}\n\
         now it says:  {claimed}\n\
         If its operators tell you that they have begun a new log: dragons trust remove {name}"
    )]
    Changed {
        /// The server.
        server: String,
        /// What the log is called that it served.
        name: String,
        /// That log.
        known: RecordHash,
        /// What it says now.
        claimed: RecordHash,
    },
}

impl KnownLogs {
    /// Those below a state directory, such as `$XDG_STATE_HOME`. Nothing is opened yet.
    pub fn below(state: &Path) -> Self {
        Self {
            state: state.to_owned(),
        }
    }

    /// All of them, in the order of their names.
    ///
    /// # Errors
    ///
    /// [`KnownError`].
    pub fn all(&self) -> Result<Vec<KnownLog>, KnownError> {
        let folder = match Folder::open(&self.state, &FOLDER) {
            Err(error) if error.is_absent() => return Ok(Vec::new()),
            folder => folder?,
        };
        let at = |source| KnownError::File {
            path: folder.path().to_owned(),
            source,
        };
        let mut all = Vec::new();
        for file in std::fs::read_dir(folder.path()).map_err(at)? {
            let name = file.map_err(at)?.file_name();
            let name = name.to_str().filter(|name| name.ends_with(SUFFIX));
            // A file that is being written begins with a dot.
            if let Some(name) = name.filter(|name| !name.starts_with('.')) {
                all.push(read(&folder, name)?);
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// The log of a name.
    ///
    /// # Errors
    ///
    /// [`KnownError::Unknown`], and those of reading.
    pub fn named(&self, name: &str) -> Result<KnownLog, KnownError> {
        let found = self.all()?.into_iter().find(|log| log.name == name);
        found.ok_or_else(|| KnownError::Unknown {
            name: name.to_owned(),
        })
    }

    /// The log that is known to be served at an address.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub fn served_at(&self, server: &str) -> Result<Option<KnownLog>, KnownError> {
        let serves = |log: &KnownLog| log.servers.iter().any(|known| known == server);
        Ok(self.all()?.into_iter().find(serves))
    }

    /// Makes a log known, or adds a server to one that is.
    ///
    /// # Errors
    ///
    /// [`KnownError`], where a name, a server or a log would stand for something else than before.
    pub fn add(&self, log: KnownLog) -> Result<KnownLog, KnownError> {
        if !is_name(&log.name) {
            return Err(KnownError::Name);
        }
        let all = self.all()?;
        all.iter().try_for_each(|known| known.bears(&log))?;
        let before = all
            .into_iter()
            .find(|it| it.trust.charter == log.trust.charter);
        let log = match before {
            Some(before) => before.with(log.servers),
            None => log,
        };
        let folder = Folder::make(&self.state, &FOLDER)?;
        let path = folder.path().join(log.file_name());
        let json = log.to_value().to_json() + "\n";
        durable::replace(&path, json.as_bytes(), Readers::Owner)
            .map_err(|source| KnownError::File { path, source })?;
        Ok(log)
    }

    /// Forgets a log.
    ///
    /// # Errors
    ///
    /// [`KnownError::Unknown`], and those of the file system.
    pub fn remove(&self, name: &str) -> Result<KnownLog, KnownError> {
        let log = self.named(name)?;
        let folder = Folder::open(&self.state, &FOLDER)?;
        let path = folder.path().join(log.file_name());
        std::fs::remove_file(&path)
            .and_then(|()| durable::sync_folder(folder.path()))
            .map_err(|source| KnownError::File { path, source })?;
        Ok(log)
    }
}

impl KnownLog {
    /// That it stays what it is if another is added.
    fn bears(&self, new: &Self) -> Result<(), KnownError> {
        let (known, claimed) = (self.trust.charter, new.trust.charter);
        if known == claimed {
            return match self.trust.policy.text() == new.trust.policy.text() {
                true => Ok(()),
                false => Err(KnownError::OtherKeys {
                    charter: known,
                    name: self.name.clone(),
                }),
            };
        }
        let name = self.name.clone();
        if let Some(server) = new.servers.iter().find(|it| self.servers.contains(it)) {
            let server = server.clone();
            return Err(KnownError::Changed {
                server,
                name,
                known,
                claimed,
            });
        }
        match name == new.name {
            true => Err(KnownError::NameTaken { name, known }),
            false => Ok(()),
        }
    }

    /// A log that is known keeps its name, and is served in more places.
    fn with(mut self, servers: Vec<String>) -> Self {
        for server in servers {
            if !self.servers.contains(&server) {
                self.servers.push(server);
            }
        }
        self
    }

    fn file_name(&self) -> String {
        let charter = self.trust.charter.to_string();
        let hex = charter.rsplit(':').next().unwrap_or(&charter);
        format!("{hex}{SUFFIX}")
    }

    fn to_value(&self) -> Value {
        let servers: Value = self.servers.iter().map(String::as_str).collect();
        object([
            ("name", self.name.as_str().into()),
            ("servers", servers),
            ("policy", self.trust.policy.text().into()),
            ("charter", self.trust.charter.into()),
        ])
    }
}

fn read(folder: &Folder, name: &str) -> Result<KnownLog, KnownError> {
    let path = folder.path().join(name);
    let bytes = bounded::at_most(folder.read(name)?, MAX_FILE_BYTES);
    let bytes = bytes.map_err(|source| KnownError::File {
        path: path.clone(),
        source,
    })?;
    parse(&bytes.unwrap_or_default()).map_err(|refusal| KnownError::Damaged { path, refusal })
}

fn parse(json: &[u8]) -> Result<KnownLog, Refusal> {
    let mut members = Members::open("", Value::parse(json.trim_ascii())?)?;
    let name = members.required("name", string)?;
    let servers = members.required("servers", |path, value| match value {
        Value::Array(values) => values.into_iter().map(|it| string(path, it)).collect(),
        _ => Err(ledger::codes::Code::Malformed.because(format!("{path}: not a list"))),
    })?;
    let trust = object([
        ("policy", members.required("policy", string)?.into()),
        ("charter", members.required("charter", string)?.into()),
    ]);
    members.finish()?;
    Ok(KnownLog {
        name,
        servers,
        trust: Trust::parse(trust.to_json().as_bytes())?,
    })
}

fn is_name(name: &str) -> bool {
    let is_plain = |c: char| !c.is_control() && !c.is_whitespace();
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryLog;

    fn log(name: &str, server: &str, now_ms: u64) -> KnownLog {
        KnownLog {
            name: name.to_owned(),
            servers: vec![server.to_owned()],
            trust: MemoryLog::new(now_ms).trust(),
        }
    }

    #[test]
    fn what_is_pinned_is_there_again_until_it_is_removed() {
        let state = tempfile::tempdir().unwrap();
        let known = KnownLogs::below(state.path());
        assert!(known.all().unwrap().is_empty());
        known.add(log("staging", "http://b", 2)).unwrap();
        known.add(log("production", "http://a", 1)).unwrap();
        let again = known.add(log("another name", "http://c", 1));
        assert!(matches!(again, Err(KnownError::Name)));
        let again = known.add(log("another", "http://c", 1)).unwrap();
        assert_eq!(again.name, "production", "a known log keeps its name");
        let names: Vec<String> = known.all().unwrap().into_iter().map(|it| it.name).collect();
        assert_eq!(names, ["production", "staging"]);
        let found = known.served_at("http://c").unwrap().unwrap();
        let trust = MemoryLog::new(1).trust();
        assert_eq!(found.trust.charter, trust.charter);
        assert_eq!(found.trust.policy.text(), trust.policy.text());
        assert!(known.served_at("http://d").unwrap().is_none());
        known.remove("production").unwrap();
        let gone = known.named("production");
        assert!(matches!(gone, Err(KnownError::Unknown { .. })));
    }

    #[test]
    fn nothing_stands_for_another_log_than_before() {
        let state = tempfile::tempdir().unwrap();
        let known = KnownLogs::below(state.path());
        known.add(log("production", "http://a", 1)).unwrap();
        let changed = known.add(log("other", "http://a", 2)).unwrap_err();
        assert!(matches!(changed, KnownError::Changed { .. }), "{changed}");
        let taken = known.add(log("production", "http://b", 2)).unwrap_err();
        assert!(matches!(taken, KnownError::NameTaken { .. }), "{taken}");
        let mut other_keys = log("production", "http://a", 1);
        let key = tlog::note::SigningKey::new(
            tlog::note::KeyName::parse(crate::memory::ORIGIN).unwrap(),
            &[9; 32],
        );
        let policy = format!("log {}\nquorum none\n", key.verifier_key());
        other_keys.trust.policy = tlog::policy::Policy::parse(&policy).unwrap();
        let other = known.add(other_keys).unwrap_err();
        assert!(matches!(other, KnownError::OtherKeys { .. }), "{other}");
        assert_eq!(known.all().unwrap().len(), 1);
    }

    #[test]
    fn a_file_that_somebody_bent_is_not_passed_over() {
        let state = tempfile::tempdir().unwrap();
        let known = KnownLogs::below(state.path());
        let added = known.add(log("production", "http://a", 1)).unwrap();
        let path = state
            .path()
            .join("dragons/known-logs")
            .join(added.file_name());
        for bent in ["", "{}", "{\"name\":1}"] {
            std::fs::write(&path, bent).unwrap();
            let read = known.served_at("http://a");
            assert!(matches!(read, Err(KnownError::Damaged { .. })), "{bent}");
        }
    }
}
