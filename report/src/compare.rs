//! Incidents and alerts side by side: which belong together, and what is left on either side.
//!
//! An alert is about an incident if it is about the same agent, its class is the same or unknown, and its time, from
//! opened to closed, meets that of the incident, widened on both ends by the slack of the source. Each alert goes to the
//! earliest such incident. What is left is a false alarm where the log covers that time, and something that Dragons did
//! not see where it does not.

use ledger::text::Name;
use watchdogs::class::Class;
use watchdogs::config::{DEFAULT_SLACK_MS, MapSource};

use crate::found::Found;
use crate::watch::{Alert, Gap};

/// Who saw something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// Both.
    Both,
    /// Dragons alone.
    Dragons,
    /// The watchdog alone.
    Watchdog,
}

/// What it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judged {
    /// It happened.
    Incident,
    /// It did not.
    FalseAlarm,
}

/// A case: an incident with the alerts about it, or an alert about nothing that the log shows.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name in the report.
    pub id: String,
    /// The agent; `None` for the log as a whole.
    pub agent: Option<Name>,
    /// The class; `None` for an alert of which it is not known.
    pub class: Option<Class>,
    /// When it began.
    pub began_ms: u64,
    /// When it ended; `None` if it lasts.
    pub ended_ms: Option<u64>,
    /// When Dragons noticed it; `None` if it did not.
    pub noticed_ms: Option<u64>,
    /// Who saw it.
    pub by: By,
    /// What it was.
    pub verdict: Judged,
    /// The entries that show it.
    pub entries: Vec<u64>,
    /// The alerts about it, oldest first.
    pub alerts: Vec<Alert>,
    /// Whether a source has a rule for the class, or has said something of it; `None` if those that have a rule had lost
    /// something at that time, or if the map does not say what a source sees.
    pub could_see: Option<bool>,
    /// Whether a source had such a rule when the report's time began; `None` if none says since when.
    pub rule_on_day_0: Option<bool>,
    /// Whether every alert about it is known to have been muted.
    pub muted: bool,
    /// Whether all that shows it is the control plane's claim.
    pub claimed: bool,
}

impl By {
    /// The word in a report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Dragons => "dragons",
            Self::Watchdog => "watchdog",
        }
    }
}

impl Judged {
    /// The word in a report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Incident => "incident",
            Self::FalseAlarm => "false-alarm",
        }
    }
}

impl Case {
    /// By how much Dragons was earlier than the watchdog: milliseconds, below zero if it was later. `None` unless both
    /// saw it.
    pub fn lead_ms(&self) -> Option<i64> {
        let opened_ms = self.alerts.iter().map(|alert| alert.opened_ms).min()?;
        let noticed_ms = self.noticed_ms?;
        let ms = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        Some(ms(opened_ms) - ms(noticed_ms))
    }

    /// Whether its time meets a span.
    pub fn meets(&self, from_ms: u64, to_ms: u64) -> bool {
        self.began_ms < to_ms && self.ended_ms.is_none_or(|ended_ms| ended_ms >= from_ms)
    }
}

/// What alerts are compared with.
pub struct Reference<'a> {
    /// What the replay found.
    pub found: &'a [Found],
    /// What the sources look at.
    pub sources: &'a [MapSource],
    /// What they have lost.
    pub gaps: &'a [Gap],
    /// When the report's time begins.
    pub from_ms: u64,
    /// Whether the log shows what an agent did, as far as a class goes, from one time to another.
    pub covers: &'a dyn Fn(&Alert) -> bool,
}

