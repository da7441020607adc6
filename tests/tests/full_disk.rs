//! A small file system that is really full: nothing acknowledged is lost, whoever filled it can be stopped, and all goes
//! on once there is room.

use std::process::Command;

use ledger::digest::RecordHash;
use ledger::key::PrivateKey;
use tests::{Answer, Service, SmallDisk, dragonsd};

const MIB: u64 = 1 << 20;

/// A log on a small file system, and who knows its keys. `None` where nobody may mount one.
struct Small {
    // First, so that it ends before the file system goes.
    service: Service,
    disk: SmallDisk,
}

impl Small {
    fn new() -> Option<Self> {
        let mut service = Service::new();
        let key = PrivateKey::from_seed(&[5; 32]);
        service.log(&service.signer().registration("a", &key));
        assert!(service.stop().success());
        let folder = service.scratch("small");
        let disk = match SmallDisk::over(&folder, 48 * MIB) {
            Ok(disk) => disk,
            Err(why) => {
                println!("SKIPPED: no file system can be mounted here: {why}");
                return None;
            }
        };
        disk.run(&format!("cp -a {} data", service.data().display()));
        Some(Self { service, disk })
    }

    fn start(&mut self, reserves: [u64; 2]) {
        let mut serve = dragonsd().command();
        serve.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--metrics",
            "127.0.0.1:0",
        ]);
        serve.arg("--data").arg(self.service.scratch("small/data"));
        let [min_free, reserve] = reserves.map(|bytes| bytes.to_string());
        serve.args(["--min-free-bytes", &min_free, "--reserve-bytes", &reserve]);
        self.service.start_by(self.disk.within(&serve));
    }

    fn fsck(&self) {
        let mut fsck: Command = dragonsd().command();
        fsck.arg("fsck")
            .arg("--data")
            .arg(self.service.scratch("small/data"));
        let output = self.disk.within(&fsck).output().unwrap();
        assert!(output.status.success(), "{}", tests::stderr(&output));
    }

    /// Posts observations until one is not logged: those that were, and the answer to the last, if one came.
    fn fill(&self, name: &str) -> (Vec<RecordHash>, Option<Answer>) {
        let mut acknowledged = Vec::new();
        for n in 0.. {
            let record = self
                .service
                .signer()
                .observation("a", &format!("{name} {n}"));
            let request = self.service.request("POST", "/v1/entries");
            let request = request.header("content-type", "application/json");
            match Answer::try_of(request.body(record.envelope().to_json())) {
                Ok(answer) if answer.status == 200 => acknowledged.push(record.hash()),
                Ok(answer) => return (acknowledged, Some(answer)),
                Err(_) => return (acknowledged, None),
            }
        }
        unreachable!("it is full at some time")
    }
}

#[test]
fn a_write_that_finds_no_room_ends_the_service_and_loses_nothing() {
    let Some(mut small) = Small::new() else {
        return;
    };
    small.start([0, 0]);
    small.disk.leave(MIB / 4);
    let (acknowledged, last) = small.fill("no room");
    if let Some(answer) = last {
        assert!(answer.status >= 500, "{}", answer.text());
    }
    assert!(!small.service.wait().success(), "it went on signing");
    let said = small.service.stderr();
    assert!(said.contains("No space left"), "{said}");
    small.disk.run("rm ballast");
    small.start([0, 0]);
    for record in &acknowledged {
        let found = small.service.get(&format!("/v1/records/{record}"));
        assert_eq!(found.status, 200, "{record}");
    }
    let (key, signer) = (PrivateKey::from_seed(&[6; 32]), small.service.signer());
    small.service.log(&signer.registration("b", &key));
    assert!(small.service.stop().success());
    small.fsck();
    println!(
        "{} records were acknowledged before the disk was full",
        acknowledged.len()
    );
}

#[test]
fn two_reserves_keep_what_operators_need_and_what_the_store_needs() {
    let Some(mut small) = Small::new() else {
        return;
    };
    small.start([16 * MIB, 8 * MIB]);
    let (key, signer) = (PrivateKey::from_seed(&[6; 32]), small.service.signer());
    small.disk.leave(12 * MIB);
    let (_, last) = small.fill("first reserve");
    let last = last.expect("an answer");
    assert_eq!((last.status, last.code().as_str()), (507, "disk-full"));
    small.service.log(&signer.registration("b", &key));
    small.disk.leave(4 * MIB);
    let wait_for = |status: u16| {
        for n in 0.. {
            let key = PrivateKey::from_seed(&[7; 32]);
            let record = signer.registration(&format!("c{status}-{n}"), &key);
            let answer = small.service.post(record.envelope().to_json());
            if answer.status == status {
                return answer;
            }
        }
        unreachable!("it looks again each second")
    };
    assert_eq!(wait_for(507).code(), "disk-full");
    assert_eq!(small.service.get("/v1/entries/0").status, 200, "it is read");
    let size = small.service.size();
    small.disk.run("rm ballast");
    // It looks by itself, and nobody has to start it again.
    wait_for(200);
    assert!(small.service.size() > size);
    assert!(small.service.stop().success());
    small.fsck();
}
