//! The program to run: found, bound to the file of its name, opened once.
//!
//! A lease that allows `run:ls` means one program, not any file with that name. So a
//! name is *bound* before it is a scope:
//!
//! | what runs | scope |
//! | --- | --- |
//! | a file of the agent's own tree, which has its digest in the manifest | `run:<name>` |
//! | a program in a directory of the system, or one that `programs_from` adds | `run:<name>` |
//! | a program that `[[tools]]` pins by its digest | `run:<name>` |
//! | anything else, if the caller allows it | `run:@any/<name>` |
//!
//! What an interpreter runs is the script among its arguments, so that is bound as well. This guards against mistakes:
//! a program that is bound may start any other.

mod opened;
mod places;
mod script;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use ledger::codes::{Code, Refusal};
use ledger::digest::Digest;
use ledger::escape;
use ledger::scope::Scope;
use ledger::text::Name;
use unicode_normalization::UnicodeNormalization as _;

use crate::manifest::Version;
use crate::manifest::tree::FileMode;
use opened::Opened;

pub use places::SYSTEM;

/// A program that is there, with its arguments.
#[derive(Clone, Debug)]
pub struct Program {
    called: OsString,
    arguments: Vec<OsString>,
    name: OsString,
    executable: Opened,
    /// The file among the arguments that the executable, an interpreter, runs.
    script: Option<Opened>,
    binding: Binding,
    passed_over: Option<PathBuf>,
}

/// What a program's name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// A file of the agent's own.
    Agent,
    /// A program of the system.
    System,
    /// A tool that the manifest pins.
    Tool,
    /// Whatever is there.
    Any,
}

/// How programs are found.
#[derive(Clone, Debug)]
pub struct Search {
    /// The directories in which names are looked for, as `PATH` has them.
    pub path: Vec<PathBuf>,
    /// Whether a program that is bound to nothing may run all the same, under a scope that says so.
    pub allows_any: bool,
}

/// Why a program cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// There is nothing with that name.
    #[error("there is no program {called:?}")]
    NotFound {
        /// What it was called.
        called: OsString,
    },
    /// It cannot be read, so nobody could say later what ran.
    #[error("the program {path:?} could not be read")]
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing says that it is what its name stands for.
    #[error(
        "{path:?} is not bound to the agent: {why}. To run it, {help}, or run it with --any-program, under a lease that \
         allows run:@any/{name}"
    )]
    Unbound {
        /// Where it is.
        path: PathBuf,
        /// Its name.
        name: String,
        /// Why not.
        why: String,
        /// What would bind it.
        help: String,
    },
    /// It is no longer what was checked.
    #[error("{path:?} has changed since it was checked: nothing was run")]
    Changed {
        /// Where it is.
        path: PathBuf,
    },
}

impl Program {
    /// Finds a program as a shell does, and binds it: a name with a slash is a path, any other is looked for in the
    /// directories. A name that leads to nothing that can be bound is looked for in those of the system too.
    ///
    /// # Errors
    ///
    /// [`ProgramError`].
    pub fn find(
        called: &OsStr,
        arguments: Vec<OsString>,
        search: &Search,
        directory: &Path,
        version: &Version,
    ) -> Result<Self, ProgramError> {
        let ground = Binder::new(directory, version);
        let name = Path::new(called).file_name().unwrap_or(called);
        let first = find_in(called, &search.path);
        let first = first.map(|path| ground.open(path, name)).transpose()?;
        let is_bound = |found: &Found| found.binding.is_ok();
        let mut passed_over = None;
        let found = match first {
            Some(found) if is_bound(&found) || called.as_bytes().contains(&b'/') => found,
            first => {
                let trusted = find_in(called, &ground.places());
                let trusted = trusted.map(|path| ground.open(path, name)).transpose()?;
                let not_found = || ProgramError::NotFound {
                    called: called.to_owned(),
                };
                let trusted = trusted.filter(is_bound);
                if trusted.is_some() {
                    passed_over = first.as_ref().map(|first| first.file.path().to_owned());
                }
                trusted.or(first).ok_or_else(not_found)?
            }
        };
        let script = script::of(&[name, found.file.file_name()], &arguments);
        let script = script.and_then(|at| arguments.get(at));
        let script = script.map(|argument| ground.script(argument)).transpose()?;
        let script = script.flatten();
        let binding = bound_by_both(&found, script.as_ref(), search.allows_any)?;
        Ok(Self {
            name: found.name,
            called: called.to_owned(),
            arguments,
            executable: found.file,
            script: script.map(|script| script.file),
            binding,
            passed_over,
        })
    }

