//! Lies about the state in front of a pulse: in the pulse, in a pack that begins there, in a trust, in a proof of one agent.

use ledger::codes::{Code, Party};
use ledger::govern::{PlacedEntry, State};
use ledger::pack::{Entry, Line};
use ledger::record::{StateAt, StateRoot};
use ledger::state_proof::StateProof;
use ledger::verify::{CheckId, Trust, Verdict};
use proving::Log;
use tlog::LeafIndex;

use super::scene::Scene;
use super::{Group, Layer, Shelf};

/// A log, and its state in front of one of its pulses.
struct Behind {
    log: Log,
    state: State,
}

pub(super) fn fill(shelf: &mut Shelf) {
    let behind = Behind::made();
    packs(shelf, &behind);
    entries(shelf, &behind);
    trusts(shelf, &behind);
    proofs(shelf, &behind);
    invented(shelf);
}

/// The trust of a log, and what its pulse says of an agent that runs under a lease.
pub(crate) fn sound_proof() -> (Trust, String) {
    let behind = Behind::made();
    (behind.log.trust(), behind.proof("a").to_string())
}

/// A state, and what others did behind it.
struct Accused {
    /// The pack that begins there.
    pack: String,
    /// The same without its last leaf.
    cut: String,
    /// A trust that names the state.
    known: String,
    /// One that does not.
    unknown: String,
}

impl Accused {
    /// An agent does behind a pulse what its lease does not allow, and control does not do what it has to.
    fn made(skips_a_number: bool) -> Self {
        let mut scene = Scene::begin();
        scene.pass(3, true);
        let state = scene.log.state().clone();
        scene.pass(1, true);
        let goal = scene.goal();
        scene.intent(goal, "write:repo/secrets/key");
        if skips_a_number {
            scene.beat_with(|beat| beat.chain.seq += 1);
        }
        scene.now += 5 * super::scene::MINUTE;
        scene.pulse();
        let behind = Behind {
            log: scene.log,
            state,
        };
        let (from, to) = (behind.state.size(), behind.log.size().get() - 1);
        Self {
            pack: behind.whole(),
            cut: behind.pack_to(from, to, &behind.brought()),
            known: behind.trust(Some(behind.at())),
            unknown: behind.trust(None),
        }
    }
}

/// Who has the log's key can make up a state, the keys in it and what they sign: nothing behind one that the trust does not
/// name shows what anybody did.
fn invented(shelf: &mut Shelf) {
    let accused = Accused::made(true);
    let by = |party| Group::by(Layer::Records, CheckId::Chains, party);
    let code = Code::SequenceGap;
    let Accused {
        pack,
        cut,
        known,
        unknown,
    } = &accused;
    for (name, trust, party, pack) in [
        ("state-known-accuses", known, Party::Agent, pack),
        ("state-known-accuses-also-cut", known, Party::Agent, cut),
        (
            "state-unknown-accuses-nobody",
            unknown,
            Party::Unknown,
            pack,
        ),
        ("state-unknown-and-cut", unknown, Party::Unknown, cut),
    ] {
        shelf.lie_to(trust, by(party), name, code, pack.clone());
    }
    let Accused { pack, unknown, .. } = Accused::made(false);
    let verdict = Verdict::Incomplete;
    let name = "state-unknown-and-breaches";
    shelf.fits_at(Layer::Records, &unknown, name, verdict, pack);
}

impl Behind {
    fn made() -> Self {
        let mut scene = Scene::begin();
        scene.pass(3, true);
        let state = scene.log.state().clone();
        scene.pass(3, true);
        let log = scene.log;
        Self { log, state }
    }

    fn at(&self) -> StateAt {
        self.state.at()
    }

    fn trust(&self, from: Option<StateAt>) -> String {
        let trust = self.log.trust();
        Trust { from, ..trust }.to_json()
    }

    /// The lines that bring the state.
    fn brought(&self) -> Vec<String> {
        let entries = self.state.tree().entries().map(Line::StateEntry);
        let lines = std::iter::once(Line::State(self.at())).chain(entries);
        lines.map(|line| line.to_string()).collect()
    }

    /// All leaves from an index on, and these lines in front of their proof.
    fn pack(&self, from: u64, brought: &[String]) -> String {
        self.pack_to(from, self.log.size().get(), brought)
    }

    /// As [`Self::pack`], up to an index, under the newest head.
    fn pack_to(&self, from: u64, to: u64, brought: &[String]) -> String {
        let signed = self.log.checkpoint(self.log.size());
        let mut lines: Vec<String> = self.log.pack_lines(from, to, &signed).collect();
        lines.splice(2..2, brought.iter().cloned());
        lines.concat()
    }

    fn whole(&self) -> String {
        self.pack(self.state.size(), &self.brought())
    }

