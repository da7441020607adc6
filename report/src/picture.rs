//! Agents over the time of a report, one on a line: states in the middle, alerts above, what Dragons noticed below.
//!
//! SVG 1.1 that stands within a page. A state has a height of its own, a mark a shape of its own, so that the picture can
//! be read without its colours; the tables of the page say the same. Marks that would fall on the same spot are drawn
//! once, so its size is bounded by its width.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use ledger::record::AgentState;
use ledger::text::Name;
use timeline::drawing::{colour, escaped, step_ms, tick_label};
use timeline::life::LifeView;
use timeline::words::{span, utc};

use crate::document::CaseView;

/// The width of a picture, in its own units.
const WIDTH: u64 = 960;

/// Where time begins: to the left of it are the names.
const LEFT: u64 = 148;

/// Where time ends.
const RIGHT: u64 = WIDTH - 14;

/// The height of a line.
const LINE: u64 = 44;

/// Above the first line: the axis.
const TOP: u64 = 24;

/// Half of the longest label of the axis.
const HALF_LABEL: u64 = 28;

/// How much of a name fits.
const NAME_CHARS: usize = 20;

/// How many agents are on one picture, so that one fits a page of paper.
pub(crate) const AGENTS: usize = 14;

/// A mark: what it is called in the legend and as a class, and what it looks like around a spot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// An alert about an incident.
    Alert,
    /// An alert about nothing that the log shows.
    FalseAlert,
    /// An alert about a time that the log does not cover.
    Uncovered,
    /// An incident that both saw.
    Both,
    /// An incident that Dragons alone saw.
    DragonsAlone,
    /// A false alarm of the control plane.
    FalseDragons,
}

impl Mark {
    pub(crate) const ALL: [Self; 6] = [
        Self::Alert,
        Self::FalseAlert,
        Self::Uncovered,
        Self::Both,
        Self::DragonsAlone,
        Self::FalseDragons,
    ];

    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::FalseAlert => "alert false",
            Self::Uncovered => "alert uncovered",
            Self::Both => "noticed",
            Self::DragonsAlone => "noticed alone",
            Self::FalseDragons => "noticed false",
        }
    }

    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Alert => "alert about an incident",
            Self::FalseAlert => "false alarm of a watchdog",
            Self::Uncovered => "alert that the log can't judge",
            Self::Both => "incident that both saw",
            Self::DragonsAlone => "incident that Dragons alone saw",
            Self::FalseDragons => "false alarm of the control plane",
        }
    }

    /// The path of it around a spot.
    pub(crate) fn path(self, x: u64, y: u64) -> String {
        let (left, top) = (x - 5, y - 5);
        match self {
            Self::Alert | Self::FalseAlert => format!("M{left} {top}h10l-5 9z"),
            Self::Uncovered => format!("M{} {}h8v8h-8z", x - 4, y - 4),
            Self::Both => format!("M{left} {y}a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z"),
            Self::DragonsAlone => format!("M{x} {}l6 6l-6 6l-6 -6z", y - 6),
            Self::FalseDragons => format!("M{left} {top}l10 10m0 -10l-10 10"),
        }
    }

    const fn is_above(self) -> bool {
        matches!(self, Self::Alert | Self::FalseAlert | Self::Uncovered)
    }
}

/// Draws agents, each with its cases.
pub(crate) fn svg(id: usize, agents: &[(&Name, &LifeView)], cases: &[CaseView]) -> String {
    let mut drawing = Drawing {
        out: String::new(),
        from_ms: agents.first().map_or(0, |(_, life)| life.from_ms),
        to_ms: agents.first().map_or(1, |(_, life)| life.to_ms),
    };
    // Writing to a string does not fail.
    let _ = drawing.draw(id, agents, cases);
    drawing.out
}

struct Drawing {
    out: String,
    from_ms: u64,
    to_ms: u64,
}

impl Drawing {
    fn draw(
        &mut self,
        id: usize,
        agents: &[(&Name, &LifeView)],
        cases: &[CaseView],
    ) -> fmt::Result {
        let height = TOP + LINE * agents.len() as u64 + 6;
        let names: Vec<&str> = agents.iter().map(|(name, _)| name.as_str()).collect();
        let title = format!(
            "{} from {} to {}",
            names.join(", "),
            utc(self.from_ms),
            utc(self.to_ms)
        );
        writeln!(
            self.out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"month\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
             aria-labelledby=\"month-{id}\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
             <title id=\"month-{id}\">{}</title>",
            escaped(&title)
        )?;
        self.axis(height - 6)?;
        for (line, (name, life)) in (0..).zip(agents) {
            let y = TOP + LINE * line + LINE / 2;
            self.name(name.as_str(), y)?;
            self.states(life, y)?;
            let about = |case: &&CaseView| case.agent.as_deref() == Some(name.as_str());
            self.marks(cases.iter().filter(about), y)?;
        }
        self.out.write_str("</svg>")
    }

