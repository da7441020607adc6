//! Making a log: its keys, its charter at index 0, and the trust that others verify it by.
//!
//! Everything is judged before anything is written, and `trust.json` is written last: a folder without it is one
//! where this did not get to its end, and `serve` refuses it.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ledger::codes::Refusal;
use ledger::digest::RecordHash;
use ledger::json::{Value, object};
use ledger::key::PrivateKey;
use ledger::record::{
    Body, Charter, CharterKey, Kind, Limits, Liveness, Mode, RULES, Record, Role, SignedRecord,
    Thresholds,
};
use store::{Engine, OpenStoreError};
use tlog::note::{KeyName, ParseKeyError, SigningKey};

use crate::config::default_keys;
use crate::keys::{self, KeyError, KeyFile};
use crate::log::{GenesisError, LogKeys, found, judge_charter};

/// The file that says how this log is verified, in the data folder.
pub const TRUST_FILE: &str = "trust.json";

/// Its mode: it is for all who verify the log, if the folder lets them.
pub(crate) const TRUST_MODE: u32 = 0o644;

/// The file beside a log key that says which log it signs.
const SIGNS_FILE: &str = "log.json";

/// The folder of the store, in the data folder.
const STORE: &str = "store";

/// The folder of the snapshots, in the data folder.
const SNAPSHOTS: &str = "snapshots";

/// The folder of the inbox, in the data folder.
const INBOX: &str = "requests";

/// What `init` is told.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// The folder to create; it must not exist, or be empty.
    pub data: PathBuf,
    /// The name of the log.
    pub origin: String,
    /// What happens to records that break a rule; the charter file's word or `enforce` if nothing is said.
    pub mode: Option<Mode>,
    /// The folder of the keys.
    pub keys: Option<PathBuf>,
    /// Members of the charter that differ from the defaults, as JSON.
    pub charter: Option<String>,
}

/// The five keys of a new log, and which of them are new too.
struct Keys {
    folder: PathBuf,
    held: Vec<(KeyFile, PrivateKey, Origin)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Drawn,
    Found,
}

/// Makes a log, and gives back its trust fingerprint.
///
/// # Errors
/// [`InitError`]. Before the first file is written, nothing has changed.
pub fn init(
    engine: &dyn Engine,
    founding: &InitOptions,
    now_ms: u64,
) -> Result<RecordHash, InitError> {
    must_be_empty(&founding.data)?;
    let folder = founding
        .keys
        .clone()
        .unwrap_or_else(|| default_keys(&founding.data));
    let keys = Keys::find_or_draw(&folder)?;
    keys.must_sign_no_other_log()?;
    keys.must_differ()?;
    let name = KeyName::parse(&founding.origin)?;
    let log = SigningKey::new(name, &keys.get(KeyFile::Log).seed());
    let signing = LogKeys {
        log,
        control: keys.get(KeyFile::Control).clone(),
    };
    let charter = charter(founding, &keys, &signing.log, now_ms)?;
    let fingerprint = charter.hash();
    judge_charter(&signing, charter.clone(), now_ms).map_err(InitError::Charter)?;
    create_folder(&founding.data)?;
    keys.save()?;
    let storage = engine.create(&store_path(&founding.data))?;
    found(storage, &signing, charter, now_ms)?;
    keys.note_log(&founding.origin, fingerprint)?;
    write_trust(&founding.data, &signing.log, fingerprint)?;
    Ok(fingerprint)
}

/// Where the requests for leases wait.
#[must_use]
pub fn inbox_path(data: &Path) -> PathBuf {
    data.join(INBOX)
}

/// Where snapshots of the governance state lie: a cache, which may be deleted.
#[must_use]
pub fn snapshots_path(data: &Path) -> PathBuf {
    data.join(SNAPSHOTS)
}

/// The path of a log's store.
#[must_use]
pub fn store_path(data: &Path) -> PathBuf {
    data.join(STORE)
}

/// Whether a log can be made there: the folder is absent or empty.
///
/// # Errors
/// [`InitError::File`] if it cannot be read.
pub fn is_vacant(data: &Path) -> Result<bool, InitError> {
    match fs::read_dir(data) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(InitError::file(data, error)),
    }
}

fn must_be_empty(data: &Path) -> Result<(), InitError> {
    if is_vacant(data)? {
        return Ok(());
    }
    let data = data.to_owned();
    if data.join(TRUST_FILE).exists() {
        return Err(InitError::Exists { data });
    }
    Err(InitError::NotEmpty { data })
}

