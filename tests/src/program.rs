//! The two programs, built from the sources at hand: never a stale one.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// A program of the workspace.
#[derive(Clone, Debug)]
pub struct Program(PathBuf);

/// The service.
pub fn dragonsd() -> &'static Program {
    static PROGRAM: OnceLock<Program> = OnceLock::new();
    PROGRAM.get_or_init(|| Program::build("dragonsd", "dragonsd"))
}

/// The command.
pub fn dragons() -> &'static Program {
    static PROGRAM: OnceLock<Program> = OnceLock::new();
    PROGRAM.get_or_init(|| Program::build("cli", "dragons"))
}

impl Program {
    fn build(package: &str, bin: &str) -> Self {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
        // In the profile of whoever asks, so that a benchmark measures a release.
        let build = escargot::CargoBuild::new()
            .manifest_path(manifest)
            .package(package)
            .bin(bin)
            .current_release();
        // What cargo tells a test of its own package would look to build scripts, ring's among them, as if they had
        // moved: everything above them would be built again each time.
        let about_the_test =
            |name: &String| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        let build = std::env::vars()
            .map(|(name, _)| name)
            .filter(about_the_test)
            .fold(build, escargot::CargoBuild::env_remove)
            .run()
            .unwrap_or_else(|error| panic!("{bin} does not build: {error}"));
        Self(build.path().to_owned())
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A command that runs it, with none of the caller's settings.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        for (name, _) in std::env::vars() {
            if name.starts_with("DRAGONS") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        let mut command = self.command();
        command.args(arguments);
        command
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", self.0.display()))
    }

    /// Runs it to its end, which must be success, and gives what it printed on stdout.
    ///
    /// # Panics
    /// If it fails.
    pub fn succeed<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        let output = self.run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{}: {}\n{stderr}",
            self.0.display(),
            output.status
        );
        String::from_utf8(output.stdout).expect("UTF-8 on stdout")
    }
}
