//! A short valid history that another implementation made, replayed byte for byte.
//!
//! `golden.json` holds one record of nearly every kind, signed with known seeds: what is parsed
//! from it must write back to the same bytes, signing must give the same signatures, and every
//! record must be admitted at its time.

use std::collections::BTreeMap;
use std::error::Error;

use ledger::codes::Code;
use ledger::govern::State;
use ledger::key::PrivateKey;
use ledger::leaf::Leaf;
use ledger::record::{AgentState, Body, CheckedRecord, Record, SignedRecord};
use ledger::verify::{Trust, Verdict, verify};
use serde_json::Value;
use tlog::checkpoint::{self, Checkpoint};
use tlog::note::{KeyName, SigningKey};
use tlog::tree::MemoryTree;
use tlog::{LeafIndex, TreeSize, consistency, leaf_hash, subset};

type Outcome = Result<(), Box<dyn Error>>;

struct Golden {
    json: Value,
    keys: BTreeMap<String, PrivateKey>,
}

impl Golden {
    fn load() -> Self {
        Self::read(include_str!("golden.json"))
    }

    /// The history that the model of the rules made.
    fn second() -> Self {
        Self::read(include_str!("golden-2.json"))
    }

    fn read(json: &str) -> Self {
        let json: Value = serde_json::from_str(json).unwrap();
        let key = |(_, seed): (&String, &Value)| {
            let byte = u8::from_str_radix(seed.as_str().unwrap(), 16).unwrap();
            let key = PrivateKey::from_seed(&[byte; 32]);
            (key.public().id().to_string(), key)
        };
        let keys = json["seeds"].as_object().unwrap().iter().map(key).collect();
        Self { json, keys }
    }

    fn records(&self) -> impl Iterator<Item = &Value> {
        self.json["records"].as_array().unwrap().iter()
    }

    fn leaves(&self) -> Vec<Vec<u8>> {
        self.records()
            .map(|record| text(&record["leaf"]).as_bytes().to_vec())
            .collect()
    }

    fn tree(&self) -> MemoryTree {
        self.leaves().iter().map(|leaf| leaf_hash(leaf)).collect()
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn hashes(value: &Value) -> Vec<String> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|hash| text(hash).to_owned())
        .collect()
}

fn printed<T: ToString>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    values.into_iter().map(|value| value.to_string()).collect()
}

fn checked(state: &State, leaf: &Leaf) -> CheckedRecord {
    let signed = SignedRecord::from_envelope(leaf.envelope().clone()).unwrap();
    signed.check(&|id| state.key(id))
}

#[test]
fn every_record_writes_back_and_signs_alike() -> Outcome {
    [Golden::load(), Golden::second()]
        .iter()
        .try_for_each(writes_back)
}

fn writes_back(golden: &Golden) -> Outcome {
    for entry in golden.records() {
        let leaf = Leaf::parse(text(&entry["leaf"]).as_bytes())?;
        let envelope = leaf.envelope();
        let payload = text(&entry["payload"]);
        assert_eq!(envelope.payload(), payload.as_bytes());
        assert_eq!(envelope.kind().as_str(), text(&entry["kind"]));
        assert_eq!(envelope.record_hash().to_string(), text(&entry["record"]));

        let record = Record::parse(envelope.kind(), payload.as_bytes())?;
        assert_eq!(record.to_payload(), payload);
        assert_eq!(leaf.received_ms(), record.at_ms + 5);

        let signer =
            |signature: &ledger::envelope::Signature| &golden.keys[&signature.keyid.to_string()];
        let signers: Vec<&PrivateKey> = envelope.signatures().iter().map(signer).collect();
        let signed = record.sign(&signers)?;
        let again = Leaf::new(leaf.received_ms(), signed.envelope().clone())?;
        assert_eq!(again.to_bytes(), text(&entry["leaf"]).as_bytes());
        assert_eq!(
            leaf_hash(&again.to_bytes()).to_string(),
            text(&entry["leaf_hash"])
        );
    }
    Ok(())
}

/// The state behind a history of which every record is admitted, and every transition was due.
fn state_of(golden: &Golden) -> Result<State, Box<dyn Error>> {
    let mut state = State::new();
    for (index, leaf) in golden.leaves().iter().enumerate() {
        let leaf = Leaf::parse(leaf)?;
        let record = checked(&state, &leaf);
        let due = state.next_duty(leaf.received_ms());
        match &record.record().body {
            Body::Transition(transition) => assert_eq!(due.as_ref(), Some(transition)),
            _ => assert_eq!(due, None, "at {index}"),
        }
        let admitted = state.admit(&record, leaf.received_ms());
        assert_eq!(
            admitted.map(|admission| admission.breach),
            Ok(None),
            "at {index}"
        );
        state.apply(LeafIndex::new(index as u64), leaf.received_ms(), &record);
    }
    Ok(state)
}

