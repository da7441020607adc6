//! Paths as resources of scopes. They are lexical: no link is followed, for what is there is another program's to say.

use ledger::digest::Digest;
use ledger::escape;
use ledger::scope::{MAX_RESOURCE_BYTES, MAX_SEGMENTS};

/// First segments that mean something of their own, so that a file of that name is escaped.
const OWN: [&str; 3] = ["@root", "@abs", "@any"];

/// The resource of a path: relative to the session's root, `@root` for that itself, `@abs/…` for what lies elsewhere. A
/// relative path counts from `cwd`.
pub(super) fn resource(path: &str, cwd: &str, root: &str) -> String {
    let from_cwd = format!("{cwd}/{path}");
    let absolute = normal(if path.starts_with('/') {
        path
    } else {
        &from_cwd
    });
    let root = normal(root);
    // Without a named root, every path is elsewhere.
    let inside = absolute
        .strip_prefix(root.as_slice())
        .filter(|_| !root.is_empty());
    let segments = match inside {
        Some([]) => return "@root".to_owned(),
        Some(inside) => inside.iter().enumerate().map(own_escaped).collect(),
        None => {
            let segments = absolute.iter().map(|segment| escaped(segment));
            std::iter::once("@abs".to_owned()).chain(segments).collect()
        }
    };
    bounded(segments)
}

/// The segments of an absolute path, without `.` and `..`.
fn normal(path: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    segments
}

fn own_escaped((at, segment): (usize, &&str)) -> String {
    match OWN.contains(segment) && at == 0 {
        true => segment.replacen('@', "+40", 1),
        false => escaped(segment),
    }
}

fn escaped(segment: &str) -> String {
    escape::segment(segment).unwrap_or_default()
}

/// What is too deep or too long ends in the hash of its rest: what is allowed or denied above it still is.
fn bounded(segments: Vec<String>) -> String {
    let whole = segments.join("/");
    if segments.len() <= MAX_SEGMENTS && whole.len() <= MAX_RESOURCE_BYTES {
        return whole;
    }
    // `+.` and 32 digits.
    const HASH: usize = 34;
    let (mut kept, mut length) = (Vec::new(), 0);
    for segment in &segments {
        if kept.len() + 1 >= MAX_SEGMENTS || length + segment.len() + 1 + HASH > MAX_RESOURCE_BYTES
        {
            break;
        }
        length += segment.len() + 1;
        kept.push(segment.clone());
    }
    let rest = segments.get(kept.len()..).unwrap_or_default().join("/");
    let digest = Digest::of(&[rest.as_bytes()]).to_string();
    let digits = digest.rsplit(':').next().unwrap_or_default();
    kept.push(format!("+.{}", digits.get(..32).unwrap_or_default()));
    kept.join("/")
}

#[cfg(test)]
mod tests {
    use ledger::scope::Scope;

    use super::*;

    #[test]
    fn paths_are_relative_to_the_root_and_otherwise_absolute() {
        for (path, resource_is) in [
            ("a.txt", "src/a.txt"),
            ("/p/a.txt", "a.txt"),
            ("/p", "@root"),
            ("..", "@root"),
            ("../b/./c//d", "b/c/d"),
            ("/p/../p/x", "x"),
            ("/p/../q", "@abs/q"),
            ("../../q", "@abs/q"),
            ("../../../../q", "@abs/q"),
            ("/", "@abs"),
            ("/prefix", "@abs/prefix"),
            ("/p/@abs/x", "+40abs/x"),
            ("/p/@root", "+40root"),
            ("/p/x/@root", "x/@root"),
            ("/p/my file", "my+20file"),
            ("/p/.git", ".git"),
            ("/p/ä", "+c3+a4"),
            ("/etc/passwd", "@abs/etc/passwd"),
        ] {
            let got = resource(path, "/p/src", "/p");
            assert_eq!(got, resource_is, "{path}");
            assert!(format!("read:{got}").parse::<Scope>().is_ok(), "{got}");
        }
        assert_eq!(
            resource("a", "/p", "/"),
            "@abs/p/a",
            "nobody works in the root of all"
        );
    }

    #[test]
    fn what_is_too_long_keeps_its_beginning() {
        let deep = format!("/p/secrets/{}", "d/".repeat(40));
        let long = format!("/p/secrets/{}/{}", "x".repeat(300), "y".repeat(300));
        for path in [deep, long] {
            let got = resource(&path, "/p", "/p");
            assert!(got.starts_with("secrets/"), "{got}");
            assert!(format!("read:{got}").parse::<Scope>().is_ok(), "{got}");
        }
        let others = format!("/p/secrets/{}", "e/".repeat(40));
        let deep = format!("/p/secrets/{}", "d/".repeat(40));
        assert_ne!(resource(&others, "/p", "/p"), resource(&deep, "/p", "/p"));
    }
}
