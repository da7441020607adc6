//! Manifests: an agent's identity, made from its directory.
//!
//! [`build`] reads the [`agent.toml`](config) of a directory and the files that it lists, and gives the manifest
//! that the log knows the agent by. The same directory gives the same manifest on every machine.

pub mod again;
pub mod config;
pub(crate) mod content;
pub mod diff;
pub mod ignored;
pub mod init;
pub mod kept;
pub mod listed;
pub mod proof;
pub mod tree;
pub mod walk;

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use ledger::codes::Refusal;
use ledger::digest::Digest;
use ledger::record::{FileSet, Manifest, Model, Prompt, Tool};
use ledger::text::Name;

use config::{AgentConfig, ModelConfig, PromptConfig, ToolConfig};
use ignored::Ignored;
use tree::FileTree;
use walk::{Listing, WalkError};

/// The longest file that a tool or a prompt is digested from: far above any definition, far below any memory.
pub const MAX_DEFINITION_BYTES: u64 = 16 * 1024 * 1024;

/// Why a directory gives no manifest. All of it is for whoever wrote the directory to put right.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A file could not be read.
    #[error("{path:?} could not be read")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is longer than anything that it could hold.
    #[error("{path:?} is longer than {most} bytes")]
    TooLong {
        /// Which.
        path: PathBuf,
        /// The longest it may be.
        most: u64,
    },
    /// The `agent.toml` is not one.
    #[error("{path:?} is not an agent.toml")]
    Config {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        source: toml::de::Error,
    },
    /// The `agent.toml` could not be edited.
    #[error("{path:?} cannot be edited: {reason}")]
    Edit {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A member of the `agent.toml` does not parse.
    #[error("agent.toml: {member}: {refusal}")]
    Member {
        /// Which.
        member: String,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// A path in the `agent.toml` is not one below its directory.
    #[error("agent.toml: {member}: {path:?} is not a plain path below the directory")]
    Path {
        /// Where it stands.
        member: &'static str,
        /// The path.
        path: String,
    },
    /// A tool or a prompt is named by both or neither of its digest and its file.
    #[error("agent.toml: {member} needs either a digest or a file")]
    DigestOrFile {
        /// Which.
        member: String,
    },
    /// A pattern of `ignore` is not valid.
    #[error("agent.toml: ignore: {pattern:?}: {reason}")]
    Pattern {
        /// What was written.
        pattern: String,
        /// Why it is none.
        reason: String,
    },
    /// Programs are taken from places that the manifest does not tell of.
    #[error(
        "agent.toml: programs_from counts only where agent.toml is listed in config: else anybody could change it"
    )]
    ProgramsUnlisted,
    /// The files are not a file tree.
    #[error("a file tree of the directory cannot be made")]
    Walk(#[from] WalkError),
}

/// A version of an agent, and the files of its manifest.
#[derive(Clone, Debug)]
pub struct Version {
    /// The manifest.
    pub manifest: Manifest,
    /// What it runs.
    pub code: FileTree,
    /// What it is configured with.
    pub config: FileTree,
    /// Directories whose programs it may run, in addition to those of the system.
    pub programs_from: Vec<PathBuf>,
}

/// Builds the manifest of the agent in a directory.
///
/// # Errors
///
/// [`ManifestError`].
pub fn build(directory: &Path) -> Result<Manifest, ManifestError> {
    Ok(read(directory, &mut |_, _| {})?.manifest)
}

/// Reads the version of the agent in a directory. `tell` hears how many bytes of how many have been read; while the
/// directory is walked, the second number grows.
///
/// # Errors
///
/// [`ManifestError`].
pub fn read(directory: &Path, tell: &mut dyn FnMut(u64, u64)) -> Result<Version, ManifestError> {
    Ok(Reading::of(directory, tell)?.version)
}

/// A version, and what it was read from.
#[derive(Debug)]
struct Reading {
    version: Version,
    config: AgentConfig,
    listings: Listings,
    begun: SystemTime,
}

/// What there was of code and of configuration.
#[derive(Debug)]
struct Listings {
    code: Listing,
    config: Listing,
}

impl Reading {
    fn of(directory: &Path, tell: &mut dyn FnMut(u64, u64)) -> Result<Self, ManifestError> {
        let begun = SystemTime::now();
        let config = read_config(directory)?;
        let ignored = Ignored::of(&config.ignore)?;
        let mut total = 0;
        let listings = Listings::of(directory, &config, &ignored, &mut |bytes| {
            total += bytes;
            tell(0, total);
        })?;
        let mut done = 0;
        let mut count = |bytes| {
            done += bytes;
            tell(done, total);
        };
        let code = listings.code.read(&mut count)?;
        let config_files = listings.config.read(&mut count)?;
        let version = version(directory, &config, &ignored, code, config_files)?;
        Ok(Self {
            version,
            config,
            listings,
            begun,
        })
    }
}

