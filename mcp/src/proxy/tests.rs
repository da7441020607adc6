use std::sync::mpsc::Receiver;

use serde_json::{Value, json};

use super::*;
use crate::fake::{Event, Fake};
use crate::governor::Committed;
use crate::skim::Skim;

struct World {
    proxy: Proxy,
    fake: Arc<Fake>,
    seen: Receiver<Event>,
}

fn world(mode: Mode) -> World {
    changed(mode, |_| ())
}

fn changed(mode: Mode, change: impl FnOnce(&mut Fake)) -> World {
    let (mut fake, seen) = Fake::new(mode);
    change(&mut fake);
    let fake = Arc::new(fake);
    let proxy = Proxy::new(fake.clone(), "s", []).unwrap();
    World { proxy, fake, seen }
}

impl World {
    /// The client says something here; what becomes of it.
    fn say_at(&self, place: &Place, text: &str) -> Decision {
        let heard = Heard::read(text.as_bytes().to_vec(), true);
        let decision = match heard.has_to_be_decided() {
            true => self.proxy.decide(&heard, place),
            false => Decision {
                forward: Forward::Whole,
                answer: None,
            },
        };
        if decision.forward != Forward::Nothing {
            self.proxy.forwarded(&heard, place);
        }
        decision
    }

    fn say(&self, text: &str) -> Decision {
        self.say_at(&Place::default(), text)
    }

    fn call(&self, id: &str, tool: &str) -> Decision {
        self.say(&call(id, tool, ""))
    }

    fn answer_at(&self, place: &Place, text: &str) {
        let mut skim = Skim::default();
        skim.push(text.as_bytes());
        skim.finish()
            .iter()
            .for_each(|message| self.proxy.told(message, place));
    }

    fn answer(&self, text: &str) {
        self.answer_at(&Place::default(), text);
    }

    /// How the calls were closed since this was asked last.
    fn closed(&self) -> Vec<Ending> {
        let closed = self.seen.try_iter().filter_map(|event| match event {
            Event::Closed(_, ending) => Some(ending),
            _ => None,
        });
        closed.collect()
    }

    /// The refs of the last action, and of what came of it.
    fn last_refs(&self) -> Vec<(String, String)> {
        let (actions, outcomes) = (locked(&self.fake.actions), locked(&self.fake.outcomes));
        let (action, outcome) = (actions.last().unwrap(), outcomes.last().unwrap());
        let refs = action.refs.iter().chain(&outcome.refs);
        refs.map(|(name, text)| (name.to_string(), text.as_str().to_owned()))
            .collect()
    }
}

fn call(id: &str, tool: &str, more: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}"{more}}}}}"#
    )
}

fn place(session: Option<&str>, exchange: u64) -> Place {
    Place {
        session: session.map(str::to_owned),
        exchange,
    }
}

