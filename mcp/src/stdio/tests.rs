use std::io::{PipeReader, PipeWriter, pipe};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use ledger::record::Mode;
use serde_json::Value;

use super::*;
use crate::fake::{Event, Fake};
use crate::governor::Ending;

/// A proxy between two ends that the test holds.
struct World {
    client: PipeWriter,
    answers: BufReader<PipeReader>,
    server: BufReader<PipeReader>,
    says: Option<PipeWriter>,
    seen: Receiver<Event>,
    relaying: JoinHandle<()>,
}

fn world(change: impl FnOnce(&mut Fake)) -> World {
    let (mut fake, seen) = Fake::new(Mode::Enforce);
    change(&mut fake);
    let proxy = Arc::new(Proxy::new(Arc::new(fake), "s", []).unwrap());
    let ((client_in, client), (answers, client_out)) = (pipe().unwrap(), pipe().unwrap());
    let ((server, server_in), (server_out, says)) = (pipe().unwrap(), pipe().unwrap());
    let streams = Streams {
        client_in,
        client_out,
        server_in,
        server_out,
    };
    let relaying = thread::spawn(move || relay(&proxy, streams).unwrap());
    World {
        client,
        answers: BufReader::new(answers),
        server: BufReader::new(server),
        says: Some(says),
        seen,
        relaying,
    }
}

fn gate(fake: &mut Fake, scope: &'static str) -> Sender<()> {
    let (open, gate) = channel();
    fake.gates.get_mut().unwrap().insert(scope, gate);
    open
}

fn line(reader: &mut BufReader<PipeReader>) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line
}

fn call(id: u32, tool: &str) -> String {
    format!("{{\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"{tool}\"}}}}\n")
}

impl World {
    fn say(&mut self, text: &str) {
        self.client.write_all(text.as_bytes()).unwrap();
    }

    fn answer(&mut self, text: &str) {
        self.says
            .as_mut()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    fn closed(&self) -> (String, Ending) {
        loop {
            if let Event::Closed(scope, ending) = self.seen.recv().unwrap() {
                return (scope, ending);
            }
        }
    }
}

#[test]
fn bytes_are_the_same_at_both_ends() {
    let mut world = world(|_| ());
    let odd = [
        "{ \"jsonrpc\" : \"2.0\",\"id\":1.0, \"method\":\"ping\"}\r\n",
        "\n",
        "{\"id\":2,\"method\":\"tools/call\",\"params\":{\"name\":\"\\u0061\",\"arguments\":{\"x\":1.50,\"e\":\"\\ud83d\"}}}\n",
    ];
    for text in odd {
        world.say(text);
        assert_eq!(line(&mut world.server), text);
    }
    for text in [
        "log line that is not JSON\n",
        "{\"id\":2,\"result\":{\"z\":1,\"a\":2.0}}\r\n",
        "\n",
        "{\"id\":1}\n",
    ] {
        world.answer(text);
        assert_eq!(line(&mut world.answers), text);
    }
    assert_eq!(world.closed(), ("call:s/a".to_owned(), Ending::Ok));
}

#[test]
fn order_is_kept_while_leave_is_asked_for_all_at_once() {
    let mut first = None;
    let mut world = world(|fake| first = Some(gate(fake, "call:s/slow")));
    let (slow, fast, ping) = (
        call(1, "slow"),
        call(2, "fast"),
        "{\"id\":3,\"method\":\"ping\"}\n",
    );
    world.say(&[slow.as_str(), &fast, ping, &call(4, "denied")].concat());
    // The denied one is answered while the first is not even decided on.
    let denied: Value = serde_json::from_str(&line(&mut world.answers)).unwrap();
    assert_eq!(
        (&denied["id"], &denied["result"]["isError"]),
        (&4.into(), &true.into())
    );
    let mut asked = [world.seen.recv().unwrap(), world.seen.recv().unwrap()];
    asked.sort_by_key(|event| format!("{event:?}"));
    assert_eq!(
        asked,
        ["call:s/denied", "call:s/fast"].map(|scope| Event::Asked(scope.to_owned()))
    );
    first.unwrap().send(()).unwrap();
    assert_eq!(
        [
            line(&mut world.server),
            line(&mut world.server),
            line(&mut world.server)
        ],
        [slow, fast, ping.to_owned()]
    );
}

#[test]
fn a_long_line_passes_while_it_is_written_and_nothing_comes_in_between() {
    let mut world = world(|_| ());
    world.say(&call(1, "a"));
    line(&mut world.server);
    let start = format!("{{\"result\":{{\"text\":\"{}", "x".repeat(2 * HELD_BYTES));
    let mut says = world.says.take().unwrap();
    let part = start.clone();
    let saying = thread::spawn(move || {
        says.write_all(part.as_bytes()).unwrap();
        says
    });
    // The client has the beginning, though the line has no end yet.
    let mut seen = vec![0; start.len() - READ_BYTES];
    world.answers.read_exact(&mut seen).unwrap();
    world.says = Some(saying.join().unwrap());
    world.say(&call(2, "denied"));
    assert_eq!(
        world.seen.recv().unwrap(),
        Event::Asked("call:s/a".to_owned())
    );
    assert_eq!(
        world.seen.recv().unwrap(),
        Event::Asked("call:s/denied".to_owned())
    );
    world.answer("\"},\"id\":1}\n");
    seen.extend(line(&mut world.answers).bytes());
    assert_eq!(seen, format!("{start}\"}},\"id\":1}}\n").into_bytes());
    assert_eq!(world.closed(), ("call:s/a".to_owned(), Ending::Ok));
    let denied: Value = serde_json::from_str(&line(&mut world.answers)).unwrap();
    assert_eq!(denied["id"], 2);
}

#[test]
fn the_end_of_the_client_is_the_end_of_what_the_server_reads_and_not_before() {
    let mut open = None;
    let mut world = world(|fake| open = Some(gate(fake, "call:s/slow")));
    world.say(&call(1, "slow"));
    drop(world.client);
    open.unwrap().send(()).unwrap();
    assert_eq!(
        line(&mut world.server),
        call(1, "slow"),
        "what was said before is still forwarded"
    );
    assert_eq!(line(&mut world.server), "", "the end");
    world
        .says
        .as_mut()
        .unwrap()
        .write_all(b"{\"id\":1,\"result\":{}}\nrest")
        .unwrap();
    drop(world.says.take());
    world.relaying.join().unwrap();
    assert_eq!(line(&mut world.answers), "{\"id\":1,\"result\":{}}\n");
    assert_eq!(line(&mut world.answers), "rest");
}

#[test]
fn a_server_that_has_gone_ends_it_though_the_client_is_there() {
    let mut world = world(|_| ());
    drop(world.says.take());
    world.relaying.join().unwrap();
}
