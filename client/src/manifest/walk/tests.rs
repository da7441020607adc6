use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::*;

/// A directory with the files of the golden tree.
fn golden() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    write(&directory, "agent.toml", "agent");
    write(&directory, "bin/run", "#!/bin/sh\n");
    write(&directory, "src/a.rs", "fn main() {}\n");
    set_mode(&directory, "bin/run", 0o744);
    symlink("bin/run", directory.path().join("link")).unwrap();
    directory
}

fn write(directory: &tempfile::TempDir, path: &str, content: &str) {
    let place = directory.path().join(path);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(place, content).unwrap();
}

fn set_mode(directory: &tempfile::TempDir, path: &str, mode: u32) {
    fs::set_permissions(
        directory.path().join(path),
        fs::Permissions::from_mode(mode),
    )
    .unwrap();
}

fn walk_in(
    directory: &tempfile::TempDir,
    listed: &[&str],
    ignore: &[&str],
) -> Result<FileTree, WalkError> {
    list_in(directory, listed, ignore)?.read(&mut |_| {})
}

fn list_in(
    directory: &tempfile::TempDir,
    listed: &[&str],
    ignore: &[&str],
) -> Result<Listing, WalkError> {
    let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    list(
        directory.path(),
        &owned(listed),
        &Ignored::of(&owned(ignore)).unwrap(),
        &mut |_| {},
    )
}

fn paths(tree: &FileTree) -> Vec<&str> {
    tree.files().iter().map(File::path).collect()
}

#[test]
fn the_golden_directory_has_the_golden_root() {
    let root = "sha256:0add5c9d28e6944d2fa65bed29327e030beb65bb3ab86ebd2d71d7cd5776b511";
    let directory = golden();
    for listed in [&["."][..], &["src", "link", "bin", "agent.toml"]] {
        assert_eq!(
            walk_in(&directory, listed, &[]).unwrap().root().to_string(),
            root
        );
    }
    // Neither empty directories, nor owners' other bits, nor times count.
    fs::create_dir(directory.path().join("empty")).unwrap();
    set_mode(&directory, "bin/run", 0o700);
    set_mode(&directory, "src/a.rs", 0o611);
    assert_eq!(
        walk_in(&directory, &["."], &[]).unwrap().root().to_string(),
        root
    );
    set_mode(&directory, "src/a.rs", 0o711);
    assert_ne!(
        walk_in(&directory, &["."], &[]).unwrap().root().to_string(),
        root
    );
}

#[test]
fn ignored_prefixes_end_at_a_slash() {
    let directory = golden();
    write(&directory, "src/target/x", "");
    write(&directory, "src/target-2/x", "");
    UnixListener::bind(directory.path().join("src/target/socket")).unwrap();
    let tree = walk_in(&directory, &["src"], &["src/target"]).unwrap();
    assert_eq!(paths(&tree), ["src/a.rs", "src/target-2/x"]);
}

#[test]
fn links_are_leaves_and_never_followed() {
    let directory = golden();
    symlink("../bin", directory.path().join("src/tools")).unwrap();
    let tree = walk_in(&directory, &["src"], &[]).unwrap();
    assert_eq!(paths(&tree), ["src/a.rs", "src/tools"]);
    let refused = walk_in(&directory, &["src/tools/run"], &[]).unwrap_err();
    assert!(matches!(refused, WalkError::BelowFile { .. }), "{refused}");
    let refused = walk_in(&directory, &["agent.toml/x"], &[]).unwrap_err();
    assert!(matches!(refused, WalkError::BelowFile { .. }), "{refused}");
}

#[test]
fn links_that_lead_out_are_refused() {
    for target in [
        "/etc/passwd",
        "../../etc",
        "..",
        "../src/../..",
        "a/../b",
        "../x/../../y",
    ] {
        let directory = golden();
        symlink(target, directory.path().join("src/l")).unwrap();
        let result = walk_in(&directory, &["src"], &[]);
        let leads_out = matches!(result, Err(WalkError::LinkLeadsOut { .. }));
        assert_eq!(leads_out, target != "..", "{target}: {result:?}");
    }
}

#[test]
fn a_link_that_leads_out_by_another_is_refused() {
    let directory = golden();
    symlink("/", directory.path().join("away")).unwrap();
    symlink("away/etc", directory.path().join("l")).unwrap();
    let refused = walk_in(&directory, &["l"], &["away"]).unwrap_err();
    assert!(
        matches!(refused, WalkError::LinkLeadsOut { .. }),
        "{refused}"
    );
    // What a link leads to need not be there, nor be listed.
    symlink("src/none", directory.path().join("dangling")).unwrap();
    symlink("src/a.rs", directory.path().join("unlisted")).unwrap();
    let tree = walk_in(&directory, &["dangling", "unlisted"], &[]).unwrap();
    assert_eq!(paths(&tree), ["dangling", "unlisted"]);
}

#[test]
fn neither_order_nor_times_count() {
    let names: Vec<String> = (0..40).map(|n| format!("d{}/f{n}", n % 7)).collect();
    let root = |names: &mut dyn Iterator<Item = &String>, age_s: u64| {
        let directory = tempfile::tempdir().unwrap();
        let at = UNIX_EPOCH + Duration::from_secs(age_s);
        for name in names {
            write(&directory, name, name);
            let file = fs::File::open(directory.path().join(name)).unwrap();
            file.set_modified(at).unwrap();
        }
        walk_in(&directory, &["."], &[]).unwrap().root()
    };
    let first = root(&mut names.iter(), 0);
    assert_eq!(first, root(&mut names.iter().rev(), 1_000_000_000));
}

