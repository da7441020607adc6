//! What a report comes to, in sentences for people: the one place that makes them, for the command, the page and the
//! documentation. No sentence says more than the report does.

use crate::codes::{Class, Code, Party};
use crate::json::{Value, object};
use crate::verify::heads::Growth;
use crate::verify::reading::Reading;
use crate::verify::report::{Check, CheckId, Finding, Report, Status, Verdict};
use crate::verify::trust::Trust;

/// What a report comes to, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headline {
    /// Everything was checked, and nobody was out of bounds.
    Verified,
    /// Everything was checked, and somebody was out of bounds.
    VerifiedWithBreaches,
    /// One record was logged, which is all that a proof file can show.
    Logged,
    /// Two checkpoints are of one history.
    Consistent,
    /// The log has signed two histories.
    SplitView,
    /// The file is something else than evidence.
    NotEvidence,
    /// There is a problem.
    Failed,
    /// What is there is not enough.
    Incomplete,
    /// What is there is not enough, and shows somebody out of bounds.
    IncompleteWithBreaches,
}

/// What a report comes to, in sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Which of the headlines.
    pub headline: Headline,
    /// What makes it so in this report, a sentence each.
    pub because: Vec<String>,
}

impl Headline {
    /// Every headline, in the order in which they are explained.
    pub const ALL: &[Self] = &[
        Self::Verified,
        Self::VerifiedWithBreaches,
        Self::Logged,
        Self::Consistent,
        Self::SplitView,
        Self::NotEvidence,
        Self::Failed,
        Self::Incomplete,
        Self::IncompleteWithBreaches,
    ];

    /// In one to three words.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Verified => "Verified",
            Self::VerifiedWithBreaches => "Verified, with breaches",
            Self::Logged => "Logged",
            Self::Consistent => "Consistent",
            Self::SplitView => "Split view",
            Self::NotEvidence => "Not evidence",
            Self::Failed => "Failed",
            Self::Incomplete => "Incomplete",
            Self::IncompleteWithBreaches => "Incomplete, with breaches",
        }
    }

    /// What that means.
    pub const fn means(self) -> &'static str {
        match self {
            Self::Verified => {
                "Nothing here is wrong, and everything that your trust asks for was checked."
            }
            Self::VerifiedWithBreaches => {
                "The evidence can be relied on, and it shows somebody out of bounds."
            }
            Self::Logged => {
                "This record is in the log that your trust names, at this place. A proof of one record never shows that it \
                 was allowed, or that what it says is true."
            }
            Self::Consistent => {
                "The log that your trust names signed both checkpoints, and its newer tree begins with the whole older one: \
                 nothing was removed or changed in between. What is in the log, checkpoints do not show."
            }
            Self::SplitView => {
                "The log signed two histories that contradict each other. Keep both checkpoints, and show them to the log's \
                 witnesses and to everybody who relies on it: together they prove it, and whoever runs the log cannot deny it."
            }
            Self::NotEvidence => {
                "This file is neither a proof file, nor an evidence pack, nor two checkpoints, so there was nothing to verify."
            }
            Self::Failed => "There is a problem. Do not rely on this evidence.",
            Self::Incomplete => "No problem was found, but what is here is not enough to decide.",
            Self::IncompleteWithBreaches => {
                "What is here is not enough to decide, and it shows somebody out of bounds."
            }
        }
    }
}

impl Report {
    /// What it comes to, in sentences.
    pub fn told(&self) -> Explanation {
        let headline = self.headline();
        let why = match headline {
            Headline::NotEvidence => self.what_it_is(),
            Headline::Failed | Headline::SplitView => self.first_problem(),
            Headline::Incomplete | Headline::IncompleteWithBreaches => self.first_gap(),
            Headline::Logged => Some(self.said_of_one()),
            Headline::Consistent => self.said_of_growth(),
            Headline::Verified | Headline::VerifiedWithBreaches => None,
        };
        Explanation {
            headline,
            because: why.into_iter().chain(self.breaches()).collect(),
        }
    }

    /// The sentences, with the answers to people's questions and those about each check, as a page takes them.
    pub fn explanation_json(&self, trust: &Trust) -> String {
        let Explanation { headline, because } = self.told();
        let altered = match self.aside.reading {
            Reading::Altered(alteration) => Some(alteration.as_str()),
            Reading::Evidence | Reading::Other(_) => None,
        };
        let because = because.iter().map(String::as_str);
        object([
            ("title", headline.title().into()),
            ("means", headline.means().into()),
            ("because", because.collect()),
            ("altered", altered.into()),
            ("is_evidence", (headline != Headline::NotEvidence).into()),
            ("answers", self.answers_value(trust)),
            ("growth", self.growth.as_ref().map(Growth::to_value).into()),
            ("checks", self.checks.iter().map(Check::told).collect()),
            ("parties", self.parties()),
        ])
        .to_json()
    }

