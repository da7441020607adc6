//! Scopes: what an action touches, and the patterns that allow or deny it.
//!
//! A scope is `verb:resource`. The verb is `[a-z][a-z0-9_-]*`, compared literally. A resource is
//! 1 to 32 segments `[A-Za-z0-9._@+-]+` joined by `/`, none of them `.` or `..`, at most 512
//! bytes. In a pattern a segment may be `*`, any one segment, and the last may be `**`, zero or
//! more segments: `read:a/**` includes `read:a`.

use std::fmt;
use std::str::FromStr;

use crate::codes::{Code, Refusal};
use crate::text::quoted;

/// The most segments of a resource.
pub const MAX_SEGMENTS: usize = 32;

/// The longest resource, in bytes.
pub const MAX_RESOURCE_BYTES: usize = 512;

/// What one action touches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Parts);

/// A set of scopes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    fixed: Parts,
    open_ended: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Parts {
    verb: Box<str>,
    segments: Vec<Box<str>>,
}

impl Scope {
    /// The verb, such as `read`.
    pub fn verb(&self) -> &str {
        &self.0.verb
    }
}

impl Pattern {
    /// Whether the scope is in this set.
    pub fn permits(&self, scope: &Scope) -> bool {
        let (ours, theirs) = (&self.fixed.segments, &scope.0.segments);
        let long_enough = if self.open_ended {
            theirs.len() >= ours.len()
        } else {
            theirs.len() == ours.len()
        };
        self.fixed.verb == scope.0.verb && long_enough && each(ours, theirs, includes)
    }

    /// Whether every scope of `other` is in this set. A pattern is covered by one pattern,
    /// never by a union of several.
    pub fn covers(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.fixed.segments, &other.fixed.segments);
        let long_enough = match (self.open_ended, other.open_ended) {
            (false, false) => theirs.len() == ours.len(),
            (false, true) => false,
            (true, false) => theirs.len() >= ours.len(),
            // `**` alone means one or more segments, since no resource is empty; so does `*/**`.
            (true, true) => theirs.len().max(1) >= ours.len(),
        };
        let any_first = |segment: &str| segment == "*";
        let rest_is_open = ours.len() <= theirs.len() || ours.iter().all(|s| any_first(s));
        self.fixed.verb == other.fixed.verb
            && long_enough
            && rest_is_open
            && each(ours, theirs, includes)
    }

    /// Whether some scope is in both sets.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.fixed.segments, &other.fixed.segments);
        let meet_in_length = match (self.open_ended, other.open_ended) {
            (false, false) => ours.len() == theirs.len(),
            (false, true) => ours.len() >= theirs.len(),
            (true, false) => theirs.len() >= ours.len(),
            (true, true) => true,
        };
        let meet = |one: &str, two: &str| includes(one, two) || includes(two, one);
        self.fixed.verb == other.fixed.verb && meet_in_length && each(ours, theirs, meet)
    }
}

/// Whether a pattern's segment includes a scope's, or another pattern's.
fn includes(pattern: &str, segment: &str) -> bool {
    pattern == "*" || pattern == segment
}

/// Whether it holds for the segments that both have.
fn each(ours: &[Box<str>], theirs: &[Box<str>], holds: impl Fn(&str, &str) -> bool) -> bool {
    ours.iter().zip(theirs).all(|(one, two)| holds(one, two))
}

impl FromStr for Scope {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let parts = Parts::parse(text)?;
        match parts.segments.iter().find(|segment| segment.contains('*')) {
            None => Ok(Self(parts)),
            Some(_) => Err(refused(text, "a scope has no wildcards")),
        }
    }
}

impl FromStr for Pattern {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let mut fixed = Parts::parse(text)?;
        let open_ended = fixed.segments.pop_if(|last| &**last == "**").is_some();
        match fixed
            .segments
            .iter()
            .find(|segment| segment.contains('*') && &***segment != "*")
        {
            None => Ok(Self { fixed, open_ended }),
            Some(_) => Err(refused(
                text,
                "`*` stands for a whole segment, `**` for the last ones",
            )),
        }
    }
}

impl Parts {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let (verb, resource) = text
            .split_once(':')
            .ok_or_else(|| refused(text, "a scope is verb:resource"))?;
        if !is_verb(verb) {
            return Err(refused(text, "a verb is [a-z][a-z0-9_-]*"));
        }
        if resource.len() > MAX_RESOURCE_BYTES {
            return Err(refused(text, "a resource has at most 512 bytes"));
        }
        let segments: Vec<Box<str>> = resource.split('/').map(Box::from).collect();
        if segments.len() > MAX_SEGMENTS {
            return Err(refused(text, "a resource has at most 32 segments"));
        }
        if !segments.iter().all(|segment| is_segment(segment)) {
            return Err(refused(
                text,
                "a segment is [A-Za-z0-9._@+-]+, and neither . nor ..",
            ));
        }
        Ok(Self {
            verb: verb.into(),
            segments,
        })
    }
}

fn is_verb(verb: &str) -> bool {
    verb.starts_with(|first: char| first.is_ascii_lowercase())
        && verb
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c))
}

/// Wildcards count as segments here; who does not want them looks for them.
fn is_segment(segment: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._@+-*".contains(c);
    !matches!(segment, "" | "." | "..") && segment.chars().all(plain)
}

