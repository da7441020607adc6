//! A life as a picture: SVG 1.1 that stands alone, or within a page.
//!
//! Each state has a lane of its own, so the place of a bar says what its colour says too; below them are the lanes of
//! leases, heartbeats, actions and refusals. Marks that would fall on the same spot are drawn once, so the size of the
//! picture is bounded by its width and not by the life.
//!
//! Nothing in it runs or is fetched, and no style is inline: the colours are attributes, which a page's own style sheet
//! overrides by the classes. It has a title and a description; whoever shows it puts the same facts into a table.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use ledger::record::{AgentState, Status};

use crate::goal::Action;
use crate::leases::LeaseSpan;
use crate::life::{LifeView, StateSpan};
use crate::words::{counted, span, utc, visible};

/// The width of the picture, in its own units.
const WIDTH: u64 = 960;

/// Where time begins: to the left of it are the names of the lanes.
const LEFT: u64 = 108;

/// Where time ends.
const RIGHT: u64 = WIDTH - 12;

/// The height of a lane.
const LANE: u64 = 20;

/// The height of a bar in it.
const BAR: u64 = 12;

/// Above the first lane.
const TOP: u64 = 8;

/// What is shorter than this could not be seen.
const THINNEST: u64 = 2;

/// The most marks on the axis of time: their labels must not touch each other.
const MAX_TICKS: u64 = 9;

/// Steps between marks that people can read: seconds, minutes, hours, days.
const STEPS_MS: [u64; 18] = [
    1_000,
    5_000,
    15_000,
    60_000,
    5 * 60_000,
    10 * 60_000,
    15 * 60_000,
    30 * 60_000,
    HOUR_MS,
    3 * HOUR_MS,
    6 * HOUR_MS,
    12 * HOUR_MS,
    DAY_MS,
    2 * DAY_MS,
    7 * DAY_MS,
    14 * DAY_MS,
    60 * DAY_MS,
    365 * DAY_MS,
];

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// The lanes, from the top.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    State(AgentState),
    Lease,
    Beats,
    Actions,
    Refused,
}

const LANES: [Lane; 9] = [
    Lane::State(AgentState::Running),
    Lane::State(AgentState::Degraded),
    Lane::State(AgentState::Autohealing),
    Lane::State(AgentState::Quarantined),
    Lane::State(AgentState::Stopped),
    Lane::Lease,
    Lane::Beats,
    Lane::Actions,
    Lane::Refused,
];

/// Draws a life.
pub fn svg(life: &LifeView) -> String {
    let mut drawing = Drawing::new(life);
    // Writing to a string does not fail.
    let _ = drawing.draw(life);
    drawing.out
}

/// What the picture shows, in a sentence for those who do not see it.
pub fn description(life: &LifeView) -> String {
    let states: Vec<String> = life.states.iter().map(in_words).collect();
    let claims = life.refusals.iter().filter(|it| it.is_claim).count();
    let denials = life.refusals.len() - claims;
    let claims = match claims {
        0 => String::new(),
        claims => format!(", {} of control", counted(claims as u64, "claim")),
    };
    format!(
        "{}. {}, {}, {}, {}{claims}.",
        states.join(", then "),
        counted(life.leases.len() as u64, "lease"),
        counted(life.beats.len() as u64, "heartbeat"),
        counted(life.actions.len() as u64, "action"),
        counted(denials as u64, "refusal"),
    )
}

fn in_words(state: &StateSpan) -> String {
    let name = state.state.map_or("unknown", AgentState::as_str);
    format!("{name} for {}", span(state.to_ms - state.from_ms))
}

struct Drawing {
    out: String,
    from_ms: u64,
    to_ms: u64,
}

/// A stretch of the axis of time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Stretch {
    x: u64,
    width: u64,
}

impl Drawing {
    fn new(life: &LifeView) -> Self {
        Self {
            out: String::new(),
            from_ms: life.from_ms,
            to_ms: life.to_ms,
        }
    }

