use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::manifest;

/// A place with an agent in `agent`, and programs beside it in `bin`.
struct Place(TempDir);

impl Place {
    fn new(more: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let config = format!(
            "agent = 'a'\nversion = '1'\ncode = ['src']\nignore = ['*.tmp']\ncapabilities = ['run:**']\n{more}"
        );
        place.write("agent/agent.toml", &config);
        place.program("agent/src/work", "#!/bin/sh\necho 1\n");
        place.write("agent/src/work.py", "print(1)\n");
        place.program("agent/stray", "#!/bin/sh\n");
        place.program("agent/src/x.tmp", "#!/bin/sh\n");
        place.program("bin/ls", "#!/bin/sh\necho mischief\n");
        place.program("bin/own", "#!/bin/sh\necho 2\n");
        place.write("bin/work.py", "print(2)\n");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn program(&self, name: &str, text: &str) {
        self.write(name, text);
        fs::set_permissions(self.path(name), Permissions::from_mode(0o755)).unwrap();
    }

    fn find(&self, line: &str, allows_any: bool) -> Result<Program, ProgramError> {
        let line = line.replace('@', self.0.path().to_str().unwrap());
        let mut words = line.split(' ').map(OsString::from);
        let called = words.next().unwrap();
        let search = Search {
            path: vec![self.path("bin"), "/usr/bin".into(), "/bin".into()],
            allows_any,
        };
        let version = manifest::read(&self.path("agent"), &mut |_, _| {}).unwrap();
        Program::find(
            &called,
            words.collect(),
            &search,
            &self.path("agent"),
            &version,
        )
    }
}

#[test]
fn a_name_stands_for_what_it_is_bound_to() {
    let place = Place::new("");
    for (line, scope, binding) in [
        ("@/agent/src/work", "run:work", Binding::Agent),
        ("sh", "run:sh", Binding::System),
        ("/bin/sh -c @/bin/own", "run:sh", Binding::System),
        ("sh @/agent/src/work", "run:sh", Binding::System),
        // What PATH leads to cannot be bound, so the name is that of the system's own.
        ("ls", "run:ls", Binding::System),
    ] {
        let program = place.find(line, false).unwrap();
        assert_eq!(
            (
                program.scope().unwrap().to_string().as_str(),
                program.binding()
            ),
            (scope, binding),
            "{line}"
        );
    }
    assert_eq!(
        place.find("ls", false).unwrap().path(),
        Path::new("/usr/bin/ls")
    );
    let work = place.find("sh @/agent/src/work", false).unwrap();
    assert_eq!(
        work.script_digest(),
        Some(Digest::of(&[b"#!/bin/sh\necho 1\n"]))
    );
}

#[test]
fn what_is_bound_to_nothing_is_refused_with_what_would_help_or_runs_as_any() {
    let place = Place::new("");
    for (line, scope, help) in [
        ("@/bin/ls", "run:@any/ls", "programs_from"),
        ("own", "run:@any/own", "[[tools]]"),
        ("sh @/bin/own", "run:@any/sh", "in code"),
        ("sh -e @/bin/own", "run:@any/sh", "--any-program"),
        ("@/agent/stray", "run:@any/stray", "does not list it"),
        ("@/agent/src/x.tmp", "run:@any/x.tmp", "ignores it"),
    ] {
        let refused = place.find(line, false).unwrap_err().to_string();
        assert!(refused.contains(help), "{line}: {refused}");
        assert_eq!(
            place.find(line, true).unwrap().scope().unwrap().to_string(),
            scope,
            "{line}"
        );
    }
    assert!(matches!(
        place.find("no-such-program", true).unwrap_err(),
        ProgramError::NotFound { .. }
    ));
    let link = place.path("bin/cat");
    symlink("/usr/bin/ls", link).unwrap();
    assert!(
        place.find("@/bin/cat", false).is_err(),
        "a link may give any name"
    );
}

#[test]
fn tools_and_places_bind_what_they_name() {
    let digest = Digest::of(&[b"#!/bin/sh\necho 2\n"]);
    let pinned = Place::new(&format!("[[tools]]\nname = 'own'\ndigest = '{digest}'\n"));
    let program = pinned.find("own", false).unwrap();
    assert_eq!(
        (
            program.scope().unwrap().to_string().as_str(),
            program.binding()
        ),
        ("run:own", Binding::Tool)
    );
    pinned.program("bin/own", "#!/bin/sh\necho 3\n");
    assert!(pinned.find("own", false).is_err());

    let place = Place::new("");
    let bin = place.path("bin");
    let config = fs::read_to_string(place.path("agent/agent.toml")).unwrap();
    place.write(
        "agent/agent.toml",
        &format!("{config}programs_from = [{bin:?}]\n"),
    );
    assert_eq!(place.find("own", false).unwrap().binding(), Binding::System);
    assert_eq!(place.find("ls", false).unwrap().path(), bin.join("ls"));
    fs::set_permissions(&bin, Permissions::from_mode(0o777)).unwrap();
    let refused = place.find("own", false).unwrap_err().to_string();
    assert!(refused.contains("written by others"), "{refused}");
    let unlisted = format!("{config}programs_from = [{bin:?}]\nconfig = []\n");
    place.write("agent/agent.toml", &unlisted);
    let refused = manifest::build(&place.path("agent"))
        .unwrap_err()
        .to_string();
    assert!(refused.contains("listed in config"), "{refused}");
}

#[test]
fn whatever_takes_a_files_place_is_noticed() {
    let place = Place::new("");
    let lines = ["@/agent/src/work", "sh @/agent/src/work"];
    for line in lines {
        let edits: [&dyn Fn(); 3] = [
            &|| place.program("agent/src/work", "#!/bin/sh\necho 9\n"),
            &|| {
                place.program("agent/src/other", "#!/bin/sh\necho 1\n");
                fs::rename(place.path("agent/src/other"), place.path("agent/src/work")).unwrap();
            },
            &|| fs::remove_file(place.path("agent/src/work")).unwrap(),
        ];
        for edit in edits {
            place.program("agent/src/work", "#!/bin/sh\necho 1\n");
            let program = place.find(line, false).unwrap();
            program.check_again().unwrap();
            edit();
            let error = program.check_again().unwrap_err();
            assert!(matches!(error, ProgramError::Changed { .. }), "{line}");
        }
    }
}

/// What was hashed runs, though its place is taken before it starts.
#[test]
fn a_binary_is_executed_by_its_descriptor() {
    let place = Place::new("");
    let digest = Digest::of(&[&fs::read("/bin/echo").unwrap()]);
    let pinned = Place::new(&format!("[[tools]]\nname = 'tell'\ndigest = '{digest}'\n"));
    let tell = pinned.path("bin/tell");
    fs::copy("/bin/echo", &tell).unwrap();
    let program = pinned.find("tell", false).unwrap();
    fs::remove_file(&tell).unwrap();
    pinned.program("bin/tell", "#!/bin/sh\necho mischief\n");
    let held = program.held_path(place.0.path()).unwrap();
    let said = Command::new(held)
        .arg0("tell")
        .arg("hello")
        .output()
        .unwrap();
    assert_eq!(said.stdout, b"hello\n");
    // A script has its own path, by which its interpreter opens it.
    let work = pinned.find("@/agent/src/work", false).unwrap();
    assert_eq!(work.held_path(place.0.path()).unwrap(), work.path());
}
