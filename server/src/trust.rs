//! `trust.json`: the policy and the charter that a log is verified by.

use std::path::{Path, PathBuf};
use std::{fs, io};

use ledger::digest::RecordHash;
use ledger::json::Value;
use tlog::policy::{ParsePolicyError, Policy};

use crate::init::TRUST_FILE;

/// What a verifier of this log pins.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Whose signatures make a checkpoint one of this log.
    pub policy: Policy,
    /// The record hash of charter 1.
    pub charter: RecordHash,
}

impl Trust {
    /// Reads the trust of the log in a data folder.
    ///
    /// # Errors
    /// [`TrustError::Missing`] if `init` did not make the folder, or did not get to its end.
    pub fn read(data: &Path) -> Result<Self, TrustError> {
        let path = data.join(TRUST_FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(TrustError::Missing {
                    data: data.to_owned(),
                });
            }
            Err(error) => return Err(TrustError::Unreadable { path, error }),
        };
        Self::parse(text.as_bytes(), &path)
    }

    /// Reads the content of a trust file that is at `path`, or will be.
    ///
    /// # Errors
    /// [`TrustError`].
    pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Self, TrustError> {
        let path = path.to_owned();
        let (policy, charter) =
            members(bytes).ok_or_else(|| TrustError::Malformed { path: path.clone() })?;
        let charter = charter
            .parse()
            .map_err(|_| TrustError::Malformed { path: path.clone() })?;
        let policy = Policy::parse(&policy).map_err(|error| TrustError::Policy { path, error })?;
        Ok(Self { policy, charter })
    }
}

impl Trust {
    /// The trust file, without spaces.
    pub fn to_json(&self) -> String {
        let trust = ledger::verify::Trust {
            policy: self.policy.clone(),
            charter: self.charter,
            from: None,
        };
        trust.to_json()
    }
}

fn members(bytes: &[u8]) -> Option<(String, String)> {
    let Value::Object(members) = Value::parse(bytes.trim_ascii()).ok()? else {
        return None;
    };
    let (mut policy, mut charter) = (None, None);
    for (name, value) in members {
        match (name.as_str(), value) {
            ("policy", Value::Text(text)) => policy = Some(text),
            ("charter", Value::Text(text)) => charter = Some(text),
            _ => return None,
        }
    }
    Some((policy?, charter?))
}

/// Why there is no trust to go by.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The folder is not a finished log.
    #[error(
        "{} is not a folder that init made, or init broke off there: it has no {TRUST_FILE}",
        data.display()
    )]
    Missing {
        /// The data folder.
        data: PathBuf,
    },
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The file is not of the form that init writes.
    #[error("{} is not a trust file", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The policy in it cannot be read.
    #[error("the policy in {} cannot be read", path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: ParsePolicyError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Trust, TrustError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(TRUST_FILE), text).unwrap();
        Trust::read(folder.path())
    }

    #[test]
    fn what_init_writes_is_read() {
        let charter = format!("sha256:{}", "0a".repeat(32));
        let vkey = "example.com/workledger+010682ba+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
        let good =
            format!("{{\"policy\":\"log {vkey}\\nquorum none\\n\",\"charter\":\"{charter}\"}}\n");
        assert_eq!(read(&good).unwrap().charter.to_string(), charter);
        for bad in [
            good.replace("policy", "polity"),
            good.replace("sha256:", ""),
            good.replace("}", ",\"more\":1}"),
            String::new(),
        ] {
            assert!(
                matches!(read(&bad), Err(TrustError::Malformed { .. })),
                "{bad}"
            );
        }
        let bad = good.replace("quorum none", "quorum some");
        assert!(matches!(read(&bad), Err(TrustError::Policy { .. })));
    }

    #[test]
    fn a_folder_without_it_is_named_as_such() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            Trust::read(folder.path()),
            Err(TrustError::Missing { .. })
        ));
    }
}