    /// What people call those at whose fault something is.
    fn parties(&self) -> Value {
        let mut parties: Vec<Party> = self.findings.iter().map(|finding| finding.by).collect();
        parties.sort_unstable();
        parties.dedup();
        let told = |by: Party| (by.as_str().to_owned(), by.told().into());
        Value::Object(parties.into_iter().map(told).collect())
    }

    fn headline(&self) -> Headline {
        let has_breaches = self.count(Class::Breach) > 0 && !self.aside.rests_on_a_state;
        match (self.verdict, has_breaches) {
            _ if matches!(self.aside.reading, Reading::Other(_)) => Headline::NotEvidence,
            (Verdict::Failed, _) if self.is_split() => Headline::SplitView,
            (Verdict::Failed, _) => Headline::Failed,
            (Verdict::Incomplete, true) => Headline::IncompleteWithBreaches,
            (Verdict::Incomplete, false) => Headline::Incomplete,
            (Verdict::Verified, _) if self.aside.is_of_heads => Headline::Consistent,
            (Verdict::Verified, _) if self.is_of_one_record() => Headline::Logged,
            (Verdict::Verified, true) => Headline::VerifiedWithBreaches,
            (Verdict::Verified, false) => Headline::Verified,
        }
    }

    /// A proof file is not asked whether anybody was allowed anything.
    fn is_of_one_record(&self) -> bool {
        self.check(CheckId::Authority).is_none()
    }

    /// Two checkpoints that the log itself contradicts.
    fn is_split(&self) -> bool {
        let by_the_log = |finding: &Finding| {
            finding.refusal.code == Code::Inconsistent && finding.by == Party::Log
        };
        self.aside.is_of_heads && self.findings.iter().any(by_the_log)
    }

    fn what_it_is(&self) -> Option<String> {
        match self.aside.reading {
            Reading::Other(what) => Some(format!("It is {what}.")),
            Reading::Evidence | Reading::Altered(_) => None,
        }
    }

    pub(super) fn check(&self, id: CheckId) -> Option<&Check> {
        self.checks.iter().find(|check| check.id == id)
    }

    fn first_problem(&self) -> Option<String> {
        let mut findings = self.findings.iter();
        let problem = findings.find(|finding| finding.class == Class::Problem)?;
        Some(format!("{problem}, by {}.", problem.by.told()))
    }

    /// The first check that was not made of those that a verdict needs.
    fn first_gap(&self) -> Option<String> {
        if self.aside.is_of_heads {
            let check = self.check(CheckId::Consistency)?;
            return Some(check.not_made());
        }
        let is_open = |check: &&Check| {
            check.status == Status::Skipped
                && !matches!(
                    check.id,
                    CheckId::Witnesses | CheckId::Consistency | CheckId::Disclosures
                )
        };
        self.checks.iter().find(is_open).map(Check::not_made)
    }

    /// How the newer of two checkpoints grew out of the older.
    fn said_of_growth(&self) -> Option<String> {
        let detail = self.check(CheckId::Consistency)?.detail.as_str();
        Some(super::answers::sentence(detail))
    }

    /// What a state proof says, by whose word, or whose signature on the one record was checked.
    fn said_of_one(&self) -> String {
        if let Some(state) = self.check(CheckId::Disclosures) {
            return format!(
                "The pulse there says: {}. Whether control signed it was not checked, because the keys that count are in other records.",
                state.detail
            );
        }
        match self.check(CheckId::Signatures) {
            Some(check) if check.status == Status::Pass => {
                format!("Its signatures were checked: {}.", check.detail)
            }
            _ => "No signature on the record was checked, because the keys that count are in other records.".to_owned(),
        }
    }

    fn breaches(&self) -> Option<String> {
        let told = |number: u64| match number {
            1 => "The records show 1 breach: somebody was out of bounds, and the log says so."
                .to_owned(),
            _ => format!(
                "The records show {number} breaches: somebody was out of bounds, and the log says so."
            ),
        };
        let number = self.count(Class::Breach);
        if number > 0 && self.aside.rests_on_a_state {
            return Some(format!(
                "By the state that it begins with, which your trust does not name, the records show {number} breaches; if that state is wrong, they show none."
            ));
        }
        (number > 0).then(|| told(number))
    }
}

impl Check {
    /// What it came to, what it means, and what it leaves open.
    fn told(&self) -> Value {
        object([
            ("id", self.id.into()),
            ("came_to", self.came_to().into()),
            ("means", self.meaning().into()),
            ("open", self.id.leaves_open().into()),
        ])
    }

    /// What it came to, in words.
    pub const fn came_to(&self) -> &'static str {
        match self.status {
            Status::Pass => "holds",
            Status::Fail => "does not hold",
            Status::Skipped => "not checked",
        }
    }

    /// What it means: a check that does not hold, or was not made, only says what it would.
    pub fn meaning(&self) -> String {
        let means = self.id.means();
        match self.status {
            Status::Pass => format!("So {means}."),
            Status::Fail | Status::Skipped => format!("It would mean that {means}."),
        }
    }
}
