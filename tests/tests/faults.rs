//! Every system call by which the store writes fails in turn: the service ends and signs nothing more, the next start
//! recovers, nothing acknowledged is missing, and no head is contradicted.
//!
//! `DRAGONS_FAULTS=all` tries every fault at every call. Without it each eighth of the many opens fails, in one way, and
//! the whole store is checked behind each kind of fault and not behind each fault; every start reads all of it anyway.

use std::process::Stdio;

use ledger::digest::RecordHash;
use ledger::key::PrivateKey;
use serde_json::Value;
use tests::{Answer, Injection, Service};
use tlog::checkpoint::{SignedCheckpoint, VerifiedCheckpoint};
use tlog::proof::ProofFile;

/// Records of a short run. Each is a group of its own.
const RECORDS: usize = 4;

/// Of how many opens one fails, where not all are tried.
const STRIDE: usize = 8;

const ALL: [&str; 3] = ["error=EIO", "error=ENOSPC", "signal=KILL"];

/// A log on one directory, and what was told of it to anybody.
struct Victim {
    service: Service,
    acknowledged: Vec<(RecordHash, u64)>,
    heads: Vec<VerifiedCheckpoint>,
    runs: usize,
}

/// What came of a short run.
#[derive(Debug, PartialEq, Eq)]
enum Run {
    /// It went through, and stopped when it was told to.
    Through,
    /// It ended before or while it was used.
    Ended,
}

impl Victim {
    fn new() -> Self {
        let mut service = Service::new();
        let key = PrivateKey::from_seed(&[5; 32]);
        service.log(&service.signer().registration("a", &key));
        assert!(service.stop().success());
        Self {
            service,
            acknowledged: Vec::new(),
            heads: Vec::new(),
            runs: 0,
        }
    }

    /// Posts records one after another until one is not acknowledged.
    fn use_it(&mut self) -> bool {
        for n in 0..RECORDS {
            let id = format!("{} {n}", self.runs);
            let record = self.service.signer().observation("a", &id);
            let request = self.service.request("POST", "/v1/entries");
            let request = request.header("content-type", "application/json");
            let Ok(answer) = Answer::try_of(request.body(record.envelope().to_json())) else {
                return false;
            };
            if answer.status != 200 {
                assert!(answer.status >= 500, "{}", answer.text());
                return false;
            }
            let answer = answer.json();
            let proof = ProofFile::parse(answer["proof"].as_str().unwrap()).unwrap();
            let leaf = proof.extra.clone().unwrap();
            let proven = proof.verify(&leaf, &self.service.policy()).unwrap();
            self.heads.push(proven.checkpoint().clone());
            let index = answer["index"].as_u64().unwrap();
            self.acknowledged.push((record.hash(), index));
        }
        true
    }

    fn end(&mut self, went_through: bool) -> Run {
        let status = match went_through {
            true => self.service.stop(),
            false => self.service.wait(),
        };
        match (went_through, status.success()) {
            (true, true) => Run::Through,
            (false, true) => panic!("it answered with a failure and ended as if nothing was"),
            _ => Run::Ended,
        }
    }

    /// A short run in which the files of the write-ahead log fail, once it is served.
    fn write_ahead(&mut self, injection: Injection) -> (Run, usize) {
        self.runs += 1;
        self.service.start();
        let file = self.service.write_ahead_log();
        let trace = self.service.attach(&injection, &file);
        let went_through = self.use_it();
        let run = self.end(went_through);
        (run, trace.injected())
    }

    /// A short run that is traced from its first call on.
    fn begin_traced(&mut self, injection: Injection) -> (Run, usize) {
        self.runs += 1;
        let (command, trace) = self.service.traced(&injection);
        let run = match self.service.try_start_by(command) {
            Err(status) => {
                assert!(!status.success(), "{injection:?}");
                Run::Ended
            }
            Ok(()) => {
                let went_through = self.use_it();
                self.end(went_through)
            }
        };
        (run, trace.injected())
    }

