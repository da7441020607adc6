//! Webhooks, with a receiver that nobody here wrote the HTTP of, and signatures that OpenSSL checks.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;
use tests::{World, dragonsd};

/// A receiver, which ends with its test.
struct Receiver {
    process: Child,
    stdout: BufReader<ChildStdout>,
    port: u16,
}

impl Receiver {
    fn start(port: u16, answers: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/receiver.py");
        let mut process = Command::new("python3")
            .arg(script)
            .args([&port.to_string(), answers])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap();
        Self {
            process,
            stdout,
            port,
        }
    }

    /// The next request: its headers, its body, what it is answered.
    fn request(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// The rule or the code that the next request tells of, and its id.
    fn told(&mut self) -> (String, String) {
        let event = event(&self.request());
        let payload = &event["data"]["payload"];
        let what = payload["rule"].as_str().or(payload["code"].as_str());
        (
            what.unwrap().to_owned(),
            event["id"].as_str().unwrap().to_owned(),
        )
    }

    fn let_go(&mut self) {
        writeln!(self.process.stdin.as_mut().unwrap(), "go on").unwrap();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn event(request: &Value) -> Value {
    serde_json::from_str(request["body"].as_str().unwrap()).unwrap()
}

fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {said}");
}

/// An agent in a log that tells a receiver.
fn world(receiver: &Receiver) -> World {
    let mut world = World::new();
    let key = world.service.key("webhook");
    openssl(&[
        "genpkey",
        "-algorithm",
        "ed25519",
        "-out",
        key.to_str().unwrap(),
    ]);
    world.service.stop();
    let url = format!("http://127.0.0.1:{}/hook?token=secret", receiver.port);
    let settings = format!("[[webhooks]]\nname = \"ops\"\nurl = \"{url}\"\nallow_private = true\n");
    std::fs::write(world.service.scratch("dragonsd.toml"), settings).unwrap();
    start(&mut world);
    world
}

fn start(world: &mut World) {
    let mut command = world.service.serve_command();
    command.arg("--config");
    command.arg(world.service.scratch("dragonsd.toml"));
    world.service.start_by(command);
}

fn hook(world: &World) -> Value {
    world.service.get_as_operator("/webhooks").json()["webhooks"][0].clone()
}

/// Asks OpenSSL whether the body is signed with the webhook's key.
fn is_signed(world: &World, request: &Value) {
    let path = |name: &str| world.service.scratch(name).to_str().unwrap().to_owned();
    let signature = request["headers"]["dragons-signature"].as_str().unwrap();
    std::fs::write(path("body"), request["body"].as_str().unwrap()).unwrap();
    std::fs::write(path("sig"), tlog::base64::decode(signature).unwrap()).unwrap();
    let key = world.service.key("webhook");
    let key = key.to_str().unwrap();
    openssl(&["pkey", "-in", key, "-pubout", "-out", &path("webhook.pub")]);
    let (public, body, sig) = (path("webhook.pub"), path("body"), path("sig"));
    openssl(&[
        "pkeyutl", "-verify", "-pubin", "-inkey", &public, "-rawin", "-in", &body, "-sigfile", &sig,
    ]);
}

#[test]
fn transitions_and_denials_arrive_signed_and_in_their_order() {
    let mut receiver = Receiver::start(0, "503,hold");
    let world = world(&receiver);
    let script = r#"dragons tell '{"intent":{"scope":"read:secrets"}}'; true"#;
    // All is logged while the receiver still holds the first.
    world.succeed(world.shell(script));
    let first = receiver.request();
    is_signed(&world, &first);
    assert_eq!(
        first["headers"]["content-type"],
        "application/cloudevents+json; charset=utf-8"
    );
    assert_eq!(first["headers"]["dragons-key-id"], hook(&world)["keyid"]);
    let told = event(&first);
    for (member, want) in [
        ("specversion", "1.0"),
        ("source", "//example.com/test-log"),
        ("type", "dragons.transition.v1"),
        ("subject", "worker"),
        ("datacontenttype", "application/json"),
    ] {
        assert_eq!(told[member], want, "{member}");
    }
    let again = receiver.request();
    assert_eq!(
        (&first["body"], &again["answer"]),
        (&again["body"], &"hold".into())
    );
    receiver.let_go();
    let second = receiver.request();
    is_signed(&world, &second);
    assert_eq!(event(&second)["type"], "dragons.denial.v1");
    let third = event(&receiver.request());
    assert_eq!(third["data"]["payload"]["rule"], "finished");
    for event in [&told, &event(&second), &third] {
        let id = event["id"].as_str().unwrap();
        let place = world.service.get(&format!("/v1/records/{id}")).json();
        assert_eq!(place["index"], event["data"]["index"]);
    }
    let metrics = world.service.metrics();
    assert!(
        metrics.contains("dragonsd_webhook_deliveries_total{webhook=\"ops\",outcome=\"failed\"} 1"),
        "{metrics}"
    );
    assert_eq!(hook(&world)["url"], "http://127.0.0.1");
}

#[test]
fn nothing_is_lost_while_the_receiver_and_the_service_are_down() {
    let receiver = Receiver::start(0, "");
    let mut world = world(&receiver);
    let port = receiver.port;
    drop(receiver);
    world.succeed(world.shell("true"));
    world.service.kill();
    let mut receiver = Receiver::start(port, "");
    start(&mut world);
    let (first, second) = (receiver.told(), receiver.told());
    assert_eq!(
        (first.0.as_str(), second.0.as_str()),
        ("started", "finished")
    );
    // The next ones are new: what has arrived is not sent again, but for one whose answer was not noted.
    world.service.stop();
    start(&mut world);
    world.succeed(world.shell("true"));
    let next = receiver.told();
    assert!(next.0 == "restarted" || next == second, "{next:?}");
}

#[test]
fn what_is_not_wanted_is_put_aside_and_shown() {
    let mut receiver = Receiver::start(0, "400,400,400");
    let world = world(&receiver);
    world.succeed(world.shell("true"));
    let refused = [(); 3].map(|()| receiver.told());
    assert!(refused.iter().all(|one| *one == refused[0]), "{refused:?}");
    assert_eq!(receiver.told().0, "finished");
    let letters = hook(&world)["dead_letters"].clone();
    assert_eq!(letters.as_array().unwrap().len(), 1);
    let letter = &letters[0];
    assert_eq!(
        (&letter["attempts"], &letter["error"]),
        (&3.into(), &"HTTP 400".into())
    );
    assert_eq!(letter["event"]["id"], refused[0].1);
}

#[test]
fn a_key_of_the_log_signs_no_webhook() {
    let mut world = World::new();
    world.service.stop();
    for key in ["control", "log", "operator"] {
        let path = world.service.key(key);
        let settings = format!(
            "data = {:?}\nlisten = \"127.0.0.1:0\"\nmetrics = \"127.0.0.1:0\"\n\
             [[webhooks]]\nname = \"ops\"\nurl = \"http://127.0.0.1:9/\"\nallow_private = true\nkey = {path:?}\n",
            world.service.data()
        );
        let file = world.service.scratch("dragonsd.toml");
        std::fs::write(&file, settings).unwrap();
        let output = dragonsd().run(["serve", "--config", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{key}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("make one of its own"), "{key}: {said}");
    }
}

/// Starts with a webhook that leads there, and gives what was said on the way out.
fn refused(world: &World, url: &str) -> String {
    let key = world.service.key("webhook");
    openssl(&[
        "genpkey",
        "-algorithm",
        "ed25519",
        "-out",
        key.to_str().unwrap(),
    ]);
    let settings = format!(
        "data = {:?}\nlisten = \"127.0.0.1:0\"\nmetrics = \"127.0.0.1:0\"\n\
         [[webhooks]]\nname = \"ops\"\nurl = \"{url}\"\n",
        world.service.data()
    );
    let file = world.service.scratch("dragonsd.toml");
    std::fs::write(&file, settings).unwrap();
    let output = dragonsd().run(["serve", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{url}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_webhook_stays_off_this_machine_and_its_network_unless_it_may() {
    let mut world = World::new();
    world.service.stop();
    for url in [
        "http://127.0.0.1:9/secret",
        "http://localhost:9/secret",
        "http://169.254.169.254/secret",
        "https://10.0.0.1/secret",
        "http://[::1]:9/secret",
        "http://2130706433/secret",
    ] {
        let said = refused(&world, url);
        assert!(
            said.contains("allow_private") && !said.contains("secret"),
            "{said}"
        );
    }
}

#[test]
fn what_is_printed_of_settings_has_no_secret_of_a_webhook() {
    let world = World::new();
    let settings = "data = \"d\"\n[[webhooks]]\nname = \"ops\"\nurl = \"https://u:p@ops.example.com/hook/secret?t=secret\"\n";
    let file = world.service.scratch("dragonsd.toml");
    std::fs::write(&file, settings).unwrap();
    let printed = dragonsd().succeed(["config", "--config", file.to_str().unwrap()]);
    assert!(
        printed.contains("url = \"https://ops.example.com\""),
        "{printed}"
    );
    assert!(!printed.contains("secret"), "{printed}");
}