impl Keys {
    /// Keys that lie in the folder are used as they are; the others are drawn, and not saved yet.
    fn find_or_draw(folder: &Path) -> Result<Self, InitError> {
        let held = KeyFile::ALL.map(|file| {
            let path = file.path(folder);
            // A link to nowhere is not absent: it must fail here, not be drawn a key for.
            if path.symlink_metadata().is_ok() {
                return Ok((file, keys::read(&path)?, Origin::Found));
            }
            Ok((file, keys::draw()?, Origin::Drawn))
        });
        let held = held.into_iter().collect::<Result<_, KeyError>>()?;
        Ok(Self {
            folder: folder.to_owned(),
            held,
        })
    }

    fn get(&self, wanted: KeyFile) -> &PrivateKey {
        let held = self.held.iter().find(|(file, ..)| *file == wanted);
        held.map(|(_, key, _)| key)
            .expect("every file of KeyFile::ALL was found or drawn")
    }

    /// A log key signs one log forever: with another log of its name it would show two histories.
    fn must_sign_no_other_log(&self) -> Result<(), InitError> {
        let signs = self.folder.join(SIGNS_FILE);
        match signs.symlink_metadata() {
            Ok(_) => Err(InitError::LogKeyInUse {
                key: KeyFile::Log.path(&self.folder),
                signs,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(InitError::file(&signs, error)),
        }
    }

    /// Who signs as one thing signs as nothing else.
    fn must_differ(&self) -> Result<(), InitError> {
        for (n, (one, key, _)) in self.held.iter().enumerate() {
            let mut others = self.held.iter().skip(n + 1);
            if let Some((other, ..)) = others.find(|(_, other, _)| other.seed() == key.seed()) {
                let [one, other] = [one, other].map(|file| file.path(&self.folder));
                return Err(InitError::SameKey { one, other });
            }
        }
        Ok(())
    }

    /// Notes beside the log key which log it signs.
    fn note_log(&self, origin: &str, charter: RecordHash) -> Result<(), InitError> {
        let path = self.folder.join(SIGNS_FILE);
        let members = [
            ("origin", origin.into()),
            ("charter", charter.to_string().into()),
        ];
        let text = object(members).to_json();
        let write = || {
            let mut file = fs::File::create_new(&path)?;
            writeln!(file, "{text}")?;
            file.sync_all()
        };
        write().map_err(|error| InitError::file(&path, error))?;
        sync_folder(&self.folder)
    }

    fn save(&self) -> Result<(), InitError> {
        create_folder(&self.folder)?;
        for (file, key, origin) in &self.held {
            let path = file.path(&self.folder);
            match origin {
                Origin::Drawn => keys::create(&path, key)?,
                Origin::Found if *file == KeyFile::Log => tracing::warn!(
                    path = %path.display(),
                    "this log key was there before: if it signs a log already, two logs of one name and key are a fork"
                ),
                Origin::Found => {}
            }
        }
        sync_folder(&self.folder)
    }
}

/// Charter 1, with the members that the file names in place of the defaults, signed by the root.
fn charter(
    founding: &InitOptions,
    keys: &Keys,
    log: &SigningKey,
    now_ms: u64,
) -> Result<SignedRecord, InitError> {
    let mut payload = read_value(&default_charter(founding, keys, log, now_ms).to_payload())?;
    if let Some(text) = &founding.charter {
        let file = read_value(text.trim())?;
        payload.merge(default_tolerance(&file));
        payload.merge(file);
    }
    // Flags win over the file.
    payload.merge(object([("origin", founding.origin.as_str().into())]));
    if let Some(mode) = founding.mode {
        payload.merge(object([("mode", mode.into())]));
    }
    let record = Record::parse(Kind::Charter, payload.to_json().as_bytes());
    let record = record.map_err(InitError::Charter)?;
    record
        .sign(&[keys.get(KeyFile::Root)])
        .map_err(InitError::Charter)
}

/// The tolerance that goes with a file's own `degraded_after_ms`: a charter stands only if it is at most half of
/// that, so short clocks, as for a drill, bring a short tolerance unless the file names one.
fn default_tolerance(file: &Value) -> Value {
    let tolerance_ms = Liveness::default().tolerance_ms;
    let tolerance_ms = match member(file, "liveness").and_then(|it| member(it, "degraded_after_ms"))
    {
        Some(Value::Integer(degraded_after_ms)) => tolerance_ms.min(degraded_after_ms / 2),
        _ => tolerance_ms,
    };
    object([("liveness", object([("tolerance_ms", tolerance_ms.into())]))])
}

fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let Value::Object(members) = value else {
        return None;
    };
    let named = members.iter().find(|(member, _)| member == name);
    named.map(|(_, value)| value)
}

fn default_charter(founding: &InitOptions, keys: &Keys, log: &SigningKey, now_ms: u64) -> Record {
    let member = |file: KeyFile, role| CharterKey {
        key: keys.get(file).public(),
        name: file
            .name()
            .parse()
            .expect("the names of key files are plain"),
        roles: vec![role],
    };
    let charter = Charter {
        version: 1,
        rules: RULES,
        origin: founding.origin.clone(),
        log_keys: vec![log.verifier_key()],
        previous: None,
        mode: Mode::Enforce,
        thresholds: Thresholds::default(),
        keys: vec![
            member(KeyFile::Root, Role::Root),
            member(KeyFile::Operator, Role::Operator),
            member(KeyFile::Control, Role::Control),
            member(KeyFile::Observer, Role::Observer),
        ],
        distrusted: Vec::new(),
        limits: Limits::default(),
        liveness: Liveness::default(),
    };
    Record {
        log: None,
        at_ms: now_ms,
        body: Body::Charter(Box::new(charter)),
        ext: None,
    }
}

fn read_value(json: &str) -> Result<Value, InitError> {
    Value::parse(json.as_bytes()).map_err(InitError::Charter)
}

/// Writes the policy and the fingerprint that a verifier pins: whole or not at all.
fn write_trust(data: &Path, log: &SigningKey, charter: RecordHash) -> Result<(), InitError> {
    let policy = format!("log {}\nquorum none\n", log.verifier_key());
    let members = [
        ("policy", policy.into()),
        ("charter", charter.to_string().into()),
    ];
    let (path, partial) = (
        data.join(TRUST_FILE),
        data.join(format!("{TRUST_FILE}.partial")),
    );
    let text = object(members).to_json();
    let write = || {
        let mut file = fs::File::create_new(&partial)?;
        writeln!(file, "{text}")?;
        file.set_permissions(Permissions::from_mode(TRUST_MODE))?;
        file.sync_all()?;
        fs::rename(&partial, &path)
    };
    write().map_err(|error| InitError::file(&path, error))?;
    sync_folder(data)
}

/// Makes a folder for its owner alone, whatever the umask; one that is there stays as it is.
pub(crate) fn create_folder(path: &Path) -> Result<(), InitError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| InitError::file(path, error))
}