    fn axis(&mut self, bottom: u64) -> fmt::Result {
        let step_ms = step_ms(self.to_ms - self.from_ms);
        let mut at_ms = self.from_ms.next_multiple_of(step_ms);
        while at_ms <= self.to_ms {
            let x = self.x(at_ms);
            // A label in the middle of the last line would be cut off at the edge.
            let (at, anchor) = match x + HALF_LABEL > WIDTH {
                true => (WIDTH - 1, "end"),
                false => (x, "middle"),
            };
            writeln!(
                self.out,
                "<path class=\"tick\" d=\"M{x} {TOP}V{bottom}\" stroke=\"#8a8477\" stroke-opacity=\"0.35\"/>\
                 <text class=\"when\" x=\"{at}\" y=\"15\" text-anchor=\"{anchor}\" fill=\"currentColor\">{}</text>",
                tick_label(at_ms, step_ms)
            )?;
            at_ms += step_ms;
        }
        Ok(())
    }

    fn name(&mut self, name: &str, y: u64) -> fmt::Result {
        let shown = match name.chars().count() > NAME_CHARS {
            true => name.chars().take(NAME_CHARS - 1).chain(['…']).collect(),
            false => name.to_owned(),
        };
        let (x, y) = (LEFT - 12, y + 4);
        writeln!(
            self.out,
            "<text class=\"name\" x=\"{x}\" y=\"{y}\" text-anchor=\"end\" fill=\"currentColor\">{}</text>",
            escaped(&shown)
        )
    }

    fn states(&mut self, life: &LifeView, y: u64) -> fmt::Result {
        for told in &life.states {
            let Some(state) = told.state else {
                continue;
            };
            let (x, end) = (self.x(told.from_ms), self.x(told.to_ms));
            let (width, height) = (end.saturating_sub(x).max(1), thickness(state));
            let (top, fill) = (y - height / 2, colour(state));
            let title = format!(
                "{state} for {} from {}",
                span(told.to_ms - told.from_ms),
                utc(told.from_ms)
            );
            writeln!(
                self.out,
                "<rect class=\"state {state}\" x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" \
                 fill=\"{fill}\"><title>{}</title></rect>",
                escaped(&title)
            )?;
        }
        Ok(())
    }

    fn marks<'a>(&mut self, cases: impl Iterator<Item = &'a CaseView>, y: u64) -> fmt::Result {
        let mut drawn = BTreeSet::new();
        for case in cases {
            let (noticed, alerts) = marks_of(case);
            if let Some(mark) = noticed
                && drawn.insert((mark, self.x(case.began_ms)))
            {
                self.mark(mark, case.began_ms, y, &case.id)?;
            }
            for alert in &case.alerts {
                if drawn.insert((alerts, self.x(alert.opened_ms))) {
                    let title = format!("{} {}", alert.source, alert.monitor);
                    self.mark(alerts, alert.opened_ms, y, &title)?;
                }
            }
        }
        Ok(())
    }

    fn mark(&mut self, mark: Mark, at_ms: u64, y: u64, title: &str) -> fmt::Result {
        let y = match mark.is_above() {
            true => y - 13,
            false => y + 14,
        };
        let (path, class) = (mark.path(self.x(at_ms), y), mark.class());
        let title = format!("{}: {title}, {}", mark.words(), utc(at_ms));
        writeln!(
            self.out,
            "<path class=\"mark {class}\" d=\"{path}\"><title>{}</title></path>",
            escaped(&title)
        )
    }

    fn x(&self, at_ms: u64) -> u64 {
        let all = (self.to_ms - self.from_ms).max(1);
        let part = at_ms.clamp(self.from_ms, self.to_ms) - self.from_ms;
        // In 128 bits the product of any two of 64 fits; the quotient is at most the width.
        let x = u128::from(part) * u128::from(RIGHT - LEFT) / u128::from(all);
        LEFT + u64::try_from(x).unwrap_or(RIGHT - LEFT)
    }
}

/// The mark of what Dragons noticed, and that of the alerts.
fn marks_of(case: &CaseView) -> (Option<Mark>, Mark) {
    match (case.by, case.verdict) {
        ("both", _) => (Some(Mark::Both), Mark::Alert),
        ("dragons", "incident") => (Some(Mark::DragonsAlone), Mark::Alert),
        ("dragons", _) => (Some(Mark::FalseDragons), Mark::Alert),
        (_, "incident") => (None, Mark::Uncovered),
        _ => (None, Mark::FalseAlert),
    }
}

/// How tall a state is drawn: the further from running, the taller; and a thread where nothing runs.
pub(crate) const fn thickness(state: AgentState) -> u64 {
    match state {
        AgentState::Running => 4,
        AgentState::Degraded => 8,
        AgentState::Autohealing => 10,
        AgentState::Quarantined => 14,
        AgentState::Stopped => 1,
    }
}
