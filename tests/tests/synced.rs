//! What a run has signed is on its disk before the log sees it, and no sync is made for nothing. The system calls of a real
//! run, as strace shows them.

use tests::{World, read};

/// A run of a program that puts something out signs six records, with the values behind two of them: the heartbeat that
/// begins, the goal and the intent, which share one sync, as the last words do; that leave was given is one more.
const SYNCS: usize = 6;

#[test]
fn what_is_signed_is_synced_before_it_is_sent_and_no_more() {
    // Its heartbeats are a minute apart, so that none comes between.
    let world = World::with_charter("{}", 60_000);
    world.lease();
    // The first run makes the journal.
    world.succeed(world.shell("echo first"));
    let trace = world.service.scratch("trace");
    let outer = ["strace", "-f", "-s", "64", "-o", trace.to_str().unwrap()];
    let calls = ["-e", "trace=write,writev,sendto,sendmsg,fdatasync,fsync"];
    let outer = [&outer[..], &calls].concat();
    world.succeed(world.within(&outer, &world.shell("echo second")));
    let trace = read(&trace);
    let (mut unsynced, mut syncs, mut sent) = (0, 0, 0);
    for line in trace.lines() {
        if line.contains("{\\\"signed\\\":") {
            unsynced += 1;
        } else if line.contains("sync(") {
            unsynced = 0;
            syncs += 1;
        } else if line.contains("POST /v1/entries") {
            sent += 1;
            assert_eq!(unsynced, 0, "before {line}");
        }
    }
    assert_eq!(
        sent, 3,
        "the goal goes with its intent, and so do the last three"
    );
    assert_eq!(syncs, SYNCS);
}
