//! Logs of any length, made without a service: a charter, then a pulse of the control plane each minute.

use std::io::{self, Write};

use ledger::key::PrivateKey;
use ledger::leaf::Leaf;
use ledger::pack::{Entry, Header, Line, Range, Selection};
use ledger::record::{
    Body, Charter, CharterKey, Limits, Liveness, Mode, Pulse, RULES, Record, Role, SignedRecord,
    Thresholds,
};
use tlog::checkpoint::{self, Checkpoint, Origin, SignedCheckpoint};
use tlog::note::{KeyName, SigningKey};
use tlog::tile::Edge;
use tlog::{LeafIndex, TreeSize, leaf_hash};

use crate::ORIGIN;

const START_MS: u64 = 1_764_000_000_000;
const MINUTE_MS: u64 = 60_000;

/// Writes the pack of a whole log of `count` entries, and gives the trust file that goes with it. The same count gives
/// the same bytes.
///
/// # Errors
/// If it cannot be written.
///
/// # Panics
/// If `count` is 0.
pub fn pack_of_pulses(count: u64, out: &mut impl Write) -> io::Result<String> {
    let log = SigningKey::new(KeyName::parse(ORIGIN).expect("a name"), &[6; 32]);
    let charter = charter(&log);
    let leaves: Vec<String> = (0..count).map(|n| leaf(n, &charter)).collect();
    let mut edge = Edge::new();
    for leaf in &leaves {
        edge.push(leaf_hash(leaf.as_bytes()));
    }
    let size = TreeSize::new(count);
    let range = Range::new(LeafIndex::new(0), LeafIndex::new(count), size).expect("a leaf");
    let header = Header {
        origin: ORIGIN.to_owned(),
        size,
        selection: Selection::Range(range),
        count,
    };
    let origin = Origin::from(log.verifier_key().name().clone());
    let head = checkpoint::sign(&log, &Checkpoint::new(origin, size, edge.root()));
    let head = SignedCheckpoint::parse(&head).expect("a checkpoint");
    write!(out, "{}", Line::Header(header))?;
    write!(out, "{}", Line::Checkpoint(Box::new(head)))?;
    write!(out, "{}", Line::Proof(Vec::new()))?;
    for (index, leaf) in range.indices().zip(leaves) {
        write!(out, "{}", Line::Leaf(Entry { index, leaf }))?;
    }
    let (key, charter) = (log.verifier_key(), charter.hash());
    let policy = format!("log {key}\\nquorum none\\n");
    Ok(format!(
        "{{\"policy\":\"{policy}\",\"charter\":\"{charter}\"}}"
    ))
}

fn leaf(n: u64, charter: &SignedRecord) -> String {
    let received_ms = START_MS + n * MINUTE_MS;
    let record = match n {
        0 => charter.clone(),
        n => pulse(n, charter, received_ms),
    };
    let leaf = Leaf::new(received_ms, record.envelope().clone()).expect("a leaf");
    String::from_utf8(leaf.to_bytes()).expect("JSON is text")
}

fn pulse(n: u64, charter: &SignedRecord, at_ms: u64) -> SignedRecord {
    let body = Body::Pulse(Pulse {
        n,
        agents: 0,
        state: None,
        witnessed: None,
    });
    let log = Some(charter.hash());
    let ext = None;
    let record = Record {
        log,
        at_ms,
        body,
        ext,
    };
    record.sign(&[&key(3)]).expect("a pulse")
}

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

fn charter(log: &SigningKey) -> SignedRecord {
    let holder = |seed, role: Role| CharterKey {
        key: key(seed).public(),
        name: role.as_str().parse().expect("a name"),
        roles: vec![role],
    };
    let charter = Charter {
        version: 1,
        rules: RULES,
        origin: ORIGIN.to_owned(),
        log_keys: vec![log.verifier_key()],
        previous: None,
        mode: Mode::Enforce,
        thresholds: Thresholds::default(),
        keys: vec![
            holder(1, Role::Root),
            holder(2, Role::Operator),
            holder(3, Role::Control),
        ],
        distrusted: vec![],
        limits: Limits::default(),
        liveness: Liveness::default(),
    };
    let record = Record {
        log: None,
        at_ms: START_MS,
        body: Body::Charter(Box::new(charter)),
        ext: None,
    };
    record.sign(&[&key(1)]).expect("a charter")
}
