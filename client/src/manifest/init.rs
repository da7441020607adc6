//! An `agent.toml` to begin with.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use ledger::text::Name;

use super::config::FILE_NAME;
use super::ignored::USUAL;

/// Writes an `agent.toml` that makes the whole directory the agent's code, and gives its path. One that is there is
/// never written over.
///
/// # Errors
///
/// Those of the file system; [`io::ErrorKind::AlreadyExists`] if there is one.
pub fn init(directory: &Path, agent: &Name) -> io::Result<PathBuf> {
    let path = directory.join(FILE_NAME);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)?;
    file.write_all(text(agent).as_bytes())?;
    Ok(path)
}

/// The name that a directory suggests for its agent: its own, without what no name has.
pub fn suggested_name(directory: &Path) -> Option<Name> {
    let directory = std::fs::canonicalize(directory).ok()?;
    let name = directory.file_name()?.to_str()?.to_lowercase();
    let plain: String = name
        .chars()
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() || "._-".contains(c) => c,
            _ => '-',
        })
        .collect();
    plain.trim_matches(['.', '_', '-']).parse().ok()
}

fn text(agent: &Name) -> String {
    let ignore: Vec<String> = USUAL
        .iter()
        .map(|pattern| format!("    \"{pattern}\",\n"))
        .collect();
    format!(
        "# Who this agent is: `dragons manifest build` shows the manifest that this file gives.\n\
         agent = \"{agent}\"\n\
         version = \"1\"\n\
         \n\
         # What it runs: files and directories, relative to this file.\n\
         code = [\".\"]\n\
         config = [\"{FILE_NAME}\"]\n\
         \n\
         # What programs write beside the code does not count. Patterns as in .gitignore, without \"!\".\n\
         ignore = [\n{}]\n\
         \n\
         # Programs of the system and of this directory may be run; programs of other places are found in these.\n\
         programs_from = []\n\
         \n\
         # The most that any lease can allow it.\n\
         capabilities = [\"run:*\"]\n\
         \n\
         # How long one action takes at most, in milliseconds.\n\
         max_inflight_ms = 900000\n",
        ignore.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest;

    #[test]
    fn what_is_written_is_an_agent_and_is_never_written_over() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("work.py"), "print()\n").unwrap();
        let agent: Name = "worker".parse().unwrap();
        init(directory.path(), &agent).unwrap();
        let before = manifest::build(directory.path()).unwrap();
        assert_eq!(before.agent, agent);
        assert_eq!(before.code.files, 2);
        for litter in [
            "__pycache__/work.pyc",
            ".git/index",
            ".work.py.swp",
            "key.pem",
        ] {
            let place = directory.path().join(litter);
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::write(place, "").unwrap();
        }
        assert_eq!(
            manifest::build(directory.path()).unwrap().hash(),
            before.hash()
        );
        let refused = init(directory.path(), &agent).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_directory_suggests_a_name() {
        let directory = tempfile::tempdir().unwrap();
        for (called, expected) in [
            ("My Agent", Some("my-agent")),
            ("a.b_c", Some("a.b_c")),
            ("-- --", None),
        ] {
            let place = directory.path().join(format!("{called}x")).join(called);
            std::fs::create_dir_all(&place).unwrap();
            let name = suggested_name(&place);
            assert_eq!(name.as_ref().map(Name::as_str), expected, "{called}");
        }
    }
}
