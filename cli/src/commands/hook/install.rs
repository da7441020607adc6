//! `hook install` and `hook uninstall`: a host's settings are changed, and put back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use host::durable::{self, Readers};
use ledger::digest::Digest;
use ledger::record::{Body, Record};
use ledger::text::Name;
use serde_json::{Value, json};
use similar::TextDiff;

use crate::hook::Host;
use crate::hook::settings::{self, Wish};
use crate::output;
use crate::session::Session;

/// The longest settings file.
const MAX_SETTINGS_BYTES: usize = 4 * 1024 * 1024;

/// How many denials in a day a model that tries again needs before it is quarantined for them.
const MANY_DENIALS: u64 = 200;

/// What is to be called, and where.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    /// Also deny an action when no decision is available: no socket, no answer in time
    #[arg(long)]
    enforce: bool,
    /// The agent whose socket the hooks use [default: the only agent that has one]
    #[arg(long, value_name = "NAME")]
    agent: Option<Name>,
    /// The socket that the hooks use
    #[arg(long, value_name = "FILE", conflicts_with = "agent")]
    socket: Option<PathBuf>,
    /// Install for Cursor, although its behaviour is known only from its documentation
    #[arg(long)]
    unproven: bool,
}

/// Where hooks are taken out.
#[derive(Debug, Args)]
pub(crate) struct UninstallOptions {
    #[command(flatten)]
    place: Place,
}

/// Whose settings.
#[derive(Debug, Args)]
struct Place {
    /// The host
    #[arg(value_enum)]
    host: Host,
    /// The settings of a project
    #[arg(long, value_name = "DIR", conflicts_with = "user")]
    project: Option<PathBuf>,
    /// The user's own settings; this is the default
    #[arg(long)]
    user: bool,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Place {
    fn file(&self) -> Result<PathBuf> {
        let file = match &self.project {
            Some(project) => {
                ensure!(project.is_dir(), "{project:?} is not a directory");
                project.join(self.host.project_settings())
            }
            None => {
                let home =
                    std::env::home_dir().context("the user's home directory is not known")?;
                self.host.user_settings(&home)
            }
        };
        Ok(std::path::absolute(file)?)
    }
}

/// Puts hooks into a host's settings.
///
/// # Errors
///
/// If the settings cannot be read, changed or written.
pub(crate) fn install(session: &Session, options: &Options) -> Result<()> {
    let host = options.place.host;
    ensure!(
        host != Host::Cursor || options.unproven,
        "what Cursor does with these hooks is known only from its documentation: --unproven installs them anyway"
    );
    let file = options.place.file()?;
    let before = read(&file)?;
    let wish = Wish {
        host,
        program: program()?,
        enforce: options.enforce,
        more: more(options)?,
    };
    let text = before.clone().unwrap_or_default();
    let after = settings::with_hooks(&text, &wish).with_context(|| format!("{file:?}"))?;
    let is_changed = show(session, &file, before.as_deref(), Some(&after))?;
    if is_changed && !options.place.dry_run {
        keep(&file, before.as_deref(), &after)?;
        write(&file, &after)?;
    }
    warn(session, options, &file);
    Ok(())
}

/// Takes them out again. Where nothing else has changed since, the file is what it was before, to the byte.
///
/// # Errors
///
/// As [`install`].
pub(crate) fn uninstall(session: &Session, options: &UninstallOptions) -> Result<()> {
    let file = options.place.file()?;
    let Some(before) = read(&file)? else {
        return show(session, &file, None, None).map(drop);
    };
    let after = match kept(&file)? {
        Some(kept) if kept.is_of(&before) => kept.before,
        _ => Some(
            settings::without_hooks(&before, options.place.host)
                .with_context(|| format!("{file:?}"))?,
        ),
    };
    let is_changed = show(session, &file, Some(&before), after.as_deref())?;
    if options.place.dry_run || !is_changed {
        return Ok(());
    }
    match after {
        Some(after) => write(&file, &after)?,
        None => std::fs::remove_file(&file).with_context(|| format!("{file:?}"))?,
    }
    forget(&file)
}

/// The settings as they are; `None` if there are none.
fn read(file: &Path) -> Result<Option<String>> {
    if !file.try_exists().with_context(|| format!("{file:?}"))? {
        return Ok(None);
    }
    let bytes = host::bounded::read(file, MAX_SETTINGS_BYTES)?;
    let text = String::from_utf8(bytes).with_context(|| format!("{file:?} is not text"))?;
    Ok(Some(text))
}

/// A link is followed: the settings of many people lie in a repository.
fn write(file: &Path, text: &str) -> Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("{folder:?}"))?;
    }
    host::output::write(file, text.as_bytes()).with_context(|| format!("{file:?}"))
}