#[test]
fn every_record_is_admitted_and_every_transition_was_due() -> Outcome {
    let golden = Golden::load();
    let state = state_of(&golden)?;
    let agent = state.agent(&"reconciler".parse()?).unwrap();
    assert_eq!(agent.state(), AgentState::Stopped);
    assert_eq!(
        (agent.epoch(), agent.next_seq(), agent.transitions()),
        (1, 5, 3)
    );
    assert_eq!(agent.open_goals().count() + agent.open_intents().count(), 0);
    assert_eq!(state.pulses(), 1);
    assert_eq!(
        state.log().unwrap().to_string(),
        text(&golden.json["trust"]["charter"])
    );
    Ok(())
}

/// What the model let in, the rules let in, and the verifier finds nothing wrong with.
#[test]
fn the_models_history_is_verified() -> Outcome {
    let golden = Golden::second();
    let state = state_of(&golden)?;
    let agent = state.agent(&"mender".parse()?).unwrap();
    assert_eq!((agent.state(), agent.epoch()), (AgentState::Stopped, 3));
    assert_eq!(state.charter().unwrap().version, 2);
    let [first, second] = [0, 1].map(|n| text(&golden.json["vkeys"][n]).to_owned());
    let trusting = |keys: &[&str]| -> Trust {
        let logs: String = keys.iter().map(|key| format!("log {key}\n")).collect();
        let charter = text(&golden.json["trust"]["charter"]);
        let policy = format!("{logs}quorum none\n");
        let trust = serde_json::json!({"policy": policy, "charter": charter});
        trust.to_string().parse().unwrap()
    };
    // Whoever has one of the keys has the other by the charters, on either side of the amendment.
    for (pack, trust) in [
        ("pack_amended", trusting(&[&first])),
        ("pack_amended", trusting(&[&second])),
        ("pack", trusting(&[&first, &second])),
        ("pack", trusting(&[&first])),
        ("pack", trusting(&[&second])),
    ] {
        let report = verify(text(&golden.json[pack]).as_bytes(), &trust, None);
        assert_eq!(report.findings, [], "{pack}");
        assert_eq!(report.verdict, Verdict::Verified, "{pack}");
    }
    Ok(())
}

#[test]
fn no_record_is_admitted_without_its_signatures_or_out_of_its_place() -> Outcome {
    let golden = Golden::load();
    let mut state = State::new();
    for (index, leaf) in golden.leaves().iter().enumerate() {
        let leaf = Leaf::parse(leaf)?;
        let record = checked(&state, &leaf);
        let nobody_known = checked(&State::new(), &leaf);
        if index > 0 {
            let refused = State::new()
                .admit(&nobody_known, leaf.received_ms())
                .unwrap_err();
            assert_eq!(refused.code, Code::CharterMissing);
        }
        assert!(state.admit(&record, leaf.received_ms()).is_ok());
        state.apply(LeafIndex::new(index as u64), leaf.received_ms(), &record);
        let own_chain = matches!(record.record().body, Body::Heartbeat(_) | Body::Receipt(_));
        let numbered = matches!(record.record().body, Body::Transition(_) | Body::Pulse(_));
        if own_chain || numbered {
            assert!(
                state.admit(&record, leaf.received_ms()).is_err(),
                "{index} twice"
            );
        }
    }
    Ok(())
}

#[test]
fn the_tree_is_the_same() -> Outcome {
    let golden = Golden::load();
    let tree = golden.tree();
    for row in golden.json["roots"].as_array().unwrap() {
        let size = TreeSize::new(row["size"].as_u64().unwrap());
        let root = tlog::tree::root(size, &tree)?;
        assert_eq!(root.to_string(), text(&row["root"]));
    }
    let size = tree.size();
    let proof = consistency::prove(TreeSize::new(5), size, &tree)?;
    assert_eq!(printed(&proof), hashes(&golden.json["consistency_5_to_16"]));
    let chosen = [3, 7, 8].map(LeafIndex::new);
    let proof = subset::prove(chosen, size, &tree)?;
    assert_eq!(printed(&proof), hashes(&golden.json["subset_3_7_8"]));
    Ok(())
}

#[test]
fn the_checkpoint_is_the_same() -> Outcome {
    let golden = Golden::load();
    let tree = golden.tree();
    let name = KeyName::parse("example.com/workledger")?;
    let key = SigningKey::new(name.clone(), &[6; 32]);
    assert_eq!(key.verifier_key().to_string(), text(&golden.json["vkey"]));
    let body = Checkpoint::new(name.into(), tree.size(), tree.root());
    assert_eq!(
        checkpoint::sign(&key, &body),
        text(&golden.json["checkpoint"])
    );
    Ok(())
}
