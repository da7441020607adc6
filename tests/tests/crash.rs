//! `kill -9` under load, ten times in a row: what was acknowledged stays, and every head that
//! anybody saw is a prefix of every later one.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use ledger::digest::RecordHash;
use ledger::key::PrivateKey;
use serde_json::Value;
use tests::{Answer, Service, Signer};
use tlog::checkpoint::{SignedCheckpoint, VerifiedCheckpoint};
use tlog::proof::ProofFile;

const ROUNDS: u64 = 10;
const CLIENTS: u64 = 4;

/// How many acknowledgements a round waits for before it kills.
const ACKNOWLEDGED_A_ROUND: u64 = 60;

/// What the clients were told.
#[derive(Default)]
struct Told {
    indices: Mutex<HashMap<RecordHash, u64>>,
    heads: Mutex<Vec<VerifiedCheckpoint>>,
    acknowledged: AtomicU64,
    over: AtomicBool,
}

#[test]
fn nothing_acknowledged_is_lost_and_no_head_is_taken_back() {
    let mut service = Service::new();
    let signer = service.signer();
    service.log(&signer.registration("a", &PrivateKey::from_seed(&[5; 32])));
    let told = Told::default();
    for round in 0..ROUNDS {
        let target = told.acknowledged.load(Ordering::SeqCst) + ACKNOWLEDGED_A_ROUND;
        told.over.store(false, Ordering::SeqCst);
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (service, signer, told) = (&service, &signer, &told);
                scope.spawn(move || load(service, signer, told, round * CLIENTS + client));
            }
            while told.acknowledged.load(Ordering::SeqCst) < target {
                thread::yield_now();
            }
            service.signal(rustix::process::Signal::KILL);
            told.over.store(true, Ordering::SeqCst);
        });
        service.wait();
        service.start();
        check(&service, &told);
    }
    assert!(told.acknowledged.load(Ordering::SeqCst) >= ROUNDS * ACKNOWLEDGED_A_ROUND);
}

/// Posts one record after another until the service is gone.
fn load(service: &Service, signer: &Signer, told: &Told, client: u64) {
    for n in 0.. {
        if told.over.load(Ordering::SeqCst) {
            return;
        }
        let record = signer.observation("a", &format!("{client}-{n}"));
        let request = service
            .request("POST", "/v1/entries")
            .header("content-type", "application/json");
        let Ok(answer) = Answer::try_of(request.body(record.envelope().to_json())) else {
            return;
        };
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        let proof = ProofFile::parse(answer["proof"].as_str().unwrap()).unwrap();
        let leaf = proof.extra.clone().unwrap();
        let proven = proof.verify(&leaf, &service.policy()).unwrap();
        let head = proven.checkpoint().clone();
        told.indices
            .lock()
            .unwrap()
            .insert(record.hash(), answer["index"].as_u64().unwrap());
        told.heads.lock().unwrap().push(head);
        told.acknowledged.fetch_add(1, Ordering::SeqCst);
    }
}

fn check(service: &Service, told: &Told) {
    for (record, index) in told.indices.lock().unwrap().iter() {
        let found = service.get(&format!("/v1/records/{record}")).json();
        assert_eq!(found["index"].as_u64(), Some(*index), "{record}");
    }
    let newest = service.checkpoint();
    for head in told.heads.lock().unwrap().iter().rev().take(32) {
        let path = format!("/v1/consistency?old={}&new={}", head.size(), newest.size());
        let answer = service.get(&path).json();
        let hash = |hash: &Value| hash.as_str().unwrap().parse().unwrap();
        let proof: Vec<tlog::Hash> = answer["hashes"]
            .as_array()
            .unwrap()
            .iter()
            .map(hash)
            .collect();
        tlog::consistency::verify(
            &proof,
            head.size(),
            head.root(),
            newest.size(),
            newest.root(),
        )
        .unwrap();
    }
    let kept = service.get("/v1/checkpoints?after=0").text();
    for line in kept.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let signed = SignedCheckpoint::parse(row["checkpoint"].as_str().unwrap()).unwrap();
        signed.verify(&service.log_key()).unwrap();
    }
}