    /// What the pulse says about an agent.
    fn proof(&self, agent: &str) -> StateProof {
        let agent = agent.parse().expect("a name");
        let tree = self.state.tree();
        let mut entries = tree.prove_agent(&agent);
        entries.extend(tree.prove_lease_of(&self.state, &agent));
        let index = LeafIndex::new(self.state.size());
        self.proof_of(index, |proof| {
            proof.agent = agent;
            proof.entries = entries;
        })
    }

    fn proof_of(&self, index: LeafIndex, change: impl FnOnce(&mut StateProof)) -> StateProof {
        let at = usize::try_from(index.get()).expect("an index in memory");
        let leaf = self.log.leaves()[at].bytes.clone();
        let mut proof = StateProof {
            agent: "a".parse().expect("a name"),
            checkpoint: Box::new(self.log.checkpoint(self.log.size())),
            inclusion: self.log.inclusion(index),
            pulse: Entry { index, leaf },
            branches: self.state.tree().branches(),
            entries: Vec::new(),
        };
        change(&mut proof);
        proof
    }
}

/// What is sound: as much as the trust names, and no more.
fn packs(shelf: &mut Shelf, behind: &Behind) {
    let (known, unknown) = (behind.trust(Some(behind.at())), behind.trust(None));
    let whole = behind.whole();
    shelf.fits(&known, "state-known", Verdict::Verified, whole.clone());
    shelf.fits(&unknown, "state-unknown", Verdict::Incomplete, whole);
    let bare = behind.pack(behind.state.size(), &[]);
    shelf.fits(&known, "state-not-there", Verdict::Incomplete, bare);
    let all = behind.pack(0, &[]);
    shelf.fits(&known, "state-met-on-the-way", Verdict::Verified, all);
}

/// Entries that are not those of the state.
fn entries(shelf: &mut Shelf, behind: &Behind) {
    let known = behind.trust(Some(behind.at()));
    let lies = Group::of(Layer::Log, CheckId::Leaves);
    let of_form = Group::of(Layer::Records, CheckId::Leaves);
    let from = behind.state.size();
    let changed = |from: &str, to: &str| -> Vec<String> {
        let lines = behind.brought();
        let changed = lines.iter().map(|line| line.replacen(from, to, 1));
        let changed: Vec<String> = changed.collect();
        assert_ne!(changed, lines, "{from}");
        changed
    };
    let mut left_out = behind.brought();
    left_out.remove(3);
    let mut twice = behind.brought();
    twice.push(twice[twice.len() - 1].clone());
    let mut elsewhere = behind.brought();
    elsewhere.swap(2, 3);
    let size = |size: u64| changed(&format!("\"size\":{from}"), &format!("\"size\":{size}"));
    for (name, brought) in [
        ("a-false-entry", changed("\"epoch\":1,", "\"epoch\":2,")),
        ("an-entry-left-out", left_out),
    ] {
        let pack = behind.pack(from, &brought);
        let name = format!("state-{name}");
        shelf.lie_to(&known, lies, &name, Code::RootMismatch, pack);
    }
    let renamed = changed("{\"entry\":{\"agent\":\"b\"", "{\"entry\":{\"bgent\":\"b\"");
    for (name, brought) in [
        ("an-entry-twice", twice),
        ("entries-out-of-place", elsewhere),
        ("an-entry-of-no-kind", renamed),
        ("of-another-size", size(from + 1)),
        ("no-entries", behind.brought()[..1].to_vec()),
    ] {
        let pack = behind.pack(from, &brought);
        let name = format!("state-{name}");
        let code = match name.as_str() {
            "state-of-another-size" => Code::RootMismatch,
            _ => Code::PackMalformed,
        };
        shelf.lie_to(&known, of_form, &name, code, pack);
    }
    // The leaf behind the pulse is not a pulse.
    let beside = behind.pack(from + 1, &behind.brought());
    shelf.lie_to(
        &known,
        of_form,
        "state-beside-its-pulse",
        Code::PackMalformed,
        beside,
    );
    let order = Group::of(Layer::Log, CheckId::Form);
    let mut lines = behind.brought();
    lines.rotate_left(1);
    let early = behind.pack(from, &lines);
    shelf.lie_to(
        &known,
        order,
        "state-behind-its-entries",
        Code::PackOrder,
        early,
    );
}

