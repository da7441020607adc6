//! What commands write and read on the machine that they run on: wherever `-o` leads, and key files that are none.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;

use tests::{Shell, read};

/// Each command that writes a file, without the file.
const WRITERS: [&str; 5] = [
    "export",
    "prove 0",
    "manifest prove src/greet.sh --dir DIR",
    "lease ask --dir DIR --allow run:* --key AGENT",
    "export --gzip",
];

fn at(shell: &Shell, name: &str) -> PathBuf {
    shell.service.scratch(name)
}

#[test]
fn what_a_command_writes_goes_where_the_path_leads() {
    let shell = Shell::new();
    shell.register_and_lease();
    for (n, writer) in WRITERS.into_iter().enumerate() {
        let name = |what: &str| format!("{what}-{n}");
        let (file, link, pipe) = (name("file"), name("link"), name("pipe"));
        // A file is replaced whole, and keeps its mode; a link to one stays a link.
        fs::write(at(&shell, &file), "old").unwrap();
        fs::set_permissions(at(&shell, &file), fs::Permissions::from_mode(0o640)).unwrap();
        let before = fs::metadata(at(&shell, &file)).unwrap();
        symlink(&file, at(&shell, &link)).unwrap();
        shell.succeed(&format!("{writer} -o @{link}"));
        let after = fs::metadata(at(&shell, &file)).unwrap();
        assert!(after.len() > 3 && after.ino() != before.ino(), "{writer}");
        assert_eq!(after.mode(), before.mode(), "{writer}");
        assert!(
            fs::symlink_metadata(at(&shell, &link))
                .unwrap()
                .is_symlink()
        );
        // A pipe and a device are written into.
        let status = Command::new("mkfifo").arg(at(&shell, &pipe)).status();
        assert!(status.unwrap().success());
        let path = at(&shell, &pipe);
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
            bytes
        });
        shell.succeed(&format!("{writer} -o @{pipe}"));
        assert!(!reader.join().unwrap().is_empty(), "{writer}");
        let kind = fs::symlink_metadata(at(&shell, &pipe)).unwrap().file_type();
        assert!(kind.is_fifo(), "{writer}");
        shell.succeed(&format!("{writer} -o /dev/null"));
        assert!(
            fs::metadata("/dev/null")
                .unwrap()
                .file_type()
                .is_char_device()
        );
        let (status, stderr) = shell.fail(&format!("{writer} -o /dev/full"));
        assert_eq!(status, 2, "{writer}: {stderr}");
        // Stdout holds what was asked for and nothing else.
        for stdout in ["-", "/dev/stdout"] {
            let output = shell.run(&format!("{writer} -o {stdout} --json"));
            assert!(output.status.success(), "{writer}");
            assert!(!output.stdout.is_empty() && !PathBuf::from("-").exists());
            assert!(!String::from_utf8_lossy(&output.stdout).contains("\"file\":"));
        }
    }
    let pack = shell.run("export -o -").stdout;
    assert_eq!(pack, fs::read(at(&shell, "file-0")).unwrap());
    let scratch = at(&shell, "file-0");
    let beside = fs::read_dir(scratch.parent().unwrap()).unwrap();
    let left: Vec<_> = beside
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn what_fails_leaves_what_was_there() {
    let shell = Shell::new();
    fs::write(at(&shell, "mine"), "mine").unwrap();
    for line in ["export --goal GOAL -o @mine", "prove 99 -o @mine"] {
        let line = line.replace("GOAL", &format!("sha256:{}", "0".repeat(64)));
        let (status, _) = shell.fail(&line);
        assert_eq!(status, 2, "{line}");
        assert_eq!(read(&at(&shell, "mine")), "mine");
    }
}

