//! Which argument of an interpreter is the script that it runs.
//!
//! It is decided for a few interpreters that everybody has: the first argument that is neither an option nor the value of one.
//! A program that is in the command line, or comes by stdin, is not a file: the first is committed to in the intent.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

/// An interpreter, and how it reads its options.
struct Interpreter {
    names: &'static [&'static str],
    /// Letters that bring the program itself, alone or in a cluster such as `-ec`.
    inline: &'static str,
    /// Letters behind which the rest of the word is a value.
    attached: &'static str,
    /// Long options that bring the program itself.
    inline_long: &'static [&'static str],
    /// Options whose value is the next argument.
    with_value: &'static [&'static str],
}

const INTERPRETERS: &[Interpreter] = &[
    Interpreter {
        names: &["sh", "bash", "dash"],
        inline: "cs",
        attached: "oO",
        inline_long: &["--help", "--version"],
        with_value: &["-o", "+o", "-O", "+O", "--rcfile", "--init-file"],
    },
    Interpreter {
        names: &["python"],
        inline: "cmVh",
        attached: "WX",
        inline_long: &["--help", "--version"],
        with_value: &["-W", "-X", "--check-hash-based-pycs"],
    },
    Interpreter {
        names: &["node", "nodejs"],
        inline: "epivh",
        attached: "rC",
        inline_long: &[
            "--eval",
            "--print",
            "--interactive",
            "--help",
            "--version",
            "--test",
            "--run",
        ],
        with_value: &[
            "-r",
            "--require",
            "--import",
            "--loader",
            "-C",
            "--conditions",
            "--env-file",
        ],
    },
    Interpreter {
        names: &["perl"],
        inline: "eEvhV",
        attached: "IMmFixCD",
        inline_long: &["--help", "--version"],
        with_value: &["-I"],
    },
    Interpreter {
        names: &["ruby"],
        inline: "evh",
        attached: "IrCExKWTF",
        inline_long: &["--help", "--version"],
        with_value: &["-I", "-r", "-C", "-E"],
    },
];

/// Where the script stands among the arguments of a program of one of these names; `None` if it is not an interpreter that is
/// known here, or runs no file.
pub(super) fn of(names: &[&OsStr], arguments: &[OsString]) -> Option<usize> {
    let interpreter = names.iter().find_map(|name| interpreter(name))?;
    let mut at = 0;
    loop {
        let argument = arguments.get(at)?.as_bytes();
        match argument {
            b"-" => return None,
            b"--" => return arguments.get(at + 1).map(|_| at + 1),
            _ if interpreter.takes_value(argument) => at += 2,
            _ if interpreter.is_inline(argument) => return None,
            [b'-' | b'+', ..] => at += 1,
            _ => return Some(at),
        }
    }
}

/// The file that the interpreter reads if it is given this path: node leaves out an ending, and takes a directory for what
/// begins in it, as python does.
pub(super) fn file_at(path: PathBuf) -> Option<PathBuf> {
    if path.is_dir() {
        let begins = ["__main__.py", "index.js", "index.mjs", "index.cjs"];
        return begins
            .iter()
            .map(|name| path.join(name))
            .find(|path| path.is_file());
    }
    if path.is_file() {
        return Some(path);
    }
    let with = |ending: &&str| {
        let mut name = path.clone().into_os_string();
        name.push(ending);
        PathBuf::from(name)
    };
    let endings = [".js", ".cjs", ".mjs", ".json"];
    endings.iter().map(with).find(|path| path.is_file())
}

/// `python3.11` is `python`.
fn interpreter(name: &OsStr) -> Option<&'static Interpreter> {
    let name = name.to_str()?;
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let is_it = |one: &&Interpreter| one.names.contains(&name) || one.names.contains(&plain);
    INTERPRETERS.iter().find(is_it)
}

impl Interpreter {
    fn takes_value(&self, argument: &[u8]) -> bool {
        self.with_value
            .iter()
            .any(|option| option.as_bytes() == argument)
    }

    fn is_inline(&self, argument: &[u8]) -> bool {
        if argument.starts_with(b"--") {
            let name = argument
                .split(|byte| *byte == b'=')
                .next()
                .unwrap_or_default();
            return self
                .inline_long
                .iter()
                .any(|option| option.as_bytes() == name);
        }
        let Some(cluster) = argument.strip_prefix(b"-") else {
            return false;
        };
        let is_letter =
            |byte: &&u8| byte.is_ascii_alphanumeric() && !self.attached.as_bytes().contains(byte);
        let mut letters = cluster.iter().take_while(is_letter);
        letters.any(|letter| self.inline.as_bytes().contains(letter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_the_first_that_is_no_option() {
        for (line, expected) in [
            ("sh work.sh a b", Some("work.sh")),
            ("sh -e work.sh", Some("work.sh")),
            ("sh -o errexit work.sh", Some("work.sh")),
            ("sh -c work.sh", None),
            ("sh -ec work.sh x", None),
            ("sh -s work.sh", None),
            ("bash +x --norc ./work.sh", Some("./work.sh")),
            ("bash --rcfile rc work.sh", Some("work.sh")),
            ("bash -- -odd.sh", Some("-odd.sh")),
            ("bash -", None),
            ("bash", None),
            ("python3 -u work.py -c", Some("work.py")),
            ("python3.11 -W ignore work.py", Some("work.py")),
            ("python3 -X dev -Wignore work.py", Some("work.py")),
            ("python3 -m http.server", None),
            ("python3 -Ic print()", None),
            ("node --max-old-space-size=9 work.js", Some("work.js")),
            ("node -r ./hook.js work.js", Some("work.js")),
            ("node -e 1 work.js", None),
            ("node --eval=1", None),
            ("perl -w work.pl", Some("work.pl")),
            ("perl -lane print", None),
            ("perl -I lib work.pl", Some("work.pl")),
            ("perl -Mre -i.be work.pl", Some("work.pl")),
            ("ruby -Ilib -rerb work.rb", Some("work.rb")),
            ("ruby -e 1", None),
            ("cat work.sh", None),
            ("make -f other", None),
        ] {
            let mut words = line.split(' ').map(OsString::from);
            let name = words.next().unwrap();
            let arguments: Vec<OsString> = words.collect();
            let at = of(&[&name], &arguments);
            let found = at.map(|at| arguments[at].to_str().unwrap());
            assert_eq!(found, expected, "{line}");
        }
    }
}