impl Reference<'_> {
    /// The cases, by their beginning.
    pub fn cases(&self, alerts: &[Alert]) -> Vec<Case> {
        let mut cases: Vec<Case> = self.found.iter().map(|it| self.case_of(it)).collect();
        let mut alone = Vec::new();
        for alert in alerts {
            match self.incident_of(alert).and_then(|at| cases.get_mut(at)) {
                Some(case) => case.alerts.push(alert.clone()),
                None => alone.push(self.alone(alert)),
            }
        }
        for case in &mut cases {
            case.by = match case.alerts.is_empty() {
                true => By::Dragons,
                false => By::Both,
            };
            if case.by == By::Both {
                // Whoever said so could see it, whatever the map says about its rules.
                case.could_see = Some(true);
            }
            let is_muted = |alert: &Alert| alert.muted == Some(true);
            case.muted = !case.alerts.is_empty() && case.alerts.iter().all(is_muted);
        }
        cases.extend(alone);
        cases.sort_by(|left, right| (left.began_ms, &left.id).cmp(&(right.began_ms, &right.id)));
        cases
    }

    /// The earliest incident that an alert may be about.
    fn incident_of(&self, alert: &Alert) -> Option<usize> {
        let slack_ms = self
            .source(&alert.source)
            .map_or(DEFAULT_SLACK_MS, |it| it.slack_ms);
        let fits = |found: &&Found| is_about(alert, found, slack_ms);
        let fitting = (0..).zip(self.found).filter(|(_, found)| fits(found));
        let earliest = fitting.min_by_key(|(at, found)| (found.began_ms, *at));
        earliest.map(|(at, _)| at)
    }

    fn case_of(&self, found: &Found) -> Case {
        let agent = found.agent.as_ref().map_or("log", Name::as_str);
        let first = found.entries.first().copied().unwrap_or_default();
        let span = (found.began_ms, found.ended_ms.unwrap_or(u64::MAX));
        Case {
            id: format!("{}:{agent}:{first}", found.class),
            agent: found.agent.clone(),
            class: Some(found.class),
            began_ms: found.began_ms,
            ended_ms: found.ended_ms,
            noticed_ms: Some(found.noticed_ms),
            by: By::Dragons,
            verdict: match found.is_unfounded {
                true => Judged::FalseAlarm,
                false => Judged::Incident,
            },
            entries: found.entries.clone(),
            alerts: Vec::new(),
            could_see: self.could_see(found.class, span),
            rule_on_day_0: self.rule_on_day_0(found.class),
            muted: false,
            claimed: found.is_claim,
        }
    }

    fn alone(&self, alert: &Alert) -> Case {
        let seen = alert.class.map(|class| self.rule_on_day_0(class));
        Case {
            id: format!(
                "alert:{}:{}:{}",
                alert.source, alert.source_id, alert.opened_ms
            ),
            agent: Some(alert.agent.clone()),
            class: alert.class,
            began_ms: alert.opened_ms,
            ended_ms: alert.closed_ms,
            noticed_ms: None,
            by: By::Watchdog,
            verdict: match (self.covers)(alert) {
                true => Judged::FalseAlarm,
                false => Judged::Incident,
            },
            entries: alert.entry.into_iter().collect(),
            alerts: vec![alert.clone()],
            could_see: Some(true),
            rule_on_day_0: seen.unwrap_or_default(),
            muted: alert.muted == Some(true),
            claimed: false,
        }
    }

    /// A tool that has no rule for silence can't miss silence; and one whose records have a gap may have seen it.
    fn could_see(&self, class: Class, span: (u64, u64)) -> Option<bool> {
        let has_lost = |source: &&MapSource| {
            let mut gaps = self
                .gaps
                .iter()
                .filter(|gap| gap.source == source.name.as_str());
            gaps.any(|gap| gap.from_ms <= span.1 && gap.to_ms >= span.0)
        };
        let seeing: Vec<&MapSource> = self.seeing(class).collect();
        match seeing.is_empty() {
            true if self.sources.iter().any(|source| source.sees.is_none()) => None,
            true => Some(false),
            false if seeing.iter().all(has_lost) => None,
            false => Some(true),
        }
    }

    fn rule_on_day_0(&self, class: Class) -> Option<bool> {
        let is_early = |since: &u64| *since <= self.from_ms;
        let since: Vec<Option<u64>> = self.seeing(class).map(|it| it.rules_from_ms).collect();
        let unsaid = self.sources.iter().any(|source| source.sees.is_none());
        match since.iter().flatten().any(is_early) {
            true => Some(true),
            false if unsaid || since.contains(&None) => None,
            false => Some(false),
        }
    }

    /// The sources that have a rule for a class, by the map.
    fn seeing(&self, class: Class) -> impl Iterator<Item = &MapSource> {
        let sees = move |source: &&MapSource| {
            let sees = source.sees.as_ref();
            sees.is_some_and(|sees| sees.contains(&class))
        };
        self.sources.iter().filter(sees)
    }

    fn source(&self, name: &str) -> Option<&MapSource> {
        let mut sources = self.sources.iter();
        sources.find(|source| source.name.as_str() == name)
    }
}

