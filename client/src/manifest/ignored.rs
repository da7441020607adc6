//! What a manifest leaves out: patterns as in `.gitignore`, relative to the agent's directory.

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use unicode_normalization::UnicodeNormalization as _;

use super::ManifestError;

/// What programs, editors and version control write beside the code of an agent: an `agent.toml` begins with it.
pub const USUAL: &[&str] = &[
    ".git/",
    "__pycache__/",
    "*.pyc",
    ".pytest_cache/",
    ".mypy_cache/",
    ".ruff_cache/",
    "node_modules/.cache/",
    ".npm/",
    "target/",
    "*.log",
    "*.tmp",
    "*~",
    ".*.sw?",
    ".#*",
    "[#]*#",
    ".DS_Store",
    "*.pem",
];

/// Patterns that can be asked of paths.
#[derive(Clone, Debug)]
pub struct Ignored {
    patterns: Vec<String>,
    matcher: Gitignore,
}

impl Ignored {
    /// Reads patterns, each in the form that a manifest holds.
    ///
    /// # Errors
    ///
    /// [`ManifestError::Pattern`].
    pub fn of(patterns: &[String]) -> Result<Self, ManifestError> {
        // Names are compared in normalisation form C.
        let mut patterns: Vec<String> = patterns.iter().map(|one| one.nfc().collect()).collect();
        patterns.sort_unstable();
        patterns.dedup();
        let mut builder = GitignoreBuilder::new("");
        for pattern in &patterns {
            check(pattern)?;
            builder
                .add_line(None, pattern)
                .map_err(|error| refused(pattern, &error.to_string()))?;
        }
        let matcher = builder
            .build()
            .map_err(|error| refused(&patterns.join(" "), &error.to_string()))?;
        Ok(Self { patterns, matcher })
    }

    /// The patterns, sorted.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether a path is left out, by itself or with a directory that it is in.
    pub(super) fn leaves_out(&self, path: &str, is_directory: bool) -> bool {
        !path.is_empty()
            && self
                .matcher
                .matched_path_or_any_parents(path, is_directory)
                .is_ignore()
    }
}

/// As the ledger reads them, but with a reason for whoever wrote the file.
fn check(pattern: &str) -> Result<(), ManifestError> {
    let plain = pattern.strip_prefix('/').unwrap_or(pattern);
    let plain = plain.strip_suffix('/').unwrap_or(plain);
    let odd = |part: &str| matches!(part, "" | "." | "..");
    let reason = if pattern.starts_with('!') {
        "a pattern cannot take back what another leaves out"
    } else if pattern.starts_with('#') {
        "gitignore reads it as a comment; write [#]"
    } else if pattern.ends_with(' ') {
        "gitignore passes over a space at the end"
    } else if plain.split('/').any(odd) {
        "no part of a pattern is empty, . or .."
    } else {
        return Ok(());
    };
    Err(refused(pattern, reason))
}

fn refused(pattern: &str, reason: &str) -> ManifestError {
    ManifestError::Pattern {
        pattern: pattern.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignored(patterns: &[&str]) -> Result<Ignored, ManifestError> {
        let owned: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        Ignored::of(&owned)
    }

    #[test]
    fn patterns_mean_what_they_mean_to_git() {
        for (pattern, path, is_directory, expected) in [
            ("src/target", "src/target", true, true),
            ("src/target", "src/target/deep/file", false, true),
            ("src/target", "src/target-2", true, false),
            ("src/target", "other/src/target", true, false),
            ("__pycache__/", "src/deep/__pycache__", true, true),
            ("__pycache__/", "src/__pycache__/a.pyc", false, true),
            ("__pycache__/", "src/__pycache__", false, false),
            ("*.pyc", "src/deep/a.pyc", false, true),
            ("*.pyc", "a.py", false, false),
            ("/build", "build", true, true),
            ("/build", "src/build", true, false),
            ("a/**/z", "a/b/c/z", false, true),
            ("a/*.log", "a/b/x.log", false, false),
            ("caf\u{e9}", "caf\u{e9}", false, true),
            ("cafe\u{301}", "caf\u{e9}", false, true),
            ("[#]*#", "src/#a.py#", false, true),
            (".*.sw?", "src/.a.py.swp", false, true),
        ] {
            let is = ignored(&[pattern]).unwrap().leaves_out(path, is_directory);
            assert_eq!(is, expected, "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_not_a_pattern_is_refused_with_its_reason() {
        for (pattern, reason) in [
            ("!keep", "take back"),
            ("# words", "comment"),
            ("a ", "space"),
            ("", "empty"),
            ("/", "empty"),
            ("a//b", "empty"),
            ("../z", ".."),
            ("a/./b", ". or .."),
        ] {
            let refused = ignored(&[pattern]).unwrap_err().to_string();
            assert!(refused.contains(reason), "{pattern}: {refused}");
        }
        assert!(ignored(USUAL).is_ok());
    }
}