    /// The program of the same command line as it is now: its files may be others than they were.
    ///
    /// # Errors
    ///
    /// [`ProgramError`].
    pub fn find_again(
        &self,
        search: &Search,
        directory: &Path,
        version: &Version,
    ) -> Result<Self, ProgramError> {
        let arguments = self.arguments.clone();
        Self::find(&self.called, arguments, search, directory, version)
    }

    /// Its name without directories, as a tool has it.
    ///
    /// # Errors
    ///
    /// [`Code::Malformed`] if it has none.
    pub fn tool_name(&self) -> Result<Name, Refusal> {
        escape::name(self.name.as_bytes()).ok_or_else(nameless)
    }

    /// What it is called by, the first of its arguments.
    pub fn called(&self) -> &OsStr {
        &self.called
    }

    /// Its further arguments.
    pub fn arguments(&self) -> &[OsString] {
        &self.arguments
    }

    /// What its name stands for.
    pub const fn binding(&self) -> Binding {
        self.binding
    }

    /// What a shell would have run, where that is bound to nothing, and a program of the system is taken instead.
    pub fn passed_over(&self) -> Option<&Path> {
        self.passed_over.as_deref()
    }

    /// The scope that it runs under.
    ///
    /// # Errors
    ///
    /// [`Code::Malformed`] if it has none.
    pub fn scope(&self) -> Result<Scope, Refusal> {
        let segment = escape::segment(self.name.as_bytes()).ok_or_else(nameless)?;
        match self.binding {
            Binding::Any => format!("run:@any/{segment}").parse(),
            Binding::Agent | Binding::System | Binding::Tool => format!("run:{segment}").parse(),
        }
    }

    /// The digest of its file.
    pub const fn digest(&self) -> Digest {
        self.executable.digest()
    }

    /// The digest of the script that it runs, if it is an interpreter and runs one.
    pub fn script_digest(&self) -> Option<Digest> {
        self.script.as_ref().map(Opened::digest)
    }

    /// Where its file is.
    pub fn path(&self) -> &Path {
        self.executable.path()
    }

    /// Looks whether all that was checked is still there.
    ///
    /// # Errors
    ///
    /// [`ProgramError::Changed`].
    pub fn check_again(&self) -> Result<(), ProgramError> {
        let mut files = std::iter::once(&self.executable).chain(&self.script);
        let changed = files.find(|file| !file.is_still_there());
        changed.map_or(Ok(()), |file| {
            Err(ProgramError::Changed {
                path: file.path().to_owned(),
            })
        })
    }

    /// A path that leads to the very file that was hashed, whatever lies where it was found: a link of the program's name,
    /// below the folder, to its descriptor. It is for a child of this process, which has the descriptor until it becomes the
    /// program. A script is opened by its interpreter, so it has its own path, which `$0` is as well.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn held_path(&self, folder: &Path) -> io::Result<PathBuf> {
        let descriptor = self.executable.descriptor();
        if !self.executable.is_binary() || !descriptor.exists() {
            // It names a directory, so that it is looked for nowhere else.
            let path = self.path();
            return Ok(match path.as_os_str().as_bytes().contains(&b'/') {
                true => path.to_owned(),
                false => Path::new(".").join(path),
            });
        }
        let folder = folder.join("bin");
        std::fs::create_dir_all(&folder)?;
        // The kernel calls a process by the name of the path that it was started by.
        let link = folder.join(&self.name);
        match std::fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::os::unix::fs::symlink(descriptor, &link)?;
        Ok(link)
    }

    /// The command line, each word ended by a NUL as the system has it.
    pub fn argv(&self) -> Vec<u8> {
        let words = std::iter::once(&self.called).chain(&self.arguments);
        words
            .flat_map(|word| word.as_bytes().iter().copied().chain([0]))
            .collect()
    }
}

/// What names are bound to.
struct Binder<'a> {
    /// The agent's directory without links in its path; `None` if there is none.
    root: Option<PathBuf>,
    version: &'a Version,
}

/// A file that was opened, and what binds it, or why nothing does and what would.
struct Found {
    name: OsString,
    file: Opened,
    binding: Result<Binding, (String, String)>,
}

impl<'a> Binder<'a> {
    fn new(directory: &Path, version: &'a Version) -> Self {
        Self {
            root: std::fs::canonicalize(directory).ok(),
            version,
        }
    }

    /// The directories whose programs are bound by lying there.
    fn places(&self) -> Vec<PathBuf> {
        let system = SYSTEM.iter().map(PathBuf::from);
        system
            .chain(self.version.programs_from.iter().cloned())
            .collect()
    }

