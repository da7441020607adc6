//! Whose time counts: a machine's clock may be wrong, or set while a program runs.

use std::path::PathBuf;
use std::process::Command;

use tests::{Run, World, stderr};

/// Stands before the clock that people set, and moves it by as many milliseconds as a file says.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, now);
    const char *path = getenv("CLOCK_OFF");
    FILE *file = id == CLOCK_REALTIME && path ? fopen(path, "re") : NULL;
    long long off = 0;
    if (!file) return result;
    if (fscanf(file, "%lld", &off) != 1) off = 0;
    fclose(file);
    long long ns = now->tv_nsec + (off % 1000) * 1000000LL;
    now->tv_sec += off / 1000 + (ns >= 1000000000LL) - (ns < 0);
    now->tv_nsec = ns - 1000000000LL * ((ns >= 1000000000LL) - (ns < 0));
    return result;
}
"#;

/// A clock that can be set.
struct Clock {
    library: PathBuf,
    off: PathBuf,
}

impl Clock {
    fn new(world: &World) -> Self {
        let clock = Self {
            library: world.service.scratch("clock.so"),
            off: world.service.scratch("clock.off"),
        };
        let source = world.service.scratch("clock.c");
        std::fs::write(&source, CLOCK).unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-o"]).arg(&clock.library);
        let built = cc.arg(source).arg("-ldl").output().unwrap();
        assert!(built.status.success(), "{}", stderr(&built));
        clock.set(0);
        clock
    }

    fn set(&self, off_ms: i64) {
        let next = self.off.with_extension("next");
        std::fs::write(&next, off_ms.to_string()).unwrap();
        std::fs::rename(next, &self.off).unwrap();
    }

    fn by(&self, mut command: Command) -> Command {
        command.env("LD_PRELOAD", &self.library);
        command.env("CLOCK_OFF", &self.off);
        command
    }
}

/// The program ends before its permit does, and not long before, whatever the machine's clock shows.
#[test]
fn a_permit_ends_by_the_clock_of_the_log() {
    for off_ms in [-3_600_000, -200_000, 90_000, 3_600_000] {
        let world = World::without_lease(3_000);
        world.lease();
        let clock = Clock::new(&world);
        clock.set(off_ms);
        let mut run = Run::start(clock.by(world.shell("echo ready; exec tail -f /dev/null")));
        assert_eq!(run.line(), "ready\n");
        let (code, _, err) = run.end();
        assert_eq!(code, Some(143), "{off_ms}: {err}");
        let (intent, result) = (world.entry_of("intent"), world.entry_of("result"));
        assert_eq!(result["payload"]["status"], "timeout", "{off_ms}");
        let received = |entry: &serde_json::Value| entry["received_ms"].as_u64().unwrap();
        let took = received(&result) - received(&intent);
        assert!((1_000..3_000).contains(&took), "{off_ms}: {took} ms");
        let is_far = off_ms.abs() > 300_000;
        let told = &intent["payload"]["ext"]["clock_off_ms"];
        assert_eq!(told.is_string(), is_far, "{off_ms}: {told}");
        assert_eq!(err.contains("clock"), is_far, "{off_ms}: {err}");
        world.blames_nobody();
    }
}

#[test]
fn an_order_is_heard_after_the_clock_was_set_back() {
    let world = World::new();
    let clock = Clock::new(&world);
    let mut run = Run::start(clock.by(world.shell("echo up; exec tail -f /dev/null")));
    assert_eq!(run.line(), "up\n");
    clock.set(-3_600_000);
    let mut events = world.service.events("/v1/events?after=0&agent=worker");
    let seq = world.agent()["next_seq"].as_u64().unwrap();
    events.until(|event| event.data["payload"]["seq"].as_u64() >= Some(seq + 3));
    world.order("stop");
    run.until("the agent is stopped");
    assert_eq!(run.end().0, Some(143));
    world.blames_nobody();
}

/// The next heartbeat is a minute away, so a program that ends before has not waited for it.
#[test]
fn an_order_is_obeyed_before_the_next_heartbeat() {
    for verb in ["stop", "quarantine"] {
        let world = World::with_charter("{}", 60_000);
        world.lease();
        let mut run = Run::start(world.shell("echo up; exec tail -f /dev/null"));
        assert_eq!(run.line(), "up\n");
        let beats = world.payloads("heartbeat").len();
        world.order(verb);
        run.until("ending the program: the agent is");
        assert_eq!(run.end().0, Some(143));
        let told = world.payloads("heartbeat").len() - beats;
        assert!(told <= 1, "only the goodbye, if any: {told}");
    }
}
