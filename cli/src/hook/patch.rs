//! The files that a patch touches, in the form that Codex applies.

/// What begins the line that names a file.
const HEADS: [&str; 4] = [
    "*** Add File:",
    "*** Update File:",
    "*** Delete File:",
    "*** Move to:",
];

/// The paths, each once, in their order.
pub(super) fn paths(patch: &str) -> Vec<&str> {
    let mut paths = Vec::new();
    for line in patch.lines() {
        // What is added or taken away is content, whatever it looks like.
        let line = if line.starts_with(['+', '-']) {
            ""
        } else {
            line.trim()
        };
        let named = HEADS.iter().find_map(|head| line.strip_prefix(head));
        let path = named.map(str::trim).filter(|path| !path.is_empty());
        paths.extend(path.filter(|path| !paths.contains(path)));
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_of_a_patch_are_named() {
        let patch = "*** Begin Patch\n*** Add File: a b.txt\n+*** Delete File: no.txt\n*** Update File: old.rs\n\
                     *** Move to: new.rs\n@@\n-x\n+y\n  *** Delete File: gone\n*** Update File: old.rs\n*** End Patch\n";
        assert_eq!(paths(patch), ["a b.txt", "old.rs", "new.rs", "gone"]);
        assert!(paths("ls").is_empty());
    }
}
