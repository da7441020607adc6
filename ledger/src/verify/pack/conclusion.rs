//! The conclusion about a pack, once all of it was read.

use tlog::checkpoint::VerifiedCheckpoint;
use tlog::{Hash, ProofError, consistency, subset};

use super::coverage::Coverage;
use super::{Head, Pack};
use crate::codes::{Code, Party, Refusal};
use crate::pack::{Earlier, Membership};
use crate::verify::causes::with_causes;
use crate::verify::fault;
use crate::verify::freshness;
use crate::verify::head::{Signers, check_checkpoint, inclusion_refusal};
use crate::verify::log_keys::LogKeys;
use crate::verify::paths::Paths;
use crate::verify::report::{CheckId, Report};
use crate::verify::trust::Trust;

/// Why what needs all of a pack is not checked.
const NOT_WHOLE: &str = "the pack is not what it says it holds";

/// Why what the leaves say is not held against anybody.
const NOT_PROVEN: &str = "the leaves are not shown to be in the log";

/// Why nothing is replayed.
const NO_CHARTER: &str = "the charter that the trust names is not there";

impl Pack {
    pub(super) fn finish(
        mut self,
        end: Result<(), Refusal>,
        trust: &Trust,
        now_ms: Option<u64>,
    ) -> (Report, Option<Paths>) {
        let is_whole = end.is_ok();
        let membership = self.membership.take();
        let end = end.and_then(|()| membership.map_or(Ok(()), Membership::finish));
        self.draft.aside.lacks_entries = self.coverage().lacks_entries();
        self.conclude_form(end);
        self.check_trusted_state(self.first().saturating_add(self.leaves), trust);
        let head = self.conclude_head(trust, is_whole);
        let is_proven = self.conclude_inclusion(head.as_ref(), is_whole);
        let rest = self.replay.as_mut().map(|replay| replay.finish());
        self.take_found(rest);
        let is_clock_wrong = is_proven && self.is_clock_wrong(trust);
        if is_proven {
            self.speak_of();
        } else {
            self.tallies.lay_to_nobody_here();
        }
        if let Coverage::Continued { .. } = self.coverage() {
            self.draft.aside.rests_on_a_state = true;
            self.tallies.lay_to_the_log_alone();
        }
        let why_not = match (is_whole, is_proven) {
            (false, _) => Some(NOT_WHOLE),
            (true, false) => Some(NOT_PROVEN),
            (true, true) => None,
        };
        self.conclude_consistency(head.as_ref(), is_proven, trust);
        self.conclude_records(why_not.filter(|_| !is_whole));
        let why_not = self.why_not_judged(why_not);
        self.conclude_replay(why_not.as_deref());
        if let (None, Some(replay)) = (&why_not, &self.replay) {
            self.draft.state = Some(replay.state().at());
        }
        self.conclude_freshness(why_not, is_clock_wrong, now_ms);
        let why_not = (!is_whole).then_some(NOT_WHOLE);
        std::mem::take(&mut self.disclosures).conclude(&mut self.draft, why_not);
        let report = self.draft.finish(|check| match check {
            CheckId::Witnesses => trust.policy.needs_witnesses(),
            CheckId::Consistency | CheckId::Disclosures | CheckId::Freshness => false,
            _ => true,
        });
        (report, self.paths)
    }

    fn conclude_form(&mut self, end: Result<(), Refusal>) {
        match (end, &self.header) {
            (Err(refusal), _) => self.draft.fail(CheckId::Form, refusal, None, None),
            (Ok(()), Some(header)) => {
                let detail = format!("a pack of {}", header.selection);
                self.draft.pass(CheckId::Form, detail);
            }
            (Ok(()), None) => self.draft.skip(CheckId::Form, "there is no header"),
        }
    }

    fn conclude_head(&mut self, trust: &Trust, is_whole: bool) -> Option<VerifiedCheckpoint> {
        match std::mem::take(&mut self.checkpoint) {
            Head::Held(signed) | Head::Refused(signed) => {
                let mut draft = std::mem::take(&mut self.draft);
                let is_proven = is_whole && self.leads_to(&signed.unverified().root);
                let signers = self.signers(trust, is_proven);
                let head = check_checkpoint(&mut draft, &signed, signers);
                self.draft = draft;
                head
            }
            Head::Absent => {
                for check in [CheckId::Checkpoint, CheckId::Witnesses] {
                    self.draft.skip(check, "the evidence cannot be read");
                }
                None
            }
        }
    }

    /// Whether all leaves are in a tree of this root, whoever has signed it.
    fn leads_to(&self, root: &Hash) -> bool {
        let shown = self.inclusion.clone().and_then(Result::ok);
        let shown = shown.and_then(|verifier| verifier.finish().ok());
        shown.as_ref() == Some(root)
    }