fn refused(text: &str, why: &str) -> Refusal {
    Code::Malformed.because(format!("{}: {why}", quoted(text)))
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.verb, self.segments.join("/"))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fixed.fmt(f)?;
        match (self.open_ended, self.fixed.segments.is_empty()) {
            (false, _) => Ok(()),
            (true, true) => f.write_str("**"),
            (true, false) => f.write_str("/**"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scope(text: &str) -> Scope {
        text.parse().unwrap()
    }

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn grammar() {
        let long = format!("read:{}", ["a"; 33].join("/"));
        let wide = format!("read:{}", "a".repeat(513));
        for bad in [
            "",
            "read",
            "read:",
            ":a",
            "Read:a",
            "1read:a",
            "read:/a",
            "read:a/",
            "read:a//b",
            "read:.",
            "read:a/..",
            "read:a b",
            "read:ä",
            "read:a:b",
            "read:**/a",
            "read:a*",
            "read:***",
            &long,
            &wide,
        ] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
            assert!(bad.parse::<Scope>().is_err(), "{bad}");
        }
        for wild in ["read:*", "read:**", "read:a/*/b", "read:a/**"] {
            assert!(wild.parse::<Scope>().is_err());
            assert_eq!(pattern(wild).to_string(), wild);
        }
        assert_eq!(scope("run:a.b@c+d-e/F").to_string(), "run:a.b@c+d-e/F");
    }

    #[test]
    fn two_stars_include_the_folder_itself() {
        assert!(pattern("read:a/**").permits(&scope("read:a")));
        assert!(pattern("read:a/**").permits(&scope("read:a/b/c")));
        assert!(!pattern("read:a/**").permits(&scope("read:ab")));
        assert!(!pattern("read:a/*").permits(&scope("read:a/b/c")));
        assert!(!pattern("read:**").permits(&scope("write:a")));
    }

    /// Every row of one to `longest` segments.
    fn rows<'a>(alphabet: &[&'a str], longest: usize) -> Vec<Vec<&'a str>> {
        let (mut all, mut last) = (Vec::new(), vec![vec![]]);
        for _ in 0..longest {
            let longer = last.iter().flat_map(|row: &Vec<&'a str>| {
                alphabet
                    .iter()
                    .map(move |next| [&row[..], &[*next]].concat())
            });
            last = longer.collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    /// Every scope of up to four segments over an alphabet one letter larger than the patterns'.
    fn universe() -> Vec<Scope> {
        let rows = rows(&["a", "b", "z"], 4);
        rows.iter()
            .map(|row| scope(&format!("v:{}", row.join("/"))))
            .collect()
    }

    /// Every pattern of up to three segments, `**` among them.
    fn patterns() -> Vec<Pattern> {
        let rows = rows(&["a", "b", "*", "**"], 3);
        let texts = rows.iter().map(|row| format!("v:{}", row.join("/")));
        texts.filter_map(|text| text.parse().ok()).collect()
    }

    #[test]
    fn covers_and_overlaps_agree_with_brute_force_on_all_small_patterns() {
        let (universe, patterns) = (universe(), patterns());
        assert_eq!(universe.len(), 3 + 9 + 27 + 81);
        // `**` only at the end: 3 + 9 + 27 without, 1 + 3 + 9 with it.
        assert_eq!(patterns.len(), 52);
        for one in &patterns {
            for two in &patterns {
                let (mut covered, mut meet) = (true, false);
                for scope in &universe {
                    covered &= !two.permits(scope) || one.permits(scope);
                    meet |= two.permits(scope) && one.permits(scope);
                }
                assert_eq!(one.covers(two), covered, "{one} covers {two}");
                assert_eq!(one.overlaps(two), meet, "{one} overlaps {two}");
            }
        }
    }

    #[test]
    fn permits_agrees_with_the_words_of_the_rule() {
        for pattern in patterns() {
            let text = pattern.to_string();
            for scope in universe() {
                let want = includes_by_the_rule(&text[2..], &scope.to_string()[2..]);
                assert_eq!(pattern.permits(&scope), want, "{pattern} permits {scope}");
            }
        }
    }

    /// `*` is one segment, a final `**` zero or more; but no resource is empty.
    fn includes_by_the_rule(pattern: &str, resource: &str) -> bool {
        match (pattern.split_once('/'), resource.split_once('/')) {
            _ if pattern == "**" => true,
            (Some((first, "**")), None) => first == "*" || first == resource,
            (None, None) => pattern == "*" || pattern == resource,
            (Some((first, rest)), Some((segment, more))) => {
                (first == "*" || first == segment) && includes_by_the_rule(rest, more)
            }
            _ => false,
        }
    }

    fn any_pattern() -> impl Strategy<Value = Pattern> {
        let segment = prop::sample::select(vec!["a", "b", "*"]);
        (prop::collection::vec(segment, 0..4), any::<bool>())
            .prop_filter("not empty", |(segments, open)| {
                *open || !segments.is_empty()
            })
            .prop_map(|(mut segments, open)| {
                if open {
                    segments.push("**");
                }
                pattern(&format!("v:{}", segments.join("/")))
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn a_pattern_reads_back(one in any_pattern()) {
            prop_assert_eq!(pattern(&one.to_string()), one);
        }
    }
}
