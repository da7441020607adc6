//! Whoever reads what the service says may go away, fill up, stop reading or refuse to wait: requests go on.

use std::fs::File;
use std::io::{BufRead as _, BufReader, PipeReader};
use std::process::{Command, Stdio};

use ledger::key::PrivateKey;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::Signal;
use tests::{Answer, Service, dragonsd, own_address};

/// More requests than a pipe and the queue hold lines of.
const REQUESTS: usize = 2_500;

/// The command that serves and says something of each request.
fn talkative(service: &Service) -> Command {
    let mut command = service.serve_command();
    command.env("RUST_LOG", "debug");
    command
}

/// Starts the service with a pipe at its stderr, and reads that up to the address of the metrics.
fn piped(service: &mut Service, prepare: impl Fn(&std::io::PipeWriter)) -> (PipeReader, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    prepare(&writer);
    let command = talkative(service);
    service.start_saying(command, Stdio::from(writer));
    let mut lines = BufReader::with_capacity(1, reader);
    loop {
        let mut line = String::new();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "it has ended");
        let mut words = line.split_whitespace();
        if let Some(url) =
            words.find(|word| word.starts_with("http://") && word.ends_with("/metrics"))
        {
            return (lines.into_inner(), url.to_owned());
        }
    }
}

fn dropped(service: &Service, metrics: &str) -> u64 {
    let metrics = Answer::of(service.request_to("GET", metrics)).text();
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("dragonsd_messages_dropped_total "));
    line.expect("a count").parse().unwrap()
}

/// Each request is answered, records are logged, and the lines that nobody read are counted.
fn goes_on(service: &Service, metrics: &str) {
    let key = PrivateKey::from_seed(&[5; 32]);
    service.log(&service.signer().registration("a", &key));
    for n in 0..REQUESTS {
        assert_eq!(service.get("/v1/agents/a").status, 200, "request {n}");
    }
    service.log(&service.signer().observation("a", "afterwards"));
    assert!(dropped(service, metrics) > 0);
}

#[test]
fn a_reader_that_went_away_stops_nothing() {
    let mut service = Service::new();
    service.stop();
    let (reader, metrics) = piped(&mut service, |_| {});
    drop(reader);
    goes_on(&service, &metrics);
    assert!(service.stop().success());
}

#[test]
fn a_reader_that_does_not_read_stops_nothing() {
    let mut service = Service::new();
    service.stop();
    let (reader, metrics) = piped(&mut service, |_| {});
    goes_on(&service, &metrics);
    assert!(service.stop().success(), "nor does it hold up the end");
    drop(reader);
}

#[test]
fn a_stderr_that_does_not_wait_stops_nothing() {
    let mut service = Service::new();
    service.stop();
    let (reader, metrics) = piped(&mut service, |writer| {
        fcntl_setfl(writer, OFlags::NONBLOCK).unwrap();
    });
    goes_on(&service, &metrics);
    assert!(service.stop().success());
    drop(reader);
}

/// `/dev/full` refuses each byte as a full disk does.
#[test]
fn a_full_disk_behind_stderr_stops_nothing() {
    let mut service = Service::new();
    service.stop();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let command = talkative(&service);
    service.start_saying(command, full.into());
    let key = PrivateKey::from_seed(&[5; 32]);
    service.log(&service.signer().registration("a", &key));
    assert_eq!(service.get("/readyz").status, 200);
    assert!(service.stop().success());
}

/// Also the one line on stdout holds up nobody: closed, full, or a pipe that nobody reads or that is gone.
#[test]
fn a_stdout_that_takes_nothing_stops_nothing() {
    // It ends with the service, which takes the shell's place, and reads nothing.
    let idle = "> >(exec tail --pid=$$ -f /dev/null)";
    for (redirection, level) in [
        (">&-", "info"),
        (">&- 2>&-", "info"),
        ("<&- >&- 2>&-", "debug"),
        (">/dev/full", "info"),
        (">/dev/full 2>/dev/full", "debug"),
        ("> >(true)", "info"),
        ("> >(true) 2>&1", "debug"),
        (idle, "info"),
        (&format!("{idle} 2>&1"), "debug"),
    ] {
        let mut service = Service::new();
        assert!(service.stop().success());
        let address = own_address();
        let mut shell = Command::new("bash");
        let script = format!("exec \"$@\" {redirection}");
        shell.args(["-c", &script, "bash"]).arg(dragonsd().path());
        shell.args(["serve", "--metrics", "127.0.0.1:0", "--listen"]);
        shell
            .arg(format!("{address}:7117"))
            .arg("--data")
            .arg(service.data());
        shell.env("RUST_LOG", level);
        let mut process = shell.spawn().unwrap();
        let url = format!("http://{address}:7117");
        let get = |path: &str| Answer::try_of(service.request_to("GET", &format!("{url}{path}")));
        while get("/readyz").is_err() {
            assert_eq!(process.try_wait().unwrap(), None, "{redirection}: it ended");
        }
        for _ in 0..200 {
            assert_eq!(get("/v1/agents").unwrap().status, 200, "{redirection}");
        }
        let key = PrivateKey::from_seed(&[5; 32]);
        let record = service.signer().registration("a", &key);
        let post = service.request_to("POST", &format!("{url}/v1/entries"));
        let post = post.header("content-type", "application/json");
        let logged = Answer::of(post.body(record.envelope().to_json()));
        assert_eq!(logged.status, 200, "{redirection}: {}", logged.text());
        rustix::process::kill_process(rustix::process::Pid::from_child(&process), Signal::TERM)
            .unwrap();
        assert!(process.wait().unwrap().success(), "{redirection}");
    }
}

#[test]
fn strangers_leave_few_lines() {
    let service = Service::new();
    for n in 0..1_000 {
        assert_eq!(service.get(&format!("/nothing/{n}")).status, 404);
    }
    let lines = service.stderr().lines().count();
    assert!(lines < 50, "{}", service.stderr());
}

#[test]
fn signals_that_mean_nothing_here_end_nothing() {
    let mut service = Service::new();
    // Left out are those of a fault, those that stop and go on, and those of the C library.
    let ignored = [1, 10, 12, 13, 14, 16, 17, 18, 23, 25, 26, 27, 28, 29];
    for number in ignored.into_iter().chain(34..=64) {
        kill(&service, number);
        assert_eq!(service.get("/readyz").status, 200, "signal {number}");
    }
    let key = PrivateKey::from_seed(&[5; 32]);
    service.log(&service.signer().registration("a", &key));
    assert!(service.stop().success());
}

#[test]
fn signals_that_ask_for_the_end_end_it_in_good_order() {
    let mut service = Service::new();
    for number in [2, 3, 15, 24, 30] {
        kill(&service, number);
        assert!(service.wait().success(), "signal {number}");
        assert!(service.stderr().contains("stopped"), "signal {number}");
        service.start();
    }
}

fn kill(service: &Service, number: i32) {
    let pid = service.process().0.to_string();
    let sent = Command::new("kill")
        .args([&format!("-{number}"), &pid])
        .status();
    assert!(sent.unwrap().success(), "signal {number}");
}