    fn draw(&mut self, life: &LifeView) -> fmt::Result {
        let height = TOP + LANE * LANES.len() as u64 + 2 * LANE;
        write!(
            self.out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"life\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
             aria-labelledby=\"life-title life-description\" font-family=\"system-ui, sans-serif\" font-size=\"12\">"
        )?;
        let (from, to) = (utc(life.from_ms), utc(life.to_ms));
        let title = format!("{} from {from} to {to}", life.agent);
        writeln!(
            self.out,
            "<title id=\"life-title\">{}</title>",
            escaped(&title)
        )?;
        let told = escaped(&description(life)).to_string();
        writeln!(self.out, "<desc id=\"life-description\">{told}</desc>")?;
        self.axis()?;
        self.lanes()?;
        self.states(life)?;
        self.leases(life)?;
        self.beats(life)?;
        self.actions(life)?;
        self.refusals(life)?;
        self.out.write_str("</svg>")
    }

    fn axis(&mut self) -> fmt::Result {
        let bottom = TOP + LANE * LANES.len() as u64;
        let step_ms = step_ms(self.to_ms - self.from_ms);
        let mut at_ms = self.from_ms.next_multiple_of(step_ms);
        while at_ms <= self.to_ms {
            let (x, y) = (self.x(at_ms), bottom + 16);
            writeln!(
                self.out,
                "<path class=\"tick\" d=\"M{x} {TOP}V{bottom}\" stroke=\"#8a8477\" stroke-opacity=\"0.35\"/>\
                 <text class=\"when\" x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" fill=\"currentColor\">{}</text>",
                tick_label(at_ms, step_ms)
            )?;
            at_ms += step_ms;
        }
        let date = utc(self.from_ms);
        let date = date.get(..10).unwrap_or_default();
        let y = bottom + 32;
        writeln!(
            self.out,
            "<text class=\"when\" x=\"{LEFT}\" y=\"{y}\" fill=\"currentColor\">from {date}, UTC</text>"
        )
    }

    fn lanes(&mut self) -> fmt::Result {
        for lane in LANES {
            let (y, x) = (middle(lane), LEFT - 10);
            let text = y + 4;
            writeln!(
                self.out,
                "<path class=\"lane\" d=\"M{LEFT} {y}H{RIGHT}\" stroke=\"#8a8477\" stroke-opacity=\"0.35\"/>\
                 <text x=\"{x}\" y=\"{text}\" text-anchor=\"end\" fill=\"currentColor\">{}</text>",
                lane.name()
            )?;
        }
        Ok(())
    }

    fn states(&mut self, life: &LifeView) -> fmt::Result {
        let mut before: Option<Lane> = None;
        for told in &life.states {
            let Some(state) = told.state else {
                before = None;
                continue;
            };
            let (lane, at) = (Lane::State(state), self.stretch(told.from_ms, told.to_ms));
            if let Some(before) = before.filter(|before| *before != lane) {
                let (x, from, to) = (at.x, middle(before), middle(lane));
                writeln!(
                    self.out,
                    "<path class=\"turn\" d=\"M{x} {from}V{to}\" stroke=\"currentColor\"/>"
                )?;
            }
            let cause = told.cause.as_ref();
            let why = cause.map(|cause| format!(", {}", cause.in_words()));
            let title = format!("{}{}", in_words(told), why.unwrap_or_default());
            self.bar(lane, state.as_str(), colour(state), at, &title)?;
            before = Some(lane);
        }
        Ok(())
    }

    fn leases(&mut self, life: &LifeView) -> fmt::Result {
        for lease in &life.leases {
            let at = self.stretch(lease.from_ms, lease.to_ms);
            self.bar(Lane::Lease, "lease", "#57534b", at, &of_lease(lease))?;
            for renewal in lease
                .renewals
                .iter()
                .filter(|it| within(life, it.received_ms))
            {
                let title = format!("renewed until {}", utc(renewal.expires_ms));
                self.tick(Lane::Lease, "renewal", renewal.received_ms, &title)?;
            }
            let ended = lease
                .ended
                .as_ref()
                .filter(|end| within(life, end.received_ms));
            if let Some(end) = ended {
                let title = format!("entry {}", end.index);
                self.cross(Lane::Lease, "ended", end.received_ms, &title)?;
            }
        }
        Ok(())
    }

