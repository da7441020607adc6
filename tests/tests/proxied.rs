//! Streams behind a proxy that holds answers back: one of the test's own, which does it as nginx does unless it is told
//! not to, and nginx itself where it is installed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use ledger::key::PrivateKey;
use tempfile::TempDir;
use tests::{Answer, Service};

/// Serves `upstream` to others. A whole answer is held back until it ends, unless it says how it wants to be sent.
fn holding_back(upstream: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            // A client that goes away ends its own answer and no other.
            std::thread::spawn(move || drop(pass(client, upstream)));
        }
    });
    address
}

/// One request and its answer, in the words that nginx uses by default: HTTP/1.0, no connection kept.
fn pass(mut client: TcpStream, upstream: SocketAddr) -> std::io::Result<()> {
    let request = head(&mut BufReader::new(client.try_clone()?))?;
    let target = request.split(' ').nth(1).unwrap_or("/");
    let mut server = TcpStream::connect(upstream)?;
    write!(
        server,
        "GET {target} HTTP/1.0\r\nHost: {upstream}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = BufReader::new(server);
    let begun = head(&mut answer)?;
    let is_held = !begun.to_ascii_lowercase().contains("x-accel-buffering: no");
    if is_held {
        let mut whole = Vec::new();
        answer.read_to_end(&mut whole)?;
        client.write_all(begun.as_bytes())?;
        return client.write_all(&whole);
    }
    client.write_all(begun.as_bytes())?;
    std::io::copy(&mut answer, &mut client).map(drop)
}

fn head(lines: &mut impl std::io::BufRead) -> std::io::Result<String> {
    let mut head = String::new();
    while lines.read_line(&mut head)? > 2 {}
    Ok(head)
}

/// nginx with what Debian's has for defaults, and no more said than where to pass requests on to.
struct Nginx {
    process: Child,
    url: String,
    _folder: TempDir,
}

impl Nginx {
    fn start(program: &str, upstream: SocketAddr) -> Self {
        let folder = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let at = folder.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = temporary
            .map(|name| format!("{name}_temp_path {at}/{name};"))
            .concat();
        let settings = format!(
            "pid {at}/pid; error_log {at}/error; events {{}} http {{ access_log off; {temporary} \
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://{upstream}; }} }} }}"
        );
        std::fs::write(folder.path().join("nginx.conf"), settings).unwrap();
        let process = Command::new(program)
            .args(["-p", &at.to_string(), "-c", &format!("{at}/nginx.conf")])
            .args([
                "-e",
                &format!("{at}/error"),
                "-g",
                "daemon off; master_process off;",
            ])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        Self {
            process,
            url: format!("http://127.0.0.1:{port}"),
            _folder: folder,
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What is logged arrives while the stream goes on, and a pack arrives whole.
fn arrives(service: &Service, url: &str) {
    let mut lines = {
        let stream = service.request_to("GET", &format!("{url}/v1/events"));
        let stream = stream
            .timeout(std::time::Duration::from_secs(60))
            .send()
            .unwrap();
        assert_eq!(stream.status(), 200);
        BufReader::new(stream).lines()
    };
    for n in 0..3 {
        let seen = format!("{url} {n}");
        let index = service.log(&service.signer().observation("a", &seen));
        let id = format!("id: {index}");
        assert!(
            lines.any(|line| line.unwrap() == id),
            "{id} arrives at once"
        );
    }
    let direct = service.get("/v1/pack?from=0&to=3");
    let passed = Answer::of(service.request_to("GET", &format!("{url}/v1/pack?from=0&to=3")));
    assert_eq!((passed.status, passed.body.len()), (200, direct.body.len()));
}

#[test]
fn streams_arrive_behind_a_proxy_that_holds_answers_back() {
    let service = Service::new();
    let key = PrivateKey::from_seed(&[5; 32]);
    service.log(&service.signer().registration("a", &key));
    let upstream = service.url().trim_start_matches("http://").parse().unwrap();
    let proxy = holding_back(upstream);
    arrives(&service, &format!("http://{proxy}"));
    let nginx = std::env::var("NGINX").unwrap_or_else(|_| "nginx".to_owned());
    if Command::new(&nginx).arg("-v").output().is_ok() {
        let nginx = Nginx::start(&nginx, upstream);
        arrives(&service, &nginx.url);
    }
}
