//! What a page of another origin can do to the service of whoever looks at it: a real browser, and a page that tries.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use tests::{Service, dragonsd};

/// What the page does. It writes down what came of each attempt as JSON.
const PAGE: &str = r#"<!doctype html><pre id="out"></pre><script>
const at = "SERVICE";
const tries = {
  read: (path) => fetch(at + path).then((answer) => answer.text()),
  post: (type) => (path) => fetch(at + path, { method: "POST", headers: { "content-type": type }, body: "{}" })
    .then((answer) => answer.text()),
};
const attempt = (how, path) => how(path).then((text) => "got " + text, (error) => "failed");
(async () => {
  const out = {
    checkpoint: await attempt(tries.read, "/checkpoint"),
    agents: await attempt(tries.read, "/v1/agents"),
    entry: await attempt(tries.read, "/v1/entries/0"),
    bundle: await attempt(tries.read, "/tile/entries/000.p/1"),
    pack: await attempt(tries.read, "/v1/pack"),
    ask: await attempt(tries.post("application/json"), "/v1/requests"),
    log: await attempt(tries.post("application/json"), "/v1/entries"),
    lines: await attempt(tries.post("application/x-ndjson"), "/v1/entries"),
    plain: await attempt(tries.post("text/plain"), "/v1/requests"),
  };
  document.getElementById("out").textContent = JSON.stringify(out);
})();
</script>"#;

/// A server with that one page, on a port of its own.
fn serve_page(service: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let page = PAGE.replace("SERVICE", service);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines
                .next()
                .is_some_and(|line| !line.unwrap_or_default().is_empty())
            {}
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close";
            // A browser that has gone away has what it wants.
            let _ = write!(
                stream,
                "{head}\r\ncontent-length: {}\r\n\r\n{page}",
                page.len()
            );
        }
    });
    address
}

fn browser() -> String {
    let named = std::env::var("CHROMIUM").into_iter();
    let mut names = named.chain(["chromium", "chromium-browser", "google-chrome"].map(Into::into));
    let found = names.find(|name| Command::new(name).arg("--version").output().is_ok());
    found.expect("a browser, which `make setup` installs")
}

/// The page at an address, as it is once its scripts are done.
fn look_at(url: &str, more: &[&str]) -> String {
    let profile = TempDir::new().unwrap();
    let profile = format!("--user-data-dir={}", profile.path().display());
    let output = Command::new(browser())
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
        ])
        .args(["--virtual-time-budget=10000", &profile])
        .args(more)
        .args(["--dump-dom", url])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What came of what the page tried.
fn tried(service: &Service) -> Value {
    let page = serve_page(service.url());
    let dom = look_at(&format!("http://{page}/"), &[]);
    let out = dom.split("<pre id=\"out\">").nth(1).expect("the page");
    let out = out.split("</pre>").next().unwrap();
    let out = out
        .replace("&amp;", "&")
        .replace("&lt;", "<")
        .replace("&gt;", ">");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {dom}"))
}

/// Which of the attempts read something.
fn read(tried: &Value) -> Vec<&str> {
    let tried = tried.as_object().unwrap().iter();
    let got = tried.filter(|(_, came)| came.as_str().unwrap().starts_with("got "));
    got.map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_page_elsewhere_reads_the_checkpoint_and_nothing_else() {
    let service = Service::new();
    let size = service.size();
    let tried = tried(&service);
    assert_eq!(read(&tried), ["checkpoint"], "{tried}");
    assert!(service.size() <= size + 1, "a pulse at most");
    // What a browser sends without asking is sent, and refused for what it is; all else it asks about first.
    let metrics = service.metrics();
    let posts: Vec<&str> = metrics
        .lines()
        .filter(|line| line.starts_with("dragonsd_http_requests_total{"))
        .filter(|line| line.contains("method=\"POST\""))
        .collect();
    let is_plain = |line: &&str| line.contains("status=\"415\"");
    assert!(posts.len() == 1 && posts.iter().all(is_plain), "{posts:?}");
}

#[test]
fn a_page_that_is_named_reads_evidence() {
    let page = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let origin = format!("http://{page}");
    let service = Service::with(&[], &["--allow-origin", &origin]);
    for path in ["/v1/pack", "/tile/entries/000.p/1", "/v1/entries/0/proof"] {
        let answer = service.request("GET", path).header("origin", &origin);
        let answer = tests::Answer::of(answer);
        assert_eq!(
            answer.header("access-control-allow-origin"),
            origin,
            "{path}"
        );
    }
    let answer = service
        .request("GET", "/v1/agents")
        .header("origin", &origin);
    let answer = tests::Answer::of(answer);
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

/// A page can point its own name at this machine. It is then of the same origin as the service, and has its name.
#[test]
fn a_name_that_was_pointed_at_the_service_reads_nothing() {
    let service = Service::new();
    let (address, port) = service.url()["http://".len()..].split_once(':').unwrap();
    let rules = format!("--host-resolver-rules=MAP rebound.example {address}");
    let dom = look_at(
        &format!("http://rebound.example:{port}/v1/agents"),
        &[&rules],
    );
    assert!(
        dom.contains("host-unknown") && !dom.contains("as_of"),
        "{dom}"
    );
    let dom = look_at(&format!("{}/v1/agents", service.url()), &[]);
    assert!(dom.contains("as_of"), "{dom}");
}

#[test]
fn names_are_asked_for_on_both_listeners() {
    let service = Service::with(&[], &["--host", "log.example"]);
    for (host, status) in [
        ("log.example", 200),
        ("LOG.example:80", 200),
        ("other.example", 421),
    ] {
        for path in ["/checkpoint", "/healthz"] {
            let request = service.request("GET", path).header("host", host);
            let answer = tests::Answer::of(request);
            assert_eq!(answer.status, status, "{host} {path}");
            assert_eq!(answer.code() == "host-unknown", status == 421);
        }
        let metrics = service
            .request_to("GET", &service.metrics_url())
            .header("host", host);
        assert_eq!(tests::Answer::of(metrics).status, status, "{host}");
    }
}

#[test]
fn what_others_can_reach_needs_a_proxy() {
    let mut service = Service::new();
    service.stop();
    let data = service.data();
    let data = data.to_str().unwrap();
    for (listen, metrics) in [("0.0.0.0:0", "127.0.0.1:0"), ("127.0.0.1:0", "[::]:0")] {
        let output = dragonsd().run([
            "serve",
            "--data",
            data,
            "--listen",
            listen,
            "--metrics",
            metrics,
        ]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{listen} {metrics}: {said}");
        assert!(
            said.contains("--behind-proxy") && said.contains("TLS"),
            "{said}"
        );
    }
    let mut command = dragonsd().command();
    command.args(["serve", "--data", data, "--listen", "0.0.0.0:0"]);
    command.args(["--metrics", "127.0.0.1:0", "--behind-proxy"]);
    service.start_by(command);
    let port = service.url().rsplit(':').next().unwrap().to_owned();
    let request = service.request_to("GET", &format!("http://127.0.0.1:{port}/healthz"));
    assert_eq!(tests::Answer::of(request).status, 200);
}