impl Listings {
    fn of(
        directory: &Path,
        config: &AgentConfig,
        ignored: &Ignored,
        tell: &mut dyn FnMut(u64),
    ) -> Result<Self, ManifestError> {
        let mut list = |member, listed: &[String]| {
            let listed = plain_paths(member, listed)?;
            Ok::<_, ManifestError>(walk::list(directory, &listed, ignored, tell)?)
        };
        Ok(Self {
            code: list("code", &config.code)?,
            config: list("config", &config.config)?,
        })
    }
}

fn version(
    directory: &Path,
    config: &AgentConfig,
    ignored: &Ignored,
    code: FileTree,
    config_files: FileTree,
) -> Result<Version, ManifestError> {
    let is_listed = config_files.get(config::FILE_NAME).is_some();
    if !config.programs_from.is_empty() && !is_listed {
        return Err(ManifestError::ProgramsUnlisted);
    }
    let (prompts, tools) = (config.prompts.iter(), config.tools.iter());
    let manifest = Manifest {
        agent: parse("agent", &config.agent)?,
        version: parse("version", &config.version)?,
        code: file_set(&code, ignored),
        config: file_set(&config_files, ignored),
        models: config.models.iter().map(model).collect::<Result<_, _>>()?,
        prompts: prompts
            .map(|one| prompt(directory, one))
            .collect::<Result<_, _>>()?,
        tools: tools
            .map(|one| tool(directory, one))
            .collect::<Result<_, _>>()?,
        capabilities: parse_each("capabilities", &config.capabilities)?,
        max_inflight_ms: config.max_inflight_ms,
    };
    Ok(Version {
        manifest,
        code,
        config: config_files,
        programs_from: config.programs_from.iter().map(PathBuf::from).collect(),
    })
}

/// The agent that a directory says it holds, whatever else is in it.
///
/// # Errors
///
/// [`ManifestError`].
pub fn agent(directory: &Path) -> Result<Name, ManifestError> {
    parse("agent", &read_config(directory)?.agent)
}

/// The tools that the `agent.toml` of a directory lists, whatever else is in it.
///
/// # Errors
///
/// [`ManifestError`].
pub fn tools(directory: &Path) -> Result<Vec<Tool>, ManifestError> {
    let config = read_config(directory)?;
    config
        .tools
        .iter()
        .map(|one| tool(directory, one))
        .collect()
}

fn read_config(directory: &Path) -> Result<AgentConfig, ManifestError> {
    let path = directory.join(config::FILE_NAME);
    let bytes = read_bounded(&path, config::MAX_CONFIG_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let source = io::Error::new(io::ErrorKind::InvalidData, error);
        ManifestError::Read {
            path: path.clone(),
            source,
        }
    })?;
    AgentConfig::parse(&text).map_err(|source| ManifestError::Config { path, source })
}

/// A path may end in `/`, as people write directories; apart from that it is spelled as in the manifest.
fn plain_paths(member: &'static str, paths: &[String]) -> Result<Vec<String>, ManifestError> {
    let plain = |path: &String| {
        let trimmed = path.strip_suffix('/').unwrap_or(path);
        let odd = |part: &str| matches!(part, "" | "." | "..");
        if trimmed != "." && trimmed.split('/').any(odd) {
            return Err(ManifestError::Path {
                member,
                path: path.clone(),
            });
        }
        Ok(trimmed.to_owned())
    };
    paths.iter().map(plain).collect()
}

fn file_set(tree: &FileTree, ignored: &Ignored) -> FileSet {
    FileSet {
        root: tree.root(),
        files: tree.files().len() as u64,
        bytes: tree.bytes(),
        ignore: ignored.patterns().to_vec(),
    }
}

fn tool(directory: &Path, tool: &ToolConfig) -> Result<Tool, ManifestError> {
    let member = format!("tool {:?}", tool.name);
    let server = tool.server.as_deref().map(|server| parse(&member, server));
    Ok(Tool {
        name: parse("tools", &tool.name)?,
        server: server.transpose()?,
        digest: digest(
            directory,
            &member,
            tool.digest.as_deref(),
            tool.file.as_deref(),
        )?,
    })
}

fn prompt(directory: &Path, prompt: &PromptConfig) -> Result<Prompt, ManifestError> {
    let member = format!("prompt {:?}", prompt.name);
    Ok(Prompt {
        name: parse("prompts", &prompt.name)?,
        digest: digest(
            directory,
            &member,
            prompt.digest.as_deref(),
            prompt.file.as_deref(),
        )?,
    })
}

fn model(model: &ModelConfig) -> Result<Model, ManifestError> {
    let member = format!("model {:?}", model.model);
    let param =
        |(name, text): (&String, &String)| Ok((parse(&member, name)?, parse(&member, text)?));
    Ok(Model {
        provider: parse(&member, &model.provider)?,
        model: parse("models", &model.model)?,
        params: model
            .params
            .iter()
            .map(param)
            .collect::<Result<_, ManifestError>>()?,
    })
}

