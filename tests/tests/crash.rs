//! `kill -9` at random moments under load, ten times in a row on one directory: what was acknowledged stays, and every
//! head that anybody saw is a prefix of every later one. `DRAGONS_KILLS` says how many times instead.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use ledger::digest::RecordHash;
use ledger::key::PrivateKey;
use serde_json::Value;
use tests::{Answer, Service, Signer};
use tlog::checkpoint::{SignedCheckpoint, VerifiedCheckpoint};
use tlog::proof::ProofFile;

/// How many times unless told otherwise.
const ROUNDS: u64 = 10;
const CLIENTS: u64 = 4;

/// How many acknowledgements a round waits for at most before it kills.
const MOST_ACKNOWLEDGED_A_ROUND: u64 = 120;

/// How long behind the last of them it kills at most, in microseconds: some groups later.
const MOST_DELAY_US: u64 = 20_000;

/// What the clients were told.
#[derive(Default)]
struct Acknowledged {
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
    let told = Acknowledged::default();
    let rounds = std::env::var("DRAGONS_KILLS").map_or(ROUNDS, |kills| kills.parse().unwrap());
    for round in 0..rounds {
        let acknowledged = 1 + random() % MOST_ACKNOWLEDGED_A_ROUND;
        let target = told.acknowledged.load(Ordering::SeqCst) + acknowledged;
        told.over.store(false, Ordering::SeqCst);
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (service, signer, told) = (&service, &signer, &told);
                scope.spawn(move || load(service, signer, told, round * CLIENTS + client));
            }
            while told.acknowledged.load(Ordering::SeqCst) < target {
                thread::yield_now();
            }
            // Any moment will do, also one in the middle of a group.
            thread::sleep(Duration::from_micros(random() % MOST_DELAY_US));
            service.signal(rustix::process::Signal::KILL);
            told.over.store(true, Ordering::SeqCst);
        });
        service.wait();
        service.start();
        check(&service, &told);
    }
    let acknowledged = told.acknowledged.load(Ordering::SeqCst);
    assert!(acknowledged >= rounds);
    assert!(service.stop().success());
    let fsck = tests::dragonsd();
    fsck.succeed(["fsck", "--data", service.data().to_str().unwrap()]);
    println!("killed {rounds} times; {acknowledged} acknowledged records are all there");
}

/// A number that is another one each time.
fn random() -> u64 {
    RandomState::new().hash_one(())
}

/// Posts one record after another until the service is gone.
fn load(service: &Service, signer: &Signer, told: &Acknowledged, client: u64) {
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

fn check(service: &Service, told: &Acknowledged) {
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