/// A trust that names another state than the leaves lead to.
fn trusts(shelf: &mut Shelf, behind: &Behind) {
    let group = Group::of(Layer::Records, CheckId::Leaves);
    let at = behind.at();
    let root = tlog::EMPTY_ROOT;
    let other = StateAt {
        state: StateRoot { root, ..at.state },
        ..at
    };
    let whole = behind.whole();
    let trust = behind.trust(Some(other));
    shelf.lie_to(
        &trust,
        group,
        "state-of-another-root",
        Code::TrustMismatch,
        whole.clone(),
    );
    let all = behind.pack(0, &[]);
    shelf.lie_to(
        &trust,
        group,
        "state-otherwise-on-the-way",
        Code::TrustMismatch,
        all,
    );
    let size = at.size - 1;
    let elsewhere = behind.trust(Some(StateAt { size, ..at }));
    shelf.fits(
        &elsewhere,
        "state-trusted-elsewhere",
        Verdict::Incomplete,
        whole,
    );
}

/// Proofs of one agent, and of one that is not there.
fn proofs(shelf: &mut Shelf, behind: &Behind) {
    let trust = behind.trust(None);
    for (name, agent) in [
        ("state-proof", "a"),
        ("state-proof-without-lease", "b"),
        ("state-proof-of-nobody", "aa"),
        ("state-proof-of-nobody-before", "A"),
        ("state-proof-of-nobody-behind", "c"),
    ] {
        let proof = behind.proof(agent).to_string();
        shelf.fits(&trust, name, Verdict::Verified, proof);
    }
    let opened = Group::by(Layer::Log, CheckId::Disclosures, Party::Producer);
    let of = |agent: &str, change: &dyn Fn(&mut StateProof)| {
        let mut proof = behind.proof(agent);
        change(&mut proof);
        proof.to_string()
    };
    let replace = |entry: &mut PlacedEntry, from: &str, to: &str| {
        let changed = entry.entry.replacen(from, to, 1);
        assert_ne!(changed, entry.entry, "{from}");
        entry.entry = changed;
    };
    let entries = |proof: &StateProof| proof.entries.clone();
    let neighbours = entries(&behind.proof("aa"));
    let [before, after] = neighbours.as_slice() else {
        panic!("an agent on either side");
    };
    for (name, evidence) in [
        (
            "entry",
            of("a", &|it| {
                replace(&mut it.entries[0], "\"epoch\":1", "\"epoch\":2");
            }),
        ),
        ("position", of("b", &|it| it.entries[0].position = 0)),
        (
            "anothers-entry",
            of("a", &|it| it.entries = entries(&behind.proof("b"))),
        ),
        ("no-lease", of("a", &|it| drop(it.entries.pop()))),
        ("no-entry", of("a", &|it| it.entries.clear())),
        (
            "one-neighbour",
            of("aa", &|it| it.entries = vec![before.clone()]),
        ),
        (
            "other-neighbour",
            of("aa", &|it| it.entries = vec![after.clone()]),
        ),
        (
            "neighbours-of-another",
            of("c", &|it| it.entries = neighbours.clone()),
        ),
        ("neighbours-reversed", of("aa", &|it| it.entries.reverse())),
        (
            "there-is-one",
            of("b", &|it| it.entries = vec![before.clone()]),
        ),
        ("branches", of("a", &|it| it.branches.agents.entries += 1)),
    ] {
        let name = format!("state-proof-{name}");
        shelf.lie_to(&trust, opened, &name, Code::DisclosureMismatch, evidence);
    }
    elsewhere(shelf, behind, &trust);
}

/// What is not a pulse, or not in the log.
fn elsewhere(shelf: &mut Shelf, behind: &Behind, trust: &str) {
    let beside = LeafIndex::new(behind.state.size() + 1);
    let entries = behind.proof("a").entries;
    let beat = behind.proof_of(beside, |proof| proof.entries.clone_from(&entries));
    let leaves = Group::by(Layer::Records, CheckId::Leaves, Party::Producer);
    let code = Code::DisclosureMismatch;
    shelf.lie_to(
        trust,
        leaves,
        "state-proof-of-a-beat",
        code,
        beat.to_string(),
    );
    let mut moved = behind.proof("a");
    moved.inclusion = behind.log.inclusion(beside);
    let inclusion = Group::of(Layer::Log, CheckId::Inclusion);
    let code = Code::RootMismatch;
    shelf.lie_to(
        trust,
        inclusion,
        "state-proof-elsewhere",
        code,
        moved.to_string(),
    );
    let form = Group::of(Layer::Log, CheckId::Form);
    let text = behind.proof("a").to_string();
    for (name, evidence) in [
        (
            "spaces",
            text.replacen("\"position\":", "\"position\": ", 1),
        ),
        (
            "another-form",
            text.replacen("state-proof/v1", "state-proof/v2", 1),
        ),
        (
            "cut",
            text.lines()
                .take(4)
                .map(|line| format!("{line}\n"))
                .collect(),
        ),
    ] {
        let name = format!("state-proof-{name}");
        shelf.lie_to(trust, form, &name, Code::PackMalformed, evidence);
    }
}