    /// The next start recovers, and everything that was told holds.
    fn check(&mut self, after: &Injection) {
        self.service.start();
        for (record, index) in self.acknowledged.iter().rev().take(4 * RECORDS) {
            let found = self.service.get(&format!("/v1/records/{record}")).json();
            assert_eq!(found["index"].as_u64(), Some(*index), "{after:?}: {record}");
        }
        let newest = self.service.checkpoint();
        for head in self.heads.iter().rev().take(4 * RECORDS) {
            let (old, new) = (head.size(), newest.size());
            let path = format!("/v1/consistency?old={old}&new={new}");
            let answer = self.service.get(&path).json();
            let hash = |hash: &Value| hash.as_str().unwrap().parse().unwrap();
            let hashes = answer["hashes"].as_array().unwrap();
            let proof: Vec<tlog::Hash> = hashes.iter().map(hash).collect();
            tlog::consistency::verify(&proof, old, head.root(), new, newest.root())
                .unwrap_or_else(|error| panic!("{after:?}: {error}"));
        }
        assert!(self.service.stop().success(), "{after:?}");
        if everything() {
            self.fsck();
        }
    }

    fn fsck(&self) {
        let mut fsck = tests::dragonsd().command();
        let fsck = fsck.args(["fsck", "--data"]).arg(self.service.data());
        assert!(fsck.stdout(Stdio::inherit()).status().unwrap().success());
    }

    /// Everything that was ever told, at the end.
    fn check_all(&mut self) {
        self.service.start();
        for (record, index) in &self.acknowledged {
            let found = self.service.get(&format!("/v1/records/{record}")).json();
            assert_eq!(found["index"].as_u64(), Some(*index), "{record}");
        }
        let kept = self.service.get("/v1/checkpoints?limit=1000").text();
        for line in kept.lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            let signed = SignedCheckpoint::parse(row["checkpoint"].as_str().unwrap()).unwrap();
            signed.verify(&self.service.log_key()).unwrap();
        }
        assert!(self.service.stop().success());
    }
}

fn everything() -> bool {
    std::env::var("DRAGONS_FAULTS").is_ok_and(|which| which == "all")
}

/// Each call of the write-ahead log fails in each way, until a run has no further call.
#[test]
fn every_write_and_sync_of_the_write_ahead_log_fails_and_nothing_is_lost() {
    let mut victim = Victim::new();
    for call in ["write", "fdatasync"] {
        for fault in ALL {
            let mut when = 1;
            loop {
                let injection = Injection { call, fault, when };
                let (run, injected) = victim.write_ahead(injection);
                if injected == 0 {
                    assert_eq!(run, Run::Through, "{injection:?}");
                    break;
                }
                assert_eq!(run, Run::Ended, "{injection:?}: it went on signing");
                victim.check(&injection);
                when += 1;
            }
            assert!(when > RECORDS, "{call} {fault}: a call for each record");
            victim.fsck();
            println!("{call} of the write-ahead log, {fault}: {} calls", when - 1);
        }
    }
    victim.check_all();
    println!(
        "{} acknowledged records are all there",
        victim.acknowledged.len()
    );
}

/// Each call by which files are opened, renamed and synced fails, from the first moment of the process on.
#[test]
fn every_open_rename_and_sync_of_a_file_fails_and_nothing_is_lost() {
    let (opens, stride) = match everything() {
        true => (&ALL[..], 1),
        false => (&ALL[..1], STRIDE),
    };
    let mut victim = Victim::new();
    for (call, faults, stride) in [
        ("rename", &ALL[..], 1),
        ("fsync", &ALL[..], 1),
        ("openat", opens, stride),
    ] {
        for fault in faults {
            let (mut when, mut ended, mut runs) = (1, 0, 0);
            loop {
                let injection = Injection { call, fault, when };
                let (run, injected) = victim.begin_traced(injection);
                if injected == 0 {
                    assert_eq!(run, Run::Through, "{injection:?}");
                    break;
                }
                ended += usize::from(run == Run::Ended);
                runs += 1;
                victim.check(&injection);
                when += stride;
            }
            victim.fsck();
            println!("{call}, {fault}: {runs} calls failed, {ended} of them ended the service");
            assert!(runs > 0, "{call} is never called");
        }
    }
    victim.check_all();
    println!(
        "{} acknowledged records are all there",
        victim.acknowledged.len()
    );
}
