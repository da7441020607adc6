//! What no tracked file may say, whatever language it is in.
//!
//! The words looked for are put together here from their parts, so that this
//! file passes its own checks.

use super::Spot;

/// Longer files are more than one thing; generated and measured ones are exempt.
const MAX_LINES: usize = 800;

/// The kinds of file that people write and so can keep short.
const WRITTEN: [&str; 11] = [
    "css", "go", "html", "js", "md", "mjs", "py", "rs", "sh", "toml", "ts",
];

/// What cargo writes: it names the registry, and no person reads it.
const GENERATED: &str = "Cargo.lock";

/// Reports that `make pictures` makes: as long as what they tell of.
const SAMPLES: &str = "docs/sample/";

/// Top folders that exist on somebody's machine and not on everybody's.
const MACHINE_FOLDERS: [&str; 5] = ["home", "root", "tmp", "Users", "work"];

/// Hosts that packages are fetched from, by their labels: which mirror serves
/// them is a matter of the machine, never of this repository.
const REGISTRY_HOSTS: [&[&str]; 8] = [
    &["archive", "ubuntu", "com"],
    &["deb", "debian", "org"],
    &["index", "crates", "io"],
    &["proxy", "golang", "org"],
    &["pypi", "org"],
    &["registry", "npmjs", "org"],
    &["static", "crates", "io"],
    &["static", "rust-lang", "org"],
];

/// Marks of work that was not done.
const UNFINISHED: [&str; 6] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("#[ig", "nore"),
];

/// What is wrong with the text of `file`.
pub(super) fn check(file: &str, text: &str) -> Vec<Spot> {
    if file == GENERATED || file.ends_with("/Cargo.lock") {
        return Vec::new();
    }
    let mut spots = too_long(file, text);
    for (index, line) in text.lines().enumerate() {
        let faults = machine_path(line)
            .into_iter()
            .chain(registry_host(line))
            .chain(unfinished(line));
        spots.extend(faults.map(|what| Spot::new(index + 1, what)));
    }
    spots
}

fn too_long(file: &str, text: &str) -> Vec<Spot> {
    let extension = file.rsplit_once('.').map(|(_, extension)| extension);
    let written = extension.is_some_and(|it| WRITTEN.contains(&it)) && !file.starts_with(SAMPLES);
    match text.lines().count() {
        lines if written && lines > MAX_LINES => {
            let what = format!("has {lines} lines; {MAX_LINES} are the most");
            vec![Spot::new(1, what)]
        }
        _ => Vec::new(),
    }
}

fn machine_path(line: &str) -> Option<String> {
    MACHINE_FOLDERS
        .iter()
        .map(|folder| format!("/{folder}/"))
        .find(|path| places(line, path).any(|(before, _)| starts_a_path(before)))
        .map(|path| format!("names a path of one machine, {path}…"))
}

/// A slash begins an absolute path unless it continues a relative one or a URL.
fn starts_a_path(before: Option<char>) -> bool {
    !before.is_some_and(|c| c.is_alphanumeric() || "._-~}*)$>/".contains(c))
}

fn registry_host(line: &str) -> Option<String> {
    REGISTRY_HOSTS
        .iter()
        .map(|labels| labels.join("."))
        .find(|host| line.contains(host))
        .map(|host| format!("names a registry's host, {host}"))
}

fn unfinished(line: &str) -> Option<String> {
    UNFINISHED
        .iter()
        .find(|mark| {
            places(line, mark)
                .any(|(before, after)| !continues_a_word(before) && !continues_a_word(after))
        })
        .map(|mark| format!("is not finished: {mark}"))
}

fn continues_a_word(neighbour: Option<char>) -> bool {
    neighbour.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

/// The characters before and after each place where `needle` is in `line`.
fn places(line: &str, needle: &str) -> impl Iterator<Item = (Option<char>, Option<char>)> {
    line.match_indices(needle).map(move |(start, found)| {
        let before = line[..start].chars().next_back();
        let after = line[start + found.len()..].chars().next();
        (before, after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> usize {
        check("docs/sample.md", text).len()
    }

    #[test]
    fn machine_paths_are_found() {
        for folder in MACHINE_FOLDERS {
            assert_eq!(faults(&format!("see /{folder}/ann/key.pem")), 1, "{folder}");
            assert_eq!(faults(&format!("\"/{folder}/x\"")), 1, "{folder}");
            assert_eq!(faults(&format!("file:/{folder}/x")), 1, "{folder}");
        }
    }

    #[test]
    fn relative_paths_and_urls_are_no_machine_paths() {
        for folder in MACHINE_FOLDERS {
            assert_eq!(faults(&format!("tree/{folder}/x")), 0, "{folder}");
            assert_eq!(faults(&format!("./{folder}/x")), 0, "{folder}");
            assert_eq!(faults(&format!("${{HOME}}/{folder}/x")), 0, "{folder}");
            assert_eq!(faults(&format!("https://example.com/{folder}/")), 0);
        }
        assert_eq!(faults("example.com/workledger"), 0);
    }

    #[test]
    fn registry_hosts_are_found_but_in_the_lock_file() {
        for labels in REGISTRY_HOSTS {
            let text = format!("https://{}/x", labels.join("."));
            assert_eq!(faults(&text), 1, "{text}");
            assert_eq!(check("Cargo.lock", &text), []);
            assert_eq!(check("fuzz/Cargo.lock", &text), []);
        }
        assert_eq!(faults("the crates of crates.io"), 0);
    }

    #[test]
    fn unfinished_work_is_found() {
        for mark in UNFINISHED {
            assert_eq!(faults(&format!("// {mark} the rest")), 1, "{mark}");
        }
        assert_eq!(faults(concat!("mas", "TO", "DON")), 0);
    }

    #[test]
    fn the_line_is_told() {
        let text = format!("fine\nfine too\n{}\n", UNFINISHED[0]);
        assert_eq!(check("a.rs", &text)[0].line, 3);
    }

    #[test]
    fn long_files_are_found_unless_nobody_wrote_them() {
        let longest = "x\n".repeat(MAX_LINES);
        let longer = "x\n".repeat(MAX_LINES + 1);
        assert_eq!(check("a.rs", &longest), []);
        assert_eq!(check("a.rs", &longer).len(), 1);
        assert_eq!(check("golden.json", &longer), []);
        assert_eq!(check("LICENSE", &longer), []);
    }
}
