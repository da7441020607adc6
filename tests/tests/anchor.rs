//! A data folder is copied back: noticed where there is an anchor, and said to be unnoticed where there is none.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ledger::key::PrivateKey;
use rustix::process::Signal;
use tests::{Service, read};
use tlog::checkpoint::SignedCheckpoint;

/// How late an anchor may be, and what a busy machine adds.
const PATIENCE: Duration = Duration::from_secs(30);

fn service(anchor: &str) -> Service {
    let service = Service::with(&[], &["--anchor", anchor]);
    let key = PrivateKey::from_seed(&[5; 32]);
    service.log(&service.signer().registration("a", &key));
    service
}

fn see(service: &Service, id: &str) -> u64 {
    service.log(&service.signer().observation("a", id))
}

fn size_of(checkpoint: &str) -> u64 {
    let signed = SignedCheckpoint::parse(checkpoint).unwrap();
    signed.unverified().size.get()
}

fn wait(is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(5));
    }
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(status.unwrap().success());
}

/// What a start says that must fail.
fn refused(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty(), "it never listened");
    String::from_utf8(output.stderr).unwrap()
}

/// The data folder as it was comes back.
fn put_back(service: &Service, copied: &Path) {
    std::fs::remove_dir_all(service.data()).unwrap();
    copy(copied, &service.data());
}

struct Kept {
    folder: tempfile::TempDir,
}

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("anchor")
    }

    fn setting(&self) -> String {
        self.path().to_str().unwrap().to_owned()
    }
}

#[test]
fn a_copied_back_folder_is_noticed_where_there_is_an_anchor_and_said_to_be_unnoticed_where_not() {
    let kept = Kept::new();
    let mut service = service(&kept.setting());
    assert!(service.stop().success());
    let size = size_of(&read(&kept.path()));
    let copied = service.scratch("copied");
    copy(&service.data(), &copied);
    service.start();
    let index = see(&service, "afterwards");
    let began = Instant::now();
    wait(|| size_of(&read(&kept.path())) > index);
    println!(
        "anchored {} ms after the answer",
        began.elapsed().as_millis()
    );
    assert!(service.stop().success());
    let anchored = read(&kept.path());
    assert!(size_of(&anchored) > size);

    put_back(&service, &copied);
    let said = refused(&mut service.serve_command());
    assert!(said.contains("is an older copy"), "{said}");
    assert_eq!(read(&kept.path()), anchored, "the anchor stays");
    let fsck = tests::dragonsd();
    fsck.succeed(["fsck", "--data", service.data().to_str().unwrap()]);

    let mut without = tests::dragonsd().command();
    without.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--metrics",
        "127.0.0.1:0",
    ]);
    without.arg("--data").arg(service.data());
    service.start_by(without);
    assert!(
        service.stderr().contains("no --anchor"),
        "{}",
        service.stderr()
    );
    // What it has signed now is another history than the anchor's.
    for n in 0..3 {
        see(&service, &format!("another {n}"));
    }
    assert!(service.stop().success());
    let said = refused(&mut service.serve_command());
    assert!(said.contains("has another history"), "{said}");
}

/// A snapshot of a running machine, taken between two instructions, and one of the store alone.
#[test]
fn a_snapshot_that_is_put_back_is_noticed_however_it_was_taken() {
    for part in ["", "store"] {
        let kept = Kept::new();
        let mut service = service(&kept.setting());
        see(&service, "before");
        service.signal(Signal::STOP);
        let copied = service.scratch("copied");
        let whole = service.data().join(part);
        copy(&whole, &copied);
        service.signal(Signal::CONT);
        let index = see(&service, "afterwards");
        wait(|| size_of(&read(&kept.path())) > index);
        service.kill();
        std::fs::remove_dir_all(&whole).unwrap();
        copy(&copied, &whole);
        let said = refused(&mut service.serve_command());
        assert!(said.contains("is an older copy"), "{part}: {said}");
    }
}

#[test]
fn a_killed_service_is_ahead_of_its_anchor_and_goes_on() {
    let kept = Kept::new();
    let mut service = service(&kept.setting());
    for round in 0..5 {
        for n in 0..20 {
            see(&service, &format!("{round} {n}"));
        }
        service.kill();
        service.start();
    }
    assert!(service.stop().success());
    let size = size_of(&read(&kept.path()));
    assert!(size >= 102, "the last head is kept at the end: {size}");
}

#[test]
fn a_start_whose_anchor_cannot_be_read_is_refused() {
    let kept = Kept::new();
    let mut service = service(&kept.setting());
    assert!(service.stop().success());
    std::fs::write(kept.path(), "not a checkpoint\n").unwrap();
    let said = refused(&mut service.serve_command());
    assert!(said.contains("not a signed checkpoint"), "{said}");
    std::fs::remove_file(kept.path()).unwrap();
    std::fs::create_dir(kept.path()).unwrap();
    let said = refused(&mut service.serve_command());
    assert!(said.contains("the anchor cannot be read"), "{said}");
    // A lost one begins again.
    std::fs::remove_dir(kept.path()).unwrap();
    service.start();
    assert!(service.stderr().contains("nothing is there yet"));
    assert!(service.stop().success());
    assert!(kept.path().exists());
}

/// A shelf for texts: what is PUT there is given to a GET.
struct Shelf {
    url: String,
    held: Arc<Mutex<HashMap<String, Vec<u8>>>>,
}

impl Shelf {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let held = Arc::new(Mutex::new(HashMap::new()));
        let shelf = Arc::clone(&held);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shelf = Arc::clone(&shelf);
                thread::spawn(move || answer(stream.unwrap(), &shelf));
            }
        });
        Self { url, held }
    }

    fn text(&self) -> String {
        let held = self.held.lock().unwrap();
        let text = held.get("/anchor").cloned().unwrap_or_default();
        String::from_utf8(text).unwrap()
    }
}

/// Answers one request and closes.
fn answer(mut stream: TcpStream, held: &Mutex<HashMap<String, Vec<u8>>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut first = String::new();
    if reader.read_line(&mut first).unwrap_or(0) == 0 {
        return;
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
    }
    let mut words = first.split_whitespace();
    let (method, path) = (words.next().unwrap(), words.next().unwrap().to_owned());
    let (status, body) = match method {
        "PUT" => {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            held.lock().unwrap().insert(path, body);
            ("204 No Content", Vec::new())
        }
        _ => match held.lock().unwrap().get(&path) {
            Some(body) => ("200 OK", body.clone()),
            None => ("404 Not Found", Vec::new()),
        },
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // Whoever asked may have gone.
    let _ = stream.write_all(&[head.as_bytes(), &body].concat());
}

#[test]
fn an_address_is_an_anchor_as_well() {
    let shelf = Shelf::new();
    let mut service = service(&format!("{}/anchor", shelf.url));
    wait(|| !shelf.text().is_empty() && size_of(&shelf.text()) == service.size());
    assert!(service.stop().success());
    let copied = service.scratch("copied");
    copy(&service.data(), &copied);
    service.start();
    see(&service, "afterwards");
    assert!(service.stop().success());
    put_back(&service, &copied);
    let said = refused(&mut service.serve_command());
    assert!(said.contains("is an older copy"), "{said}");
}