    /// Whose signatures count, as far as the charters are there. That a key was taken away and did not come back, only a
    /// pack shows that has all of them, in their places in the tree: one of the whole log, or one that claims to.
    fn signers<'a>(&'a self, trust: &'a Trust, is_proven: bool) -> Signers<'a> {
        let has_all = is_proven && self.beyond().is_none();
        Signers {
            trust,
            charters: self.log_keys(),
            strays: match self.coverage() {
                Coverage::Whole if has_all => Some(Party::Log),
                Coverage::Part if has_all => Some(Party::Producer),
                _ => None,
            },
        }
    }

    fn log_keys(&self) -> &LogKeys {
        match &self.replay {
            Some(replay) => replay.log_keys(),
            None => self.keyring.log_keys(),
        }
    }

    fn beyond(&self) -> Option<&str> {
        self.replay.as_ref().and_then(|replay| replay.beyond())
    }

    /// Whether all leaves are in the tree of the checkpoint.
    fn conclude_inclusion(&mut self, head: Option<&VerifiedCheckpoint>, is_whole: bool) -> bool {
        let (Some(inclusion), Some(checkpoint)) = (self.inclusion.take(), head) else {
            let why = "there is no checkpoint that the log signed";
            self.draft.skip(CheckId::Inclusion, why);
            return false;
        };
        if !is_whole {
            self.draft.skip(CheckId::Inclusion, NOT_WHOLE);
            return false;
        }
        let (size, root) = (checkpoint.size(), *checkpoint.root());
        let shown = inclusion.and_then(subset::Verifier::finish);
        let shown = shown.and_then(|computed| match computed == root {
            true => Ok(()),
            false => Err(ProofError::RootMismatch {
                size,
                computed,
                expected: root,
            }),
        });
        match shown {
            Ok(()) => {
                let rest = match (self.coverage(), self.coverage().missing()) {
                    (_, None) if self.first() > 0 => {
                        format!(
                            ", and none is left out behind the state at {}",
                            self.first()
                        )
                    }
                    (Coverage::Whole, _) | (_, None) => ", and none is left out".to_owned(),
                    (Coverage::Part, Some(missing)) => format!("; {missing}"),
                    (_, Some(missing)) => {
                        format!(", and none between them is left out; {missing}")
                    }
                };
                let detail = format!("every entry here is in the log of {size} entries{rest}");
                self.draft.pass(CheckId::Inclusion, detail);
                self.paths = self.keeper.take().map(|keeper| keeper.leading_to(root));
                true
            }
            Err(error) => {
                // Where they lead instead is shown as well.
                if let ProofError::RootMismatch { computed, .. } = error {
                    self.paths = self.keeper.take().map(|keeper| keeper.leading_to(computed));
                }
                let refusal = inclusion_refusal(&error);
                self.draft.fail(CheckId::Inclusion, refusal, None, None);
                false
            }
        }
    }

    /// How far the evidence reaches: what is not shown to be in the log says nothing of when.
    fn speak_of(&mut self) {
        self.draft.as_of.received_ms = self.last.map(|last| last.received_ms);
        if self.coverage().is_from_start() {
            let judged = !matches!(self.coverage(), Coverage::Continued { .. });
            let to = self.first().saturating_add(self.leaves);
            self.draft.as_of.judged_to = judged.then_some(tlog::TreeSize::new(to));
        }
    }

    /// Whether witnesses saw the last leaf before the log says that it received it.
    fn is_clock_wrong(&mut self, trust: &Trust) -> bool {
        if !trust.policy.needs_witnesses() {
            return false;
        }
        let witnessed_ms = self.draft.as_of.witnessed_ms;
        let wrong = self
            .last
            .map(|last| freshness::check_clock(last, witnessed_ms));
        match wrong {
            Some(Err(finding)) => {
                self.tallies.push(CheckId::Leaves, finding);
                true
            }
            _ => false,
        }
    }

    /// The checkpoint against an earlier one, and against those that agents and witnesses saw.
    fn conclude_consistency(
        &mut self,
        head: Option<&VerifiedCheckpoint>,
        is_proven: bool,
        trust: &Trust,
    ) {
        let id = CheckId::Consistency;
        let heads = self.replay.as_ref().map_or(0, |replay| replay.heads());
        let unjudged = self.replay.as_ref().map_or(0, |replay| replay.earlier());
        let earlier = self.earlier.take().zip(head).map(|(earlier, newer)| {
            let signers = self.signers(trust, is_proven);
            self.check_earlier(&earlier, newer, is_proven, signers)
        });
        match earlier {
            Some(Err((refusal, by))) => self.draft.fail_by(id, refusal, by, None),
            _ if self.tallies.fail(&mut self.draft, id) => {}
            Some(Ok(detail)) => self.draft.pass(id, detail),
            // Whose heads they are, and whose keys signed them, a state that nobody vouches for does not show.
            None if heads > 0 && is_proven && !self.draft.aside.rests_on_a_state => {
                let mut detail =
                    format!("{heads} heads that agents or witnesses saw are of this log");
                if unjudged > 0 {
                    detail += &format!(
                        "; {unjudged} heads and references from before the state are not judged"
                    );
                }
                self.draft.pass(id, detail);
            }
            None => self
                .draft
                .skip(id, "there is no other head to compare it with"),
        }
    }