#[test]
fn names_that_differ_in_case_are_two() {
    let directory = golden();
    write(&directory, "src/A.rs", "");
    let tree = walk_in(&directory, &["src"], &[]).unwrap();
    assert_eq!(paths(&tree), ["src/A.rs", "src/a.rs"]);
}

#[test]
fn directories_whose_names_differ_only_in_form_are_refused() {
    let directory = golden();
    write(&directory, "src/caf\u{e9}/a", "");
    write(&directory, "src/cafe\u{301}/b", "");
    let refused = walk_in(&directory, &["src"], &[]).unwrap_err();
    let repeated = matches!(refused, WalkError::Path(PathError::Repeated { .. }));
    assert!(repeated, "{refused}");
}

#[test]
fn deep_directories_are_walked_as_deep_as_paths_can_name() {
    let directory = golden();
    let deep = "d/".repeat(1000) + "f";
    write(&directory, &deep, "");
    assert_eq!(paths(&walk_in(&directory, &["d"], &[]).unwrap()), [deep]);

    let directory = golden();
    let flags = rustix::fs::OFlags::DIRECTORY;
    let mode = rustix::fs::Mode::RWXU;
    let mut at = rustix::fs::open(directory.path(), flags, mode).unwrap();
    let name = "d".repeat(250);
    for _ in 0..20 {
        rustix::fs::mkdirat(&at, &name, mode).unwrap();
        at = rustix::fs::openat(&at, &name, flags, mode).unwrap();
    }
    let refused = walk_in(&directory, &["."], &[]).unwrap_err();
    assert!(matches!(refused, WalkError::Read { .. }), "{refused}");
}

#[test]
fn what_changes_between_the_walk_and_the_end_of_reading_is_refused() {
    let edits: [fn(&Path); 4] = [
        |place| fs::write(place, "fn main() { mischief() }\n").unwrap(),
        |place| {
            fs::rename(place, place.with_extension("old")).unwrap();
            symlink("/etc/passwd", place).unwrap();
        },
        |place| {
            fs::remove_file(place).unwrap();
            UnixListener::bind(place).unwrap();
        },
        |place| {
            fs::rename(place, place.with_extension("old")).unwrap();
            fs::write(place, "fn main() {}\n").unwrap();
        },
    ];
    for (n, edit) in edits.iter().enumerate() {
        let directory = golden();
        let listing = list_in(&directory, &["src"], &[]).unwrap();
        edit(&directory.path().join("src/a.rs"));
        let refused = listing.read(&mut |_| {}).unwrap_err();
        let has_changed = matches!(refused, WalkError::Changed { .. });
        // A link or a socket in its place cannot be opened at all.
        assert_eq!(has_changed, [0, 3].contains(&n), "{refused}");
    }
}

#[test]
fn whoever_watches_hears_of_each_byte() {
    let directory = golden();
    write(&directory, "src/large", &"x".repeat(200_000));
    let (mut listed, mut read) = (0, Vec::new());
    let all = [".".to_owned()];
    let listing = list(
        directory.path(),
        &all,
        &Ignored::of(&[]).unwrap(),
        &mut |bytes| listed += bytes,
    )
    .unwrap();
    let tree = listing.read(&mut |bytes| read.push(bytes)).unwrap();
    assert_eq!(listed, tree.bytes());
    assert!(read.len() > 4, "{read:?}");
    assert_eq!(read.iter().sum::<u64>(), tree.bytes());
}

#[test]
fn special_files_and_odd_names_are_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let directory = golden();
    UnixListener::bind(directory.path().join("src/socket")).unwrap();
    let refused = walk_in(&directory, &["src"], &[]).unwrap_err();
    assert!(matches!(refused, WalkError::Special { .. }), "{refused}");

    let directory = golden();
    let pipe = directory.path().join("src/pipe");
    let made = std::process::Command::new("mkfifo").arg(pipe).status();
    assert!(made.unwrap().success());
    let refused = walk_in(&directory, &["src"], &[]).unwrap_err();
    assert!(matches!(refused, WalkError::Special { .. }), "{refused}");

    let directory = golden();
    fs::write(
        directory
            .path()
            .join(std::ffi::OsStr::from_bytes(b"src/\xff")),
        "",
    )
    .unwrap();
    let refused = walk_in(&directory, &["src"], &[]).unwrap_err();
    assert!(matches!(refused, WalkError::NotUtf8 { .. }), "{refused}");

    let directory = golden();
    write(&directory, "src/caf\u{e9}", "");
    write(&directory, "src/cafe\u{301}", "");
    let refused = walk_in(&directory, &["src"], &[]).unwrap_err();
    assert!(
        matches!(refused, WalkError::Path(PathError::Repeated { .. })),
        "{refused}"
    );
}

#[test]
fn what_is_not_there_or_listed_twice_is_refused() {
    let directory = golden();
    let refused = walk_in(&directory, &["srcs"], &[]).unwrap_err();
    assert!(matches!(refused, WalkError::Read { .. }), "{refused}");
    let refused = walk_in(&directory, &["src", "src/a.rs"], &[]).unwrap_err();
    assert!(
        matches!(refused, WalkError::Path(PathError::Repeated { .. })),
        "{refused}"
    );
}