    fn beats(&mut self, life: &LifeView) -> fmt::Result {
        let mut drawn = BTreeSet::new();
        for beat in &life.beats {
            if drawn.insert(self.x(beat.received_ms)) {
                let title = format!("progress {}, entry {}", beat.progress, beat.index);
                self.tick(Lane::Beats, "beat", beat.received_ms, &title)?;
            }
        }
        Ok(())
    }

    fn actions(&mut self, life: &LifeView) -> fmt::Result {
        let mut drawn = BTreeSet::new();
        for action in &life.actions {
            let result = action.result.as_ref();
            let ends_ms = result.map_or(self.to_ms, |result| result.received_ms);
            let at = self.stretch(action.received_ms, ends_ms);
            let status = result.map(|result| result.status);
            let class = status.map_or("open", Status::as_str);
            if drawn.insert((at, class)) {
                self.action(action, status, at)?;
            }
        }
        Ok(())
    }

    /// What went well is a full bar, what is not over an empty one, and what went wrong has a cross at its end.
    fn action(&mut self, action: &Action, status: Option<Status>, at: Stretch) -> fmt::Result {
        let how = status.map_or("no result yet", Status::as_str);
        let title = format!("{}: {how}, entry {}", action.scope, action.index);
        let (class, fill) = match status {
            None => ("action open", "none"),
            Some(Status::Ok) => ("action ok", "#14613a"),
            Some(_) => ("action failed", "#a01f22"),
        };
        self.bar(Lane::Actions, class, fill, at, &title)?;
        let result = action.result.as_ref();
        match result.filter(|result| result.status != Status::Ok) {
            Some(result) => self.cross(Lane::Actions, "failed", result.received_ms, &title),
            None => Ok(()),
        }
    }

    fn refusals(&mut self, life: &LifeView) -> fmt::Result {
        let mut drawn = BTreeSet::new();
        for refusal in &life.refusals {
            if drawn.insert(self.x(refusal.received_ms)) {
                let (what, code) = (refusal.what(), refusal.code);
                let title = format!("{what}: {code}, entry {}", refusal.index);
                self.cross(Lane::Refused, "refused", refusal.received_ms, &title)?;
            }
        }
        Ok(())
    }

    fn bar(
        &mut self,
        lane: Lane,
        class: &str,
        fill: &str,
        at: Stretch,
        title: &str,
    ) -> fmt::Result {
        let (y, Stretch { x, width }) = (middle(lane) - BAR / 2, at);
        writeln!(
            self.out,
            "<rect class=\"bar {class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BAR}\" fill=\"{fill}\" \
             stroke=\"currentColor\" stroke-width=\"0.5\"><title>{}</title></rect>",
            escaped(title)
        )
    }

    fn tick(&mut self, lane: Lane, class: &str, at_ms: u64, title: &str) -> fmt::Result {
        let (x, y) = (self.x(at_ms), middle(lane) - BAR / 2);
        writeln!(
            self.out,
            "<path class=\"mark {class}\" d=\"M{x} {y}v{BAR}\" stroke=\"currentColor\" stroke-width=\"1.5\">\
             <title>{}</title></path>",
            escaped(title)
        )
    }

    fn cross(&mut self, lane: Lane, class: &str, at_ms: u64, title: &str) -> fmt::Result {
        let (x, y) = (self.x(at_ms), middle(lane));
        let (left, top) = (x - 4, y - 4);
        writeln!(
            self.out,
            "<path class=\"mark {class}\" d=\"M{left} {top}l8 8m0 -8l-8 8\" stroke=\"currentColor\" stroke-width=\"2\">\
             <title>{}</title></path>",
            escaped(title)
        )
    }

    fn x(&self, at_ms: u64) -> u64 {
        let all = (self.to_ms - self.from_ms).max(1);
        let part = at_ms.clamp(self.from_ms, self.to_ms) - self.from_ms;
        // In 128 bits the product of any two of 64 fits; the quotient is at most the width.
        let x = u128::from(part) * u128::from(RIGHT - LEFT) / u128::from(all);
        LEFT + u64::try_from(x).unwrap_or(RIGHT - LEFT)
    }