    /// The log itself must have signed it. Its witnesses do not matter: the newer checkpoint has those that count.
    ///
    /// The log is to blame only if its own leaves contradict it. Hashes that lead nowhere anybody can have changed.
    fn check_earlier(
        &self,
        earlier: &Earlier,
        newer: &VerifiedCheckpoint,
        is_proven: bool,
        signers: Signers<'_>,
    ) -> Result<String, (Refusal, Party)> {
        let by_form = |refusal: Refusal| {
            let by = fault::of_evidence(refusal.code);
            (refusal, by)
        };
        let origin = &earlier.checkpoint.unverified().origin;
        if origin != newer.origin() {
            let why = format!("the earlier one is of {origin}, not {}", newer.origin());
            return Err(by_form(Code::OriginUnknown.because(why)));
        }
        let older = signers.verify(&earlier.checkpoint)?;
        let (old, new) = (older.size(), newer.size());
        let here = self.replay.as_ref().filter(|_| is_proven);
        let here = here.and_then(|replay| replay.root(old));
        if let Some(here) = here.filter(|here| here != older.root()) {
            let why = format!("root {} at size {old}, here it is {here}", older.root());
            return Err(by_form(Code::Inconsistent.because(why)));
        }
        let shown = consistency::verify(&earlier.consistency, old, older.root(), new, newer.root());
        shown.map_err(|error| match error {
            ProofError::RootMismatch { size, .. } if size == old => {
                by_form(Code::Inconsistent.because(with_causes(&error)))
            }
            _ => by_form(inclusion_refusal(&error)),
        })?;
        Ok(format!("the tree of {new} extends that of {old}"))
    }

    /// Leaves and signatures. What was found to be wrong is wrong, also in a pack that was not read to its end; all
    /// else needs all of it.
    fn conclude_records(&mut self, why_not: Option<&str>) {
        let count = self.leaves;
        let detail = format!("{count} entries, records of this log");
        self.conclude(CheckId::Leaves, why_not, detail);
        let replay = self.replay.as_ref();
        let has_keys = replay.is_some_and(|replay| replay.has_charter())
            || self.brings_authority() && self.keyring.has_charter();
        let is_window = matches!(self.coverage(), Coverage::Window { .. });
        let continued = match self.coverage() {
            Coverage::Continued { .. } => self.coverage().missing(),
            _ => None,
        };
        let why_not = why_not.or(continued.as_deref());
        let why_not = match (has_keys, is_window) {
            (true, _) => why_not,
            (false, false) => Some(NO_CHARTER),
            (false, true) => Some("the keys that count stand in records before these"),
        };
        let detail = format!("{count} entries, signed by keys that the charter leads to");
        self.conclude(CheckId::Signatures, why_not, detail);
    }

    /// Why nobody is judged as a whole, if nobody is.
    fn why_not_judged(&self, why_not: Option<&str>) -> Option<String> {
        let has_charter = self.replay.as_ref().is_some_and(|it| it.has_charter());
        let owned = ToOwned::to_owned;
        match (self.coverage(), has_charter) {
            (Coverage::Part | Coverage::Window { .. }, _) => self.coverage().missing(),
            (_, false) => Some(why_not.unwrap_or(NO_CHARTER).to_owned()),
            (coverage, true) => why_not
                .map(owned)
                .or_else(|| self.beyond().map(owned))
                .or_else(|| coverage.missing()),
        }
    }

    /// What the rules say of everybody.
    fn conclude_replay(&mut self, why_not: Option<&str>) {
        for (id, detail) in [
            (
                CheckId::Chains,
                "the records of each agent follow one another without a gap",
            ),
            (
                CheckId::Authority,
                "everybody was allowed to do what they did",
            ),
            (
                CheckId::Liveness,
                "what was due was logged in time, and every change of state has its cause",
            ),
            (CheckId::Outcomes, "what was begun was finished in its time"),
        ] {
            self.conclude(id, why_not, detail.to_owned());
        }
    }

    fn conclude_freshness(
        &mut self,
        why_not: Option<String>,
        is_clock_wrong: bool,
        now_ms: Option<u64>,
    ) {
        let id = CheckId::Freshness;
        if is_clock_wrong {
            let why = "the log's time contradicts its witnesses";
            return self.draft.fail_for(id, why);
        }
        match (why_not, &self.replay, self.last) {
            (Some(why), ..) => self.draft.skip(id, why),
            (None, Some(replay), Some(last)) => {
                freshness::conclude(&mut self.draft, now_ms, last, replay.state());
            }
            _ => self.draft.skip(id, NO_CHARTER),
        }
    }

    fn conclude(&mut self, id: CheckId, why_not: Option<&str>, detail: String) {
        if self.tallies.fail(&mut self.draft, id) {
            return;
        }
        match why_not {
            Some(why) => self.draft.skip(id, why),
            None => self.draft.pass(id, detail),
        }
    }
}