/// Shows how the file changes. Whether it does.
fn show(session: &Session, file: &Path, before: Option<&str>, after: Option<&str>) -> Result<bool> {
    let name = file.to_string_lossy();
    let (old, new) = (before.unwrap_or_default(), after.unwrap_or_default());
    let from = before.map_or("/dev/null", |_| &name);
    let to = after.map_or("/dev/null", |_| &name);
    let diff = TextDiff::from_lines(old, new);
    let diff = diff.unified_diff().header(from, to).to_string();
    let is_changed = before != after;
    if session.json() {
        let members = [
            ("file", (*name).into()),
            ("changes", is_changed.into()),
            ("diff", diff.as_str().into()),
        ];
        output::json(&ledger::json::object(members))?;
    } else if is_changed {
        output::verbatim(&diff)?;
    } else {
        output::verbatim(&format!("{name}: nothing to change\n"))?;
    }
    Ok(is_changed)
}

/// What a file was before the first of our changes.
struct Kept {
    before: Option<String>,
    after: String,
}

impl Kept {
    fn is_of(&self, text: &str) -> bool {
        Digest::of(&[text.as_bytes()]).to_string() == self.after
    }
}

fn kept_file(file: &Path) -> Result<PathBuf> {
    let name = Digest::of(&[file.as_os_str().as_encoded_bytes()]).to_string();
    let name = name.replace(':', "-");
    Ok(settings::folder()?.join(format!("{name}.json")))
}

fn kept(file: &Path) -> Result<Option<Kept>> {
    let Some(text) = read(&kept_file(file)?)? else {
        return Ok(None);
    };
    // A note that cannot be read is as good as none: our hooks are taken out one by one then.
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    let before = value["before"].as_str().map(str::to_owned);
    let after = value["after"].as_str().map(str::to_owned);
    Ok(after.map(|after| Kept { before, after }))
}

/// Keeps what the file was. What we have written before is not what it was.
fn keep(file: &Path, before: Option<&str>, after: &str) -> Result<()> {
    let first = match kept(file)? {
        Some(kept) if before.is_some_and(|before| kept.is_of(before)) => kept.before,
        _ => before.map(str::to_owned),
    };
    let note = json!({
        "file": file.to_string_lossy(), "before": first, "after": Digest::of(&[after.as_bytes()]).to_string(),
    });
    let path = kept_file(file)?;
    std::fs::create_dir_all(settings::folder()?)?;
    let text = format!("{note}\n");
    durable::replace(&path, text.as_bytes(), Readers::Owner).with_context(|| format!("{path:?}"))
}

fn forget(file: &Path) -> Result<()> {
    match std::fs::remove_file(kept_file(file)?) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// This program as a hook calls it: by its name where that is found, else by its path.
fn program() -> Result<String> {
    let this = std::env::current_exe()?.canonicalize()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("dragons"));
    let found = found.filter_map(|file| file.canonicalize().ok()).next();
    match found {
        Some(found) if found == this => Ok("dragons".to_owned()),
        _ => {
            let this = this
                .to_str()
                .context("the path of this program is not text")?;
            Ok(quoted(this))
        }
    }
}

fn more(options: &Options) -> Result<String> {
    if let Some(agent) = &options.agent {
        return Ok(format!(" --agent {}", quoted(agent.as_str())));
    }
    let Some(socket) = &options.socket else {
        return Ok(String::new());
    };
    let socket = std::path::absolute(socket)?;
    let socket = socket
        .to_str()
        .context("the path of the socket is not text")?;
    Ok(format!(" --socket {}", quoted(socket)))
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

fn warn(session: &Session, options: &Options, file: &Path) {
    let host = options.place.host;
    if host == Host::Codex {
        output::complain(
            "note: Codex passes over hooks that its user has not trusted, without a word: start codex, say /hooks, and trust them",
        );
    }
    if host == Host::ClaudeCode && options.place.project.is_some() {
        output::complain(&format!(
            "note: Claude Code uses {file:?} only in a project that its user has trusted"
        ));
    }
    if !options.enforce {
        return;
    }
    match denials_max(session) {
        Some(most) if most < MANY_DENIALS => output::complain(&format!(
            "warning: denials_max is {most} in this log: a model that retries what was denied is quarantined within minutes. \
             An amendment of the charter to {MANY_DENIALS} or more gives it time"
        )),
        Some(_) => {}
        None => output::complain(&format!(
            "note: the log was not asked for its denials_max: below {MANY_DENIALS}, a model that tries again is quarantined within minutes"
        )),
    }
}

/// How many denials a day the charter allows, if the service says so within two seconds.
fn denials_max(session: &Session) -> Option<u64> {
    let service = session.service().ok()?.within(Duration::from_secs(2));
    let (_, value) = service.charter().ok()?;
    let ledger::json::Value::Object(members) = value else {
        return None;
    };
    let charter = members.into_iter().find(|(name, _)| name == "charter")?.1;
    let record = Record::parse(ledger::record::Kind::Charter, charter.to_json().as_bytes()).ok()?;
    match record.body {
        Body::Charter(charter) => Some(charter.limits.denials_max),
        _ => None,
    }
}
