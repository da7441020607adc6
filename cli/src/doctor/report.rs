//! What was found: a check for each thing that was looked at, or was to be.

use std::fmt;

use ledger::json::{Value, object};

/// One thing that was looked at, or was to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    /// What it is called.
    pub(crate) name: &'static str,
    /// What was found, or why nothing was looked at.
    pub(crate) detail: String,
    /// What that comes to.
    pub(crate) outcome: Outcome,
}

/// What a check comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is as it should be.
    Ok,
    /// It works, and somebody should know.
    Warning(Remedy),
    /// Something does not work, or is not safe.
    Problem(Remedy),
    /// Nobody looked.
    NotChecked {
        /// What it takes to look.
        advice: String,
    },
}

/// What to make of something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remedy {
    /// What it means.
    pub(crate) meaning: String,
    /// What to do.
    pub(crate) advice: String,
}

/// Why something is not there to go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) why: String,
    pub(super) advice: String,
}

/// Something that other checks need, or why it is not there.
pub(super) type Known<T> = Result<T, Missing>;

/// A check that others rest on: with what they need, or without.
pub(super) type Step<T> = Result<(Check, T), Check>;

/// All checks, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    checks: Vec<Check>,
}

impl Check {
    pub(super) fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self::new(name, detail, Outcome::Ok)
    }

    pub(super) fn warning(
        name: &'static str,
        detail: impl Into<String>,
        meaning: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(name, detail, Outcome::Warning(Remedy::new(meaning, advice)))
    }

    pub(super) fn problem(
        name: &'static str,
        detail: impl Into<String>,
        meaning: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(name, detail, Outcome::Problem(Remedy::new(meaning, advice)))
    }

    pub(super) fn not_checked(name: &'static str, missing: &Missing) -> Self {
        let advice = missing.advice.clone();
        Self::new(name, missing.why.clone(), Outcome::NotChecked { advice })
    }

    fn new(name: &'static str, detail: impl Into<String>, outcome: Outcome) -> Self {
        Self {
            name,
            detail: detail.into(),
            outcome,
        }
    }

    /// What its result is called.
    pub(crate) const fn result(&self) -> &'static str {
        match self.outcome {
            Outcome::Ok => "ok",
            Outcome::Warning(_) => "warning",
            Outcome::Problem(_) => "problem",
            Outcome::NotChecked { .. } => "not checked",
        }
    }

    fn to_value(&self) -> Value {
        let (meaning, advice) = match &self.outcome {
            Outcome::Ok => (None, None),
            Outcome::Warning(remedy) | Outcome::Problem(remedy) => {
                (Some(remedy.meaning.as_str()), Some(remedy.advice.as_str()))
            }
            Outcome::NotChecked { advice } => (None, Some(advice.as_str())),
        };
        object([
            ("name", self.name.into()),
            ("result", self.result().into()),
            ("detail", self.detail.as_str().into()),
            ("meaning", meaning.into()),
            ("advice", advice.into()),
        ])
    }
}

impl Remedy {
    fn new(meaning: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            meaning: meaning.into(),
            advice: advice.into(),
        }
    }
}

impl Missing {
    pub(super) fn new(why: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            advice: advice.into(),
        }
    }

    /// What a check that found nothing to go on with leaves to those behind it.
    pub(super) fn behind(check: &Check) -> Self {
        match &check.outcome {
            Outcome::NotChecked { advice } => Self::new(&check.detail, advice),
            _ => Self::new(
                format!("it needs what {} did not find", check.name),
                format!("Begin with {}.", check.name),
            ),
        }
    }
}

impl Report {
    /// All checks.
    pub(crate) fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// How many checks came to this.
    pub(crate) fn count(&self, result: &str) -> u64 {
        let of = self.checks.iter().filter(|check| check.result() == result);
        of.count() as u64
    }

    /// The report for programs.
    pub(crate) fn to_value(&self) -> Value {
        object([
            ("ok", self.count("ok").into()),
            ("warnings", self.count("warning").into()),
            ("problems", self.count("problem").into()),
            ("not_checked", self.count("not checked").into()),
            ("checks", self.checks.iter().map(Check::to_value).collect()),
        ])
    }

    pub(super) fn add(&mut self, check: Check) {
        self.checks.push(check);
    }

    /// Adds a check that others rest on.
    pub(super) fn step<T>(&mut self, step: Step<T>) -> Known<T> {
        let (check, found) = match step {
            Ok((check, found)) => (check, Ok(found)),
            Err(check) => {
                let missing = Missing::behind(&check);
                (check, Err(missing))
            }
        };
        self.add(check);
        found
    }

    /// Says of each name why nobody looked.
    pub(super) fn not_checked(&mut self, names: &[&'static str], missing: &Missing) {
        let checks = names.iter().map(|name| Check::not_checked(name, missing));
        self.checks.extend(checks);
    }
}

/// The error with all of its causes, on one line.
pub(super) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let mut said: Vec<String> = chain.map(ToString::to_string).collect();
    // Wrappers that have nothing to add say what they wrap.
    said.dedup();
    said.join(": ")
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rests_on_nothing_says_on_what() {
        let mut report = Report::default();
        let known: Known<u8> = report.step(Err(Check::problem("key-file", "none", "m", "a")));
        let missing = known.unwrap_err();
        assert!(missing.why.contains("key-file"), "{missing}");
        report.not_checked(&["key-folder", "key-holder"], &missing);
        let first = Missing::new("no key given", "Give one.");
        let known: Known<u8> = report.step(Err(Check::not_checked("trust-file", &first)));
        assert_eq!(
            known.unwrap_err(),
            first,
            "the first reason stays the reason"
        );
        assert_eq!(
            (report.count("problem"), report.count("not checked")),
            (1, 3)
        );
    }

    #[test]
    fn every_check_has_the_same_members() {
        let missing = Missing::new("no key given", "Give one.");
        for (check, expected) in [
            (
                Check::ok("a", "x"),
                "\"result\":\"ok\",\"detail\":\"x\",\"meaning\":null,\"advice\":null}",
            ),
            (
                Check::warning("a", "x", "y", "z"),
                "\"result\":\"warning\",\"detail\":\"x\",\"meaning\":\"y\",\"advice\":\"z\"}",
            ),
            (
                Check::problem("a", "x", "y", "z"),
                "\"result\":\"problem\",\"detail\":\"x\",\"meaning\":\"y\",\"advice\":\"z\"}",
            ),
            (
                Check::not_checked("a", &missing),
                "\"result\":\"not checked\",\"detail\":\"no key given\",\"meaning\":null,\"advice\":\"Give one.\"}",
            ),
        ] {
            let json = check.to_value().to_json();
            assert_eq!(json, format!("{{\"name\":\"a\",{expected}"));
        }
    }
}
