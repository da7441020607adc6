//! The charter: the first one, its amendments, and what an amendment takes back.

use super::lease::Ended;
use super::state::{CharterInForce, State};
use crate::codes::{Code, Refusal};
use crate::digest::RecordHash;
use crate::envelope::Checked;
use crate::key::KeyId;
use crate::record::{Charter, CheckedRecord, Role};

/// Which operators signed a lease or a manifest, and how many of them it took.
///
/// A key that turns out to have been stolen is *distrusted* by an amendment. What it had signed then
/// stands only if enough others signed too.
#[derive(Clone, Debug)]
pub(super) struct Approval {
    pub(super) operators: Box<[KeyId]>,
    pub(super) threshold: u64,
}

impl Approval {
    pub(super) fn of(charter: &Charter, signatures: &[Checked]) -> Self {
        let ids = signatures.iter().map(|checked| checked.keyid);
        Self {
            operators: ids
                .filter(|id| charter.grants(Role::Operator, id))
                .collect(),
            threshold: charter.thresholds.operator,
        }
    }

    /// Whether enough of its signers are trusted still. What never had enough keeps what it has: it
    /// was a problem when it was logged, and no amendment made it one.
    fn stands(&self, distrusted: &[KeyId]) -> bool {
        let is_lost = |id: &&KeyId| distrusted.contains(id);
        let lost = self.operators.iter().filter(is_lost).count();
        lost == 0 || (self.operators.len() - lost) as u64 >= self.threshold
    }
}

impl State {
    /// The first charter is signed by its own roots, each later one by the roots of the one before
    /// and by its own.
    pub(super) fn admit_charter(
        &self,
        record: &CheckedRecord,
        charter: &Charter,
    ) -> Result<(), Refusal> {
        let before = self.constitution.as_deref();
        let is_root = |id: &KeyId| {
            let was_root = before.is_some_and(|held| held.charter.grants(Role::Root, id));
            was_root || charter.grants(Role::Root, id)
        };
        let signers = self
            .signers(record, is_root)
            .map_err(|refusal| match refusal.code {
                Code::RoleMissing => Code::CharterNotAuthorized.because(refusal.detail),
                _ => refusal,
            })?;
        match before {
            None => is_first(charter)?,
            Some(before) => follows(before, charter)?,
        }
        if let Some(before) = before {
            meets_roots(&before.charter, &signers)?;
        }
        charter.check()?;
        self.keys_stay_what_they_are(charter)?;
        meets_roots(charter, &signers)
    }

    /// A key that was brought as an agent's, a charter's or the log's never becomes one of another kind.
    fn keys_stay_what_they_are(&self, charter: &Charter) -> Result<(), Refusal> {
        let is_agents = |id: &KeyId| {
            let agent = self.owner(id)?;
            Some(format!("{id} is a key of the agent {agent}"))
        };
        let is_logs = |id: &KeyId| {
            self.was_log_key(id)
                .then(|| format!("{id} is a key of the log"))
        };
        let is_charters = |id: &KeyId| {
            self.was_charter_key(id)
                .then(|| format!("{id} is a key of the charter"))
        };
        let mut keys = charter.keys.iter().map(|held| held.key.id());
        let of_people = keys.find_map(|id| is_agents(&id).or_else(|| is_logs(&id)));
        let of_log = || {
            let mut keys = charter.log_key_ids();
            keys.find_map(|id| is_agents(&id).or_else(|| is_charters(&id)))
        };
        let wrong = of_people.or_else(of_log);
        wrong.map_or(Ok(()), |why| Err(Code::CharterInvalid.because(why)))
    }

    /// Ends the leases and manifests that too few operators still support. A lease
    /// ends with the manifest that it names: nobody vouches for whom it was granted to.
    pub(super) fn end_what_is_distrusted(&mut self) {
        let Some(distrusted) = self.charter().map(|charter| charter.distrusted.clone()) else {
            return;
        };
        let fallen = |approval: &Approval| !approval.stands(&distrusted);
        let manifests: Vec<_> = self
            .agents()
            .filter(|agent| fallen(&agent.version.approval))
            .map(|agent| agent.name().clone())
            .collect();
        let leases: Vec<RecordHash> = self
            .leases()
            .filter(|lease| fallen(&lease.approval) || fallen(&lease.version.approval))
            .map(super::LeaseState::hash)
            .collect();
        for agent in manifests {
            self.change_agent(&agent, |agent| agent.is_registered = false);
        }
        for lease in leases {
            self.end_lease(lease, Ended::Distrusted);
        }
    }
}

fn is_first(charter: &Charter) -> Result<(), Refusal> {
    if charter.version != 1 || charter.previous.is_some() {
        return Err(Code::CharterVersion.because("the first charter is version 1 of none"));
    }
    Ok(())
}

/// The origin is the log's name to all who follow it, so it stays.
fn follows(before: &CharterInForce, charter: &Charter) -> Result<(), Refusal> {
    let (got, want) = (charter.version, before.charter.version + 1);
    if got != want || charter.previous != Some(before.hash) {
        let why = format!("version {got}: want {want}, with previous {}", before.hash);
        return Err(Code::CharterVersion.because(why));
    }
    if charter.origin != before.charter.origin {
        let why = format!("the log's origin is {}", before.charter.origin);
        return Err(Code::CharterInvalid.because(why));
    }
    Ok(())
}

fn meets_roots(charter: &Charter, signers: &[KeyId]) -> Result<(), Refusal> {
    let roots = signers.iter().filter(|id| charter.grants(Role::Root, id));
    let (got, want) = (roots.count() as u64, charter.thresholds.root);
    if got < want {
        let why = format!("{got} roots of {want} of version {}", charter.version);
        return Err(Code::CharterNotAuthorized.because(why));
    }
    Ok(())
}