#[test]
fn each_key_file_that_is_none_is_named_for_what_it_is() {
    let shell = Shell::new();
    let openssl = |arguments: &str| {
        let words = arguments.split_whitespace().map(|word| match word {
            "KEY" => shell.service.key("operator"),
            word => match word.strip_prefix('@') {
                Some(file) => at(&shell, file),
                None => word.into(),
            },
        });
        let output = Command::new("openssl").args(words).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments}: {stderr}");
    };
    let pem = read(&shell.service.key("operator"));
    let write = |name: &str, text: &str| fs::write(at(&shell, name), text).unwrap();
    write("bom.pem", &format!("\u{feff}{pem}"));
    write("blank.pem", &format!("\n{pem}"));
    write("two.pem", &format!("{pem}{pem}"));
    write("empty.pem", "");
    write(
        "ssh.pem",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==\n-----END OPENSSH PRIVATE KEY-----\n",
    );
    openssl("pkey -in KEY -pubout -out @public.pem");
    openssl("pkcs8 -topk8 -in KEY -passout pass:x -out @encrypted.pem");
    openssl("pkey -in KEY -outform DER -out @der.pem");
    openssl("genpkey -algorithm x25519 -out @x25519.pem");
    for (file, mistake, help) in [
        ("bom.pem", "byte order mark", "sed -i"),
        ("blank.pem", "blank line", "sed -i"),
        ("two.pem", "2 private keys", "openssl pkey"),
        ("empty.pem", "empty", "dragons keygen"),
        ("ssh.pem", "OpenSSH", "dragons keygen"),
        ("public.pem", "public key", "private key"),
        ("encrypted.pem", "passphrase", "openssl pkey"),
        ("der.pem", "DER", "openssl pkey -inform DER"),
        ("x25519.pem", "not Ed25519", "dragons keygen"),
    ] {
        for line in [
            format!("agent stop greeter --reason x --key @{file}"),
            format!("fingerprint @{file}"),
            format!("manifest register DIR --key OPERATOR --agent-key @{file}"),
        ] {
            let (status, stderr) = shell.fail(&line);
            assert_eq!(status, 2, "{line}: {stderr}");
            let names_it = stderr.contains(file) && stderr.contains(mistake);
            assert!(names_it && stderr.contains(help), "{line}: {stderr}");
            let secret = pem.lines().nth(1).unwrap();
            assert!(!stderr.contains(secret), "{stderr}");
        }
    }
}

/// What is kept is its owner's alone, whatever the umask, and is never where somebody else's link leads.
#[test]
fn a_journal_is_private_and_follows_no_link() {
    let shell = Shell::new();
    shell.register_and_lease();
    let beat = "heartbeat --dir DIR --key AGENT";
    for umask in ["000", "0777"] {
        let state = at(&shell, &format!("state-{umask}"));
        let command = shell.command(beat);
        let mut sh = Command::new("sh");
        sh.args(["-c", "umask \"$0\"; exec \"$@\"", umask]);
        sh.arg(command.get_program()).args(command.get_args());
        sh.env("XDG_STATE_HOME", &state);
        sh.env("DRAGONS_SERVER", shell.service.url());
        let output = sh.output().unwrap();
        // The second journal does not know what the first has said, and the log tells it so; it is there all the same.
        let logs = fs::read_dir(state.join("dragons"));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let log = logs.expect(&stderr).next().unwrap().unwrap().path();
        for (place, mode) in [
            (state.join("dragons"), 0o700),
            (log.join("greeter"), 0o700),
            (log.join("greeter/journal.jsonl"), 0o600),
        ] {
            let found = fs::metadata(&place).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{place:?} under {umask}");
        }
    }
    let (state, target) = (at(&shell, "linked"), at(&shell, "target"));
    fs::create_dir_all(&state).unwrap();
    fs::create_dir(&target).unwrap();
    symlink(&target, state.join("dragons")).unwrap();
    let mut command = shell.command(beat);
    let output = command.env("XDG_STATE_HOME", &state).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("is a link"), "{stderr}");
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
}

/// A relative place would be another one in every directory.
#[test]
fn a_relative_state_home_is_not_one() {
    let shell = Shell::new();
    shell.register_and_lease();
    let (home, here) = (at(&shell, "home"), at(&shell, "here"));
    fs::create_dir_all(&home).unwrap();
    fs::create_dir_all(&here).unwrap();
    let mut command = shell.command("heartbeat --dir DIR --key AGENT");
    command
        .env("XDG_STATE_HOME", "state")
        .env("HOME", &home)
        .current_dir(&here);
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    assert!(
        stderr.contains("XDG_STATE_HOME is not an absolute path"),
        "{stderr}"
    );
    assert_eq!(fs::read_dir(&here).unwrap().count(), 0);
    assert!(home.join(".local/state/dragons").is_dir());
}