fn digest(
    directory: &Path,
    member: &str,
    digest: Option<&str>,
    file: Option<&str>,
) -> Result<Digest, ManifestError> {
    match (digest, file) {
        (Some(digest), None) => parse(member, digest),
        (None, Some(file)) => {
            let plain = plain_paths("file", &[file.to_owned()])?;
            let place = plain
                .iter()
                .fold(directory.to_owned(), |place, part| place.join(part));
            Ok(Digest::of(&[&read_bounded(&place, MAX_DEFINITION_BYTES)?]))
        }
        _ => Err(ManifestError::DigestOrFile {
            member: member.to_owned(),
        }),
    }
}

fn parse_each<T: FromStr<Err = Refusal>>(
    member: &str,
    texts: &[String],
) -> Result<Vec<T>, ManifestError> {
    texts.iter().map(|text| parse(member, text)).collect()
}

fn parse<T: FromStr<Err = Refusal>>(member: &str, text: &str) -> Result<T, ManifestError> {
    let member = member.to_owned();
    text.parse()
        .map_err(|refusal| ManifestError::Member { member, refusal })
}

fn read_bounded(path: &Path, most: u64) -> Result<Vec<u8>, ManifestError> {
    let unreadable = |source| ManifestError::Read {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let file = content::open_regular(path).map_err(unreadable)?;
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > most {
        return Err(ManifestError::TooLong {
            path: path.to_owned(),
            most,
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const AGENT: &str = "agent = 'reconciler'\nversion = 'v1'\ncode = ['src/']\nconfig = ['agent.toml']\n\
        ignore = ['src/z', 'src/b']\ncapabilities = ['read:**', 'run:*']\nmax_inflight_ms = 900000\n";

    fn directory(agent_toml: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("src")).unwrap();
        fs::write(directory.path().join("src/main.py"), "print()\n").unwrap();
        fs::write(directory.path().join("src/b"), "ignored").unwrap();
        fs::write(directory.path().join("prompt.txt"), "Be brief.").unwrap();
        fs::write(directory.path().join("agent.toml"), agent_toml).unwrap();
        directory
    }

    #[test]
    fn a_directory_has_one_hash() {
        let manifest = build(directory(AGENT).path()).unwrap();
        assert_eq!((manifest.code.files, manifest.code.bytes), (1, 8));
        assert_eq!(manifest.code.ignore, ["src/b", "src/z"]);
        assert_eq!(
            manifest.hash(),
            build(directory(AGENT).path()).unwrap().hash()
        );
        // Computed from the format by another implementation.
        let golden = "sha256:712370079d613639514944c754bc5786ef5000f7d1a8b0dd972fca12f031f215";
        assert_eq!(manifest.hash().to_string(), golden);
    }

    #[test]
    fn tools_models_and_prompts_count() {
        let bare = build(directory(AGENT).path()).unwrap();
        let digest = Digest::of(&[b"Be brief."]);
        let text = format!(
            "{AGENT}[[tools]]\nname = 't'\ndigest = '{digest}'\n[[prompts]]\nname = 'system prompt'\n\
            file = 'prompt.txt'\n[[models]]\nprovider = 'p'\nmodel = 'm'\nparams = {{ b = '1', a = '2' }}\n"
        );
        let manifest = build(directory(&text).path()).unwrap();
        assert_eq!(manifest.tools[0].digest, digest);
        assert_eq!(manifest.prompts[0].digest, digest);
        assert_eq!(manifest.models[0].params.len(), 2);
        assert_ne!(manifest.hash(), bare.hash());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (AGENT.replace("reconciler", "re conciler"), "agent"),
            (AGENT.replace("run:*", "run"), "capabilities"),
            (AGENT.replace("src/z", "../z"), "ignore"),
            (AGENT.replace("'src/'", "'/src'"), "code"),
            (AGENT.replace("'src/'", "'src/../src'"), "code"),
            (
                format!("{AGENT}[[tools]]\nname = 't'\n"),
                "either a digest or a file",
            ),
            (
                format!("{AGENT}[[prompts]]\nname = 'p'\nfile = 'x'\ndigest = 'y'\n"),
                "prompt",
            ),
            (
                format!("{AGENT}[[prompts]]\nname = 'p'\nfile = '../prompt.txt'\n"),
                "file",
            ),
            (
                format!("{AGENT}[[prompts]]\nname = 'p'\nfile = 'absent'\n"),
                "could not be read",
            ),
        ];
        for (text, named) in cases {
            let refused = build(directory(&text).path()).unwrap_err().to_string();
            assert!(refused.contains(named), "{text}: {refused}");
        }
    }

    #[test]
    fn a_pipe_is_no_agent_toml_and_nobody_waits_for_it() {
        let directory = directory(AGENT);
        let path = directory.path().join("agent.toml");
        fs::remove_file(&path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let refused = build(directory.path()).unwrap_err();
        assert!(matches!(refused, ManifestError::Read { .. }), "{refused}");
    }

    #[test]
    fn a_directory_without_agent_toml_is_no_agent() {
        let empty = tempfile::tempdir().unwrap();
        let refused = build(empty.path()).unwrap_err();
        assert!(matches!(refused, ManifestError::Read { .. }), "{refused}");
    }
}