    fn open(&self, path: PathBuf, name: &OsStr) -> Result<Found, ProgramError> {
        let file = open(&path)?;
        let binding = self.bind(&file, name);
        Ok(Found {
            name: name.to_owned(),
            file,
            binding,
        })
    }

    /// The script that an argument names. One that is not there the interpreter will not find either.
    fn script(&self, argument: &OsStr) -> Result<Option<Found>, ProgramError> {
        let path = PathBuf::from(argument);
        let Some(path) = script::file_at(path) else {
            return Ok(None);
        };
        let file = open(&path)?;
        let name = file.file_name().to_owned();
        let binding = self.bind_own(&file, &name).ok_or_else(|| {
            let why = "it is a script outside the files that the manifest lists".to_owned();
            (
                why,
                format!("list it in code of agent.toml, or {}", pin(&file, &name)),
            )
        });
        Ok(Some(Found {
            name,
            file,
            binding,
        }))
    }

    fn bind(&self, file: &Opened, name: &OsStr) -> Result<Binding, (String, String)> {
        if let Some(binding) = self.bind_own(file, name) {
            return Ok(binding);
        }
        let places = self.places();
        match places::holder_of(file.path(), &places) {
            Some(holder) => match places::is_guarded(&holder, file.path()) {
                Ok(()) => Ok(Binding::System),
                Err(why) => Err((why, "take that right away".to_owned())),
            },
            None => {
                let list: Vec<String> = places
                    .iter()
                    .map(|place| place.display().to_string())
                    .collect();
                let why = match self.is_within(file.path()) {
                    true => "it is in the agent's directory, but agent.toml does not list it, or ignores it".to_owned(),
                    false => format!("it is neither a file of its manifest, nor does it lie in {}", list.join(":")),
                };
                let help = format!(
                    "list its directory in programs_from of agent.toml, or {}",
                    pin(file, name)
                );
                Err((why, help))
            }
        }
    }

    /// A file of the agent's, or a tool that it pins.
    fn bind_own(&self, file: &Opened, name: &OsStr) -> Option<Binding> {
        if self.has(file) {
            return Some(Binding::Agent);
        }
        let name = escape::name(name.as_bytes())?;
        let mut tools = self.version.manifest.tools.iter();
        let is_pinned = tools.any(|tool| tool.name == name && tool.digest == file.digest());
        is_pinned.then_some(Binding::Tool)
    }

    /// Whether the manifest has the file with this very content.
    fn has(&self, file: &Opened) -> bool {
        let Some(path) = self.relative(file.path()) else {
            return false;
        };
        let path: String = path.nfc().collect();
        [&self.version.code, &self.version.config]
            .iter()
            .filter_map(|tree| tree.get(&path))
            .any(|listed| listed.mode() != FileMode::Link && listed.content() == file.digest())
    }

    fn is_within(&self, path: &Path) -> bool {
        self.relative(path).is_some()
    }

    fn relative(&self, path: &Path) -> Option<String> {
        let path = std::fs::canonicalize(path).ok()?;
        let within = path.strip_prefix(self.root.as_ref()?).ok()?;
        within.to_str().map(str::to_owned)
    }
}

fn bound_by_both(
    found: &Found,
    script: Option<&Found>,
    allows_any: bool,
) -> Result<Binding, ProgramError> {
    for one in std::iter::once(found).chain(script) {
        match &one.binding {
            Ok(_) => {}
            Err(_) if allows_any => return Ok(Binding::Any),
            Err((why, help)) => {
                return Err(ProgramError::Unbound {
                    path: one.file.path().to_owned(),
                    name: escape::segment(found.name.as_bytes()).unwrap_or_default(),
                    why: why.clone(),
                    help: help.clone(),
                });
            }
        }
    }
    let binding = found.binding.as_ref();
    Ok(binding.copied().unwrap_or(Binding::Any))
}

fn nameless() -> Refusal {
    Code::Malformed.because("the program has no name")
}

fn pin(file: &Opened, name: &OsStr) -> String {
    let digest = file.digest();
    let name = escape::name(name.as_bytes()).map_or_else(String::new, |name| name.to_string());
    format!("pin it by [[tools]] name = {name:?} digest = \"{digest}\"")
}

fn open(path: &Path) -> Result<Opened, ProgramError> {
    Opened::at(path).map_err(|source| ProgramError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

fn find_in(called: &OsStr, directories: &[PathBuf]) -> Option<PathBuf> {
    if called.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(called)).filter(|path| opened::is_executable(path));
    }
    let mut places = directories.iter().map(|directory| directory.join(called));
    places.find(|path| opened::is_executable(path))
}

#[cfg(test)]
mod tests;