    fn stretch(&self, from_ms: u64, to_ms: u64) -> Stretch {
        let x = self.x(from_ms).min(RIGHT - THINNEST);
        let width = self.x(to_ms).saturating_sub(x).max(THINNEST);
        Stretch { x, width }
    }
}

impl Lane {
    fn name(self) -> &'static str {
        match self {
            Self::State(state) => state.as_str(),
            Self::Lease => "lease",
            Self::Beats => "heartbeats",
            Self::Actions => "actions",
            Self::Refused => "refused",
        }
    }
}

fn within(life: &LifeView, at_ms: u64) -> bool {
    (life.from_ms..=life.to_ms).contains(&at_ms)
}

/// The height at which a lane runs.
fn middle(lane: Lane) -> u64 {
    let at = LANES.iter().position(|other| *other == lane);
    TOP + LANE / 2 + LANE * at.unwrap_or_default() as u64
}

/// The colour of a state where no style sheet says another.
pub const fn colour(state: AgentState) -> &'static str {
    match state {
        AgentState::Running => "#14613a",
        AgentState::Degraded => "#b07400",
        AgentState::Autohealing => "#1c4f80",
        AgentState::Quarantined => "#a01f22",
        AgentState::Stopped => "#8a8477",
    }
}

fn of_lease(lease: &LeaseSpan) -> String {
    let allow: Vec<String> = lease.allow.iter().map(ToString::to_string).collect();
    format!("{}, until {}", allow.join(", "), utc(lease.to_ms))
}

/// How far apart the marks on an axis of time are, so that there are few and they are at round times.
pub fn step_ms(all_ms: u64) -> u64 {
    let fits = |step_ms: &u64| all_ms / step_ms < MAX_TICKS;
    let longest = || (all_ms / MAX_TICKS).max(1);
    STEPS_MS.into_iter().find(fits).unwrap_or_else(longest)
}

/// The label of a mark: the time of day, or the day where one begins or where days are what is counted.
pub fn tick_label(at_ms: u64, step_ms: u64) -> String {
    let text = utc(at_ms);
    let range = match step_ms {
        _ if at_ms.is_multiple_of(DAY_MS) => 5..10,
        _ if step_ms < 60_000 => 11..19,
        _ => 11..16,
    };
    text.get(range).unwrap_or(&text).to_owned()
}

/// Text as it is in an element or an attribute (XML 1.0 §2.4), with nothing hidden in it.
pub fn escaped(text: &str) -> impl fmt::Display {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::life::Life;

    #[test]
    fn marks_of_time_are_few_and_round() {
        for (all_ms, want_ms) in [
            (1_000, 1_000),
            (HOUR_MS, 10 * 60_000),
            (DAY_MS, 3 * HOUR_MS),
            (7 * DAY_MS, DAY_MS),
            (30 * DAY_MS, 7 * DAY_MS),
        ] {
            assert_eq!(step_ms(all_ms), want_ms, "{all_ms}");
        }
        for all_ms in [0, 1, DAY_MS, u64::MAX] {
            assert!(all_ms / step_ms(all_ms) <= MAX_TICKS, "{all_ms}");
        }
    }

    #[test]
    fn nothing_is_drawn_outside_of_the_picture() {
        let life = Life::of("a".parse().unwrap(), 5_000..9_000).told();
        let drawing = Drawing::new(&life);
        let at: Vec<u64> = [0, 5_000, 7_000, 9_000, u64::MAX]
            .into_iter()
            .map(|ms| drawing.x(ms))
            .collect();
        assert_eq!(at, [LEFT, LEFT, LEFT.midpoint(RIGHT), RIGHT, RIGHT]);
        let last = drawing.stretch(9_000, 9_000);
        assert_eq!((last.x + last.width, last.width), (RIGHT, THINNEST));
    }

    #[test]
    fn text_stays_text() {
        let shown = escaped("<a b=\"c\" d='e'>&\u{202e}").to_string();
        assert_eq!(
            shown,
            "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;⟨U+202E⟩"
        );
    }
}