fn text_of(answer: &Option<Vec<u8>>) -> String {
    let value: Value = serde_json::from_slice(answer.as_ref().unwrap()).unwrap();
    assert_eq!(value["result"]["isError"], true, "{value}");
    value["result"]["content"][0]["text"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_call_is_asked_for_before_and_closed_after() {
    let world = world(Mode::Enforce);
    let decision = world.say(&call("0", "read file", r#","arguments":{"a":1}"#));
    assert_eq!(
        decision,
        Decision {
            forward: Forward::Whole,
            answer: None
        }
    );
    let action = locked(&world.fake.actions).remove(0);
    assert_eq!(action.scope.to_string(), "call:s/read+20file");
    assert_eq!(action.tool.as_str(), "read+20file");
    assert_eq!(action.arguments, Committed::Value(br#"{"a":1}"#.to_vec()));
    assert_eq!(world.closed(), []);
    world.answer(r#"{"jsonrpc":"2.0","id":0,"result":{"content":[]}}"#);
    assert_eq!(world.closed(), [Ending::Ok]);
    let output = locked(&world.fake.outcomes).remove(0).output;
    assert_eq!(
        output,
        Some(Committed::Value(br#"{"content":[]}"#.to_vec()))
    );
    world.answer(r#"{"jsonrpc":"2.0","id":0,"result":{"content":[]}}"#);
    assert_eq!(world.closed(), [], "there is one result");
}

#[test]
fn an_error_of_the_tool_and_one_of_the_protocol_are_errors() {
    let world = world(Mode::Enforce);
    for answer in [
        r#"{"id":1,"result":{"isError":true,"content":[]}}"#,
        r#"{"id":1,"error":{"code":-32602,"message":"no such tool"}}"#,
    ] {
        world.call("1", "a");
        world.answer(answer);
        assert_eq!(world.closed(), [Ending::Error], "{answer}");
        assert!(locked(&world.fake.outcomes).pop().unwrap().output.is_some());
    }
}

#[test]
fn the_id_of_a_request_of_the_server_is_another_id() {
    let world = world(Mode::Enforce);
    world.call("0", "a");
    world.answer(r#"{"id":0,"method":"sampling/createMessage","params":{}}"#);
    world.say(r#"{"id":0,"result":{"role":"assistant"}}"#);
    assert_eq!(world.closed(), []);
    world.answer(r#"{"id":"0","result":{}}"#);
    assert_eq!(world.closed(), [], "an id of another type");
    world.answer(r#"{"id":0,"result":{}}"#);
    assert_eq!(world.closed(), [Ending::Ok]);
}

#[test]
fn a_denied_call_is_a_result_that_a_model_understands() {
    let world = world(Mode::Enforce);
    let decision = world.call("\"x\"", "denied");
    assert_eq!(decision.forward, Forward::Nothing);
    let text = text_of(&decision.answer);
    for part in [
        "scope-denied",
        "call:s/denied",
        "did not run",
        "no lease allows",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(world.closed(), [], "nothing was begun");
    let newest = r#","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    let answer = world.say(&call("1", "denied", newest)).answer.unwrap();
    let value: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(
        (&value["result"]["resultType"], &value["id"]),
        (&json!("complete"), &json!(1))
    );
}

#[test]
fn a_service_that_is_away_stops_calls_only_where_it_enforces() {
    let enforcing = changed(Mode::Enforce, |fake| fake.is_away = true);
    let decision = enforcing.call("1", "a");
    assert_eq!(decision.forward, Forward::Nothing);
    assert!(text_of(&decision.answer).contains("service-away"));
    assert_eq!(enforcing.proxy.passed(), 0);
    let observing = changed(Mode::Observe, |fake| fake.is_away = true);
    let decision = observing.call("1", "a");
    assert_eq!(
        decision,
        Decision {
            forward: Forward::Whole,
            answer: None
        }
    );
    assert_eq!(observing.proxy.passed(), 1);
    assert_eq!(locked(&observing.fake.warnings).len(), 1);
    observing.answer(r#"{"id":1,"result":{}}"#);
    assert_eq!(observing.closed(), [], "there is no intent to close");
}

#[test]
fn what_readers_may_differ_on_is_stopped_only_where_it_enforces() {
    let twice = r#"{"id":1,"method":"tools/list","method":"tools/call","params":{"name":"a"}}"#;
    let notification = r#"{"method":"a","method":"b"}"#;
    let not_json = r#"{"id":1,"method":"tools/call","params":{"name":"a","arguments":{"b":NaN}}}"#;
    let enforcing = world(Mode::Enforce);
    assert!(text_of(&enforcing.say(twice).answer).contains("twice"));
    assert_eq!(
        enforcing.say(notification),
        Decision {
            forward: Forward::Nothing,
            answer: None
        }
    );
    let answer = enforcing.say(not_json).answer.unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&answer).unwrap()["error"]["code"],
        -32700
    );
    let request = enforcing
        .say(r#"{"id":1,"Id":2,"method":"ping"}"#)
        .answer
        .unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&request).unwrap()["error"]["code"],
        -32600
    );
    assert!(locked(&enforcing.fake.actions).is_empty());
    let observing = world(Mode::Observe);
    for text in [twice, notification, not_json] {
        assert_eq!(
            observing.say(text),
            Decision {
                forward: Forward::Whole,
                answer: None
            }
        );
    }
    assert_eq!(observing.proxy.passed(), 3);
}

#[test]
fn a_call_that_is_taken_back_is_cancelled() {
    let world = world(Mode::Enforce);
    world.call("1", "a");
    world.call("2", "a");
    world.say(r#"{"method":"notifications/cancelled","params":{"requestId":2,"reason":"r"}}"#);
    assert_eq!(world.closed(), [Ending::Cancelled]);
    world.answer(r#"{"id":2,"result":{}}"#);
    world.answer(r#"{"id":1,"result":{}}"#);
    assert_eq!(world.closed(), [Ending::Ok], "its answer comes too late");
    world.answer(r#"{"method":"notifications/cancelled","params":{"requestId":1}}"#);
}

#[test]
fn input_that_is_required_is_not_a_result_and_the_retry_is_the_same_action() {
    let world = world(Mode::Enforce);
    let required = |id: u32| {
        format!(
            r#"{{"id":{id},"result":{{"resultType":"input_required","inputRequests":{{"q":{{}}}},"requestState":"s{id}"}}}}"#
        )
    };
    let retry = |id: &str, state: &str| {
        call(
            id,
            "a",
            &format!(r#","inputResponses":{{"q":{{}}}},"requestState":"{state}""#),
        )
    };
    world.call("1", "a");
    world.answer(&required(1));
    assert_eq!(world.closed(), []);
    assert_eq!(world.say(&retry("2", "s1")).forward, Forward::Whole);
    world.answer(&required(2));
    assert_eq!(world.say(&retry("3", "s2")).forward, Forward::Whole);
    assert_eq!(
        locked(&world.fake.actions).len(),
        1,
        "it was asked for once"
    );
    world.answer(r#"{"id":3,"result":{"resultType":"complete","content":[]}}"#);
    assert_eq!(world.closed(), [Ending::Ok]);
    world.say(&retry("4", "s2"));
    assert_eq!(locked(&world.fake.actions).len(), 2, "a state serves once");
}

#[test]
fn a_retry_with_other_arguments_or_another_tool_is_another_action() {
    let world = world(Mode::Enforce);
    let state = r#","requestState":"s""#;
    for other in [
        call("2", "b", state),
        call("2", "a", r#","arguments":{"x":1},"requestState":"s""#),
        call("2", "denied", state),
    ] {
        world.call("1", "a");
        world.answer(r#"{"id":1,"result":{"resultType":"input_required","requestState":"s"}}"#);
        let before = locked(&world.fake.actions).len();
        world.say(&other);
        assert_eq!(locked(&world.fake.actions).len(), before + 1, "{other}");
        world.proxy.client_ended();
    }
}

#[test]
fn a_retry_without_a_state_is_known_by_its_tool_and_arguments() {
    let world = world(Mode::Enforce);
    world.call("1", "a");
    world.answer(r#"{"id":1,"result":{"resultType":"input_required","inputRequests":{"q":{}}}}"#);
    world.call("5", "a");
    assert_eq!(
        locked(&world.fake.actions).len(),
        2,
        "not a retry: it answers nothing"
    );
    world.say(&call("2", "a", r#","inputResponses":{"q":{}}"#));
    assert_eq!(locked(&world.fake.actions).len(), 2);
    world.answer(r#"{"id":2,"result":{}}"#);
    assert_eq!(world.closed(), [Ending::Ok]);
}

#[test]
fn a_task_is_not_a_result_in_either_revision() {
    let started = [
        r#"{"id":1,"result":{"task":{"taskId":"t","status":"working"}}}"#,
        r#"{"id":1,"result":{"resultType":"task","taskId":"t","status":"working"}}"#,
    ];
    let get = r#"{"id":2,"method":"tasks/get","params":{"taskId":"t"}}"#;
    let result = r#"{"id":2,"method":"tasks/result","params":{"taskId":"t"}}"#;
    let cancel = r#"{"id":2,"method":"tasks/cancel","params":{"taskId":"t"}}"#;
    for (request, answer, closed) in [
        (
            get,
            r#"{"id":2,"result":{"taskId":"t","status":"working"}}"#,
            None,
        ),
        (
            get,
            r#"{"id":2,"result":{"taskId":"t","status":"completed"}}"#,
            None,
        ),
        (
            get,
            r#"{"id":2,"result":{"status":"completed","result":{"content":[]}}}"#,
            Some(Ending::Ok),
        ),
        (
            get,
            r#"{"id":2,"result":{"status":"completed","result":{"isError":true}}}"#,
            Some(Ending::Error),
        ),
        (
            get,
            r#"{"id":2,"result":{"status":"failed","error":{"code":1}}}"#,
            Some(Ending::Error),
        ),
        (
            get,
            r#"{"id":2,"result":{"status":"cancelled"}}"#,
            Some(Ending::Cancelled),
        ),
        (get, r#"{"id":2,"error":{"code":-32602}}"#, None),
        (
            result,
            r#"{"id":2,"result":{"content":[]}}"#,
            Some(Ending::Ok),
        ),
        (
            result,
            r#"{"id":2,"result":{"isError":true}}"#,
            Some(Ending::Error),
        ),
        (
            cancel,
            r#"{"id":2,"result":{"resultType":"complete"}}"#,
            Some(Ending::Cancelled),
        ),
        (cancel, r#"{"id":2,"error":{"code":-32602}}"#, None),
        (
            "",
            r#"{"method":"notifications/tasks/status","params":{"taskId":"t","status":"failed"}}"#,
            Some(Ending::Error),
        ),
        (
            "",
            r#"{"method":"notifications/tasks/status","params":{"taskId":"t","status":"working"}}"#,
            None,
        ),
    ] {
        for started in started {
            let world = world(Mode::Enforce);
            world.call("1", "a");
            world.answer(started);
            assert_eq!(world.closed(), [], "{started}");
            world.say(request);
            world.answer(answer);
            assert_eq!(
                world.closed().first().copied(),
                closed,
                "{request} {answer}"
            );
        }
    }
}

#[test]
fn progress_of_the_server_is_progress_of_the_agent() {
    let world = world(Mode::Enforce);
    world
        .answer(r#"{"method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#);
    assert_eq!(world.seen.try_recv(), Ok(Event::Progress));
}

#[test]
fn results_carry_what_joins_them_and_what_was_noticed() {
    let world = world(Mode::Enforce);
    let list = |description: &str| {
        world.say(r#"{"id":9,"method":"tools/list"}"#);
        world.answer(&format!(
            r#"{{"id":9,"result":{{"tools":[{{"name":"a","description":"{description}"}}]}}}}"#
        ));
    };
    list("one");
    let trace = format!("00-{}-{}-01", "a".repeat(32), "b".repeat(16));
    let meta = format!(r#","_meta":{{"claudecode/toolUseId":"toolu_1","traceparent":"{trace}"}}"#);
    world.say(&call("1", "a", &meta));
    assert!(locked(&world.fake.actions)[0].definition.is_some());
    world.answer(r#"{"id":1,"result":{}}"#);
    let call = locked(&world.fake.actions)[0].call.clone();
    assert_eq!(call.as_deref(), Some("toolu_1"));
    let expected = [("trace", "a".repeat(32)), ("span", "b".repeat(16))];
    assert_eq!(
        world.last_refs(),
        expected.map(|(name, text)| (name.to_owned(), text))
    );
    list("two");
    assert!(locked(&world.fake.warnings)[0].contains("changed by the server"));
    world.call("1", "a");
    world.answer(r#"{"id":1,"id":1,"result":{}}"#);
    let names: Vec<String> = world
        .last_refs()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["definition", "ambiguous"]);
    assert!(
        world.last_refs()[0]
            .1
            .starts_with("changed-since-shown sha256:")
    );
}

#[test]
fn what_is_denied_leaves_an_array_and_the_rest_stays_as_it_is() {
    let world = world(Mode::Enforce);
    let (one, two) = (r#"{"id":1, "method":"ping"}"#, call("2", "a", ""));
    let batch = format!("[{one} ,{}, {two}]", call("3", "denied", ""));
    let decision = world.say(&batch);
    assert_eq!(
        decision.forward,
        Forward::Rest(format!("[{one},{two}]").into_bytes())
    );
    let answers: Value = serde_json::from_slice(&decision.answer.unwrap()).unwrap();
    assert_eq!(
        (answers.as_array().unwrap().len(), &answers[0]["id"]),
        (1, &json!(3))
    );
    world.answer(r#"[{"id":1,"result":{}},{"id":2,"result":{}}]"#);
    assert_eq!(world.closed(), [Ending::Ok]);
    assert_eq!(world.say(&format!("[{two}]")).forward, Forward::Whole);
    assert_eq!(
        world.say(&format!("[{}]", call("3", "denied", ""))).forward,
        Forward::Nothing
    );
}

#[test]
fn ids_of_two_clients_are_two_and_an_answer_may_come_by_another_stream_of_its_session() {
    let world = world(Mode::Enforce);
    let (one, two) = (place(None, 1), place(None, 2));
    world.say_at(&one, &call("1", "a", ""));
    world.say_at(&two, &call("1", "b", ""));
    world.answer_at(&two, r#"{"id":1,"result":{}}"#);
    world.answer_at(&one, r#"{"id":1,"result":{"isError":true}}"#);
    let closed: Vec<Event> = world
        .seen
        .try_iter()
        .filter(|event| matches!(event, Event::Closed(..)))
        .collect();
    assert_eq!(
        closed,
        [
            Event::Closed("call:s/b".to_owned(), Ending::Ok),
            Event::Closed("call:s/a".to_owned(), Ending::Error)
        ]
    );
    world.say_at(&place(Some("x"), 3), &call("1", "a", ""));
    world.answer_at(&place(Some("y"), 4), r#"{"id":1,"result":{}}"#);
    assert_eq!(world.closed(), []);
    world.answer_at(&place(Some("x"), 5), r#"{"id":1,"result":{}}"#);
    assert_eq!(world.closed(), [Ending::Ok]);
}

#[test]
fn nothing_stays_open() {
    let world = world(Mode::Enforce);
    world.call("1", "a");
    world.proxy.server_ended();
    assert_eq!(world.closed(), [Ending::Error]);
    assert_eq!(
        world.last_refs(),
        [("end".to_owned(), "the server ended".to_owned())]
    );
    world.call("1", "a");
    world.proxy.client_ended();
    assert_eq!(world.closed(), [Ending::Cancelled]);
}