/// New names in a folder are durable only once the folder is synced.
fn sync_folder(path: &Path) -> Result<(), InitError> {
    let synced = fs::File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(|error| InitError::file(path, error))
}

/// Why a log was not made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is one.
    #[error("there is already a log in {}", data.display())]
    Exists {
        /// The folder.
        data: PathBuf,
    },
    /// The folder has something else in it, perhaps an attempt that broke off.
    #[error(
        "the folder {} is not empty and holds no finished log; if an init broke off there, remove it and begin again",
        data.display()
    )]
    NotEmpty {
        /// The folder.
        data: PathBuf,
    },
    /// The origin is not a name for a log.
    #[error("the origin cannot be the name of a log key")]
    Origin(#[from] ParseKeyError),
    /// The charter does not stand.
    #[error("the charter is not valid")]
    Charter(#[source] Refusal),
    /// The log key signs another log.
    #[error(
        "the key {} signs a log already, which {} names: two logs with one key are a fork; name another folder with --keys",
        key.display(), signs.display()
    )]
    LogKeyInUse {
        /// The key.
        key: PathBuf,
        /// The file that says which log.
        signs: PathBuf,
    },
    /// Two files hold one key.
    #[error("{} and {} hold the same key: each signs as something else", one.display(), other.display())]
    SameKey {
        /// One file.
        one: PathBuf,
        /// The other.
        other: PathBuf,
    },
    /// A key file is wrong.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store could not be made.
    #[error(transparent)]
    Store(#[from] OpenStoreError),
    /// The charter could not be logged.
    #[error("the charter could not be logged")]
    Genesis(#[from] GenesisError),
    /// A file or folder could not be read or written.
    #[error("{} could not be read or written", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
}

impl InitError {
    fn file(path: &Path, error: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            error,
        }
    }
}

#[cfg(test)]
mod tests;