/// What concerns the log as a whole concerns every agent. A false alarm of the control plane is nothing to be about.
fn is_about(alert: &Alert, found: &Found, slack_ms: u64) -> bool {
    let is_same = match &found.agent {
        Some(agent) => *agent == alert.agent && alert.class.is_none_or(|it| it == found.class),
        None => alert.class == Some(found.class),
    };
    let begins_ms = found.began_ms.saturating_sub(slack_ms);
    let ends_ms = found
        .ended_ms
        .map(|ended_ms| ended_ms.saturating_add(slack_ms));
    let meets = alert.last_ms() >= begins_ms && ends_ms.is_none_or(|it| alert.opened_ms <= it);
    !found.is_unfounded && is_same && meets
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_MS: u64 = 1_764_000_000_000;
    const MINUTE_MS: u64 = 60_000;

    fn found(class: Class, began: u64, ended: Option<u64>) -> Found {
        Found {
            class,
            agent: Some("a".parse().unwrap()),
            began_ms: AT_MS + began * MINUTE_MS,
            noticed_ms: AT_MS + (began + 30) * MINUTE_MS,
            ended_ms: ended.map(|it| AT_MS + it * MINUTE_MS),
            entries: vec![began],
            is_unfounded: false,
            is_claim: false,
        }
    }

    fn alert(class: Option<Class>, opened: u64, closed: Option<u64>) -> Alert {
        Alert {
            opened_ms: AT_MS + opened * MINUTE_MS,
            closed_ms: closed.map(|it| AT_MS + it * MINUTE_MS),
            source: "prom".to_owned(),
            source_id: opened.to_string(),
            monitor: "M".to_owned(),
            agent: "a".parse().unwrap(),
            class,
            severity: None,
            muted: None,
            entry: None,
        }
    }

    fn source(sees: &[Class], rules_from_ms: Option<u64>) -> MapSource {
        MapSource {
            name: "prom".parse().unwrap(),
            every_ms: None,
            slack_ms: DEFAULT_SLACK_MS,
            sees: Some(sees.to_vec()),
            rules_from_ms,
        }
    }

    fn cases(found: &[Found], alerts: &[Alert], sources: &[MapSource], gaps: &[Gap]) -> Vec<Case> {
        let ground = Reference {
            found,
            sources,
            gaps,
            from_ms: AT_MS,
            covers: &|_| true,
        };
        ground.cases(alerts)
    }

    /// Whether an alert is taken to be about a silence from minute 100 to 160.
    #[test]
    fn an_alert_is_about_what_its_time_and_class_meet() {
        use Class::{Silence, Stall};
        let silence = [found(Silence, 100, Some(160))];
        for (class, opened, closed, is_about) in [
            (Some(Silence), 120, Some(130), true),
            (None, 120, Some(130), true),
            (Some(Stall), 120, Some(130), false),
            (Some(Silence), 165, Some(170), true),
            (Some(Silence), 166, Some(170), false),
            (Some(Silence), 90, Some(95), true),
            (Some(Silence), 90, Some(94), false),
            (Some(Silence), 10, Some(400), true),
            (Some(Silence), 10, None, false),
            (Some(Silence), 110, None, true),
        ] {
            let cases = cases(&silence, &[alert(class, opened, closed)], &[], &[]);
            let by: Vec<By> = cases.iter().map(|case| case.by).collect();
            let of_both = by.contains(&By::Both);
            assert_eq!(of_both, is_about, "{class:?} {opened} {closed:?}: {by:?}");
        }
    }

    #[test]
    fn an_alert_goes_to_the_earliest_and_to_one_alone() {
        let both = [
            found(Class::Silence, 200, Some(210)),
            found(Class::Silence, 100, Some(160)),
        ];
        let told = cases(
            &both,
            &[alert(Some(Class::Silence), 150, Some(205))],
            &[],
            &[],
        );
        let by: Vec<By> = told.iter().map(|case| case.by).collect();
        assert_eq!(by, [By::Both, By::Dragons]);
        assert_eq!(
            told[0].lead_ms(),
            Some(20 * 60_000),
            "noticed at 130, opened at 150"
        );
        assert_eq!(told[1].lead_ms(), None);
    }

    #[test]
    fn nothing_is_about_a_false_alarm_of_the_control_plane() {
        let mut unfounded = found(Class::Silence, 100, Some(160));
        unfounded.is_unfounded = true;
        let told = cases(&[unfounded], &[alert(None, 120, None)], &[], &[]);
        let told: Vec<_> = told.iter().map(|case| (case.by, case.verdict)).collect();
        let false_alarm = Judged::FalseAlarm;
        assert_eq!(
            told,
            [(By::Dragons, false_alarm), (By::Watchdog, false_alarm)]
        );
    }

    #[test]
    fn what_a_source_could_see_is_what_it_has_rules_for_and_did_not_lose() {
        let silence = [found(Class::Silence, 100, Some(160))];
        let gap = |from: u64, to: u64| Gap {
            source: "prom".to_owned(),
            from_ms: AT_MS + from * MINUTE_MS,
            to_ms: AT_MS + to * MINUTE_MS,
            detail: String::new(),
            entry: Some(1),
        };
        let (early, late) = (Some(AT_MS), Some(AT_MS + 1));
        let none: (Vec<MapSource>, Vec<Gap>) = (vec![], vec![]);
        for (sources, gaps, want) in [
            (none.0, none.1, (Some(false), Some(false))),
            (
                vec![source(&[Class::Stall], early)],
                vec![],
                (Some(false), Some(false)),
            ),
            (
                vec![source(&[Class::Silence], early)],
                vec![],
                (Some(true), Some(true)),
            ),
            (
                vec![source(&[Class::Silence], late)],
                vec![],
                (Some(true), Some(false)),
            ),
            (
                vec![source(&[Class::Silence], None)],
                vec![],
                (Some(true), None),
            ),
            (
                vec![source(&[Class::Silence], None)],
                vec![gap(150, 170)],
                (None, None),
            ),
            (
                vec![source(&[Class::Silence], None)],
                vec![gap(161, 170)],
                (Some(true), None),
            ),
        ] {
            let told = cases(&silence, &[], &sources, &gaps);
            let got = (told[0].could_see, told[0].rule_on_day_0);
            assert_eq!(got, want, "{sources:?} {gaps:?}");
        }
    }
}
