//! Calls behind `dragons mcp` that overlap, are taken back, or are denied in part; and two proxies of one agent.

use serde_json::{Value, json};
use tests::{World, proxied, scopes, tools_world};

const ENFORCES: &str = r#"{"liveness":{"heartbeat_ms":150}}"#;

fn call(id: &Value, tool: &str) -> String {
    let params = json!({"name": tool, "_meta": {"progressToken": id}});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string()
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).expect("JSON")
}

fn statuses(world: &World) -> Vec<String> {
    let results = world.receipts("result").into_iter();
    let mut statuses: Vec<String> = results
        .map(|result| result["status"].as_str().expect("a text").to_owned())
        .collect();
    statuses.sort();
    statuses
}

#[test]
fn a_call_that_is_taken_back_is_cancelled_and_the_rest_goes_on() {
    let world = tools_world(ENFORCES);
    let mut client = proxied(&world, &[]);
    client.say(&call(&json!("c"), "ask"));
    assert_eq!(parsed(&client.hear())["method"], "sampling/createMessage");
    client
        .say(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"c"}}"#);
    assert_eq!(client.call(2, "echo")["result"]["isError"], false);
    let (_, said) = client.end();
    assert!(
        said.contains("heard notifications/cancelled"),
        "the server hears of it: {said}"
    );
    assert_eq!(statuses(&world), ["cancelled", "ok"]);
    world.blames_nobody();
}

#[test]
fn a_call_may_overtake_another_and_each_has_its_own_result() {
    let world = tools_world(ENFORCES);
    let mut client = proxied(&world, &[]);
    client.say(&call(&json!(1), "ask"));
    client.hear();
    assert_eq!(client.call(2, "fail")["result"]["isError"], true);
    client.say(r#"{"jsonrpc":"2.0","id":0,"result":{"content":{"type":"text","text":"yes"}}}"#);
    let answer = parsed(&client.hear());
    assert_eq!(
        (&answer["id"], &answer["result"]["content"][0]["text"]),
        (&json!(1), &json!("the model says yes"))
    );
    client.end();
    let results = world.receipts("result");
    let intents = world.receipts("intent");
    assert_eq!(scopes(&world), ["call:s/ask", "call:s/fail"]);
    assert_eq!(statuses(&world), ["error", "ok"]);
    let failed = results.iter().find(|result| result["status"] == "error");
    let of = failed.expect("a result")["intent"]
        .as_str()
        .expect("a hash");
    let entries = world.entries();
    let entry = entries
        .iter()
        .find(|entry| entry["payload"]["scope"] == intents[1]["scope"]);
    assert_eq!(entry.expect("an entry")["record"], of);
}

#[test]
fn of_an_array_what_is_denied_is_answered_and_the_rest_passes() {
    let world = tools_world(ENFORCES);
    let mut client = proxied(&world, &[]);
    let array = [call(&json!(1), "remove file"), call(&json!(2), "echo")].join(",");
    client.say(&format!("[{array}]"));
    let mut answers = Vec::new();
    while answers.len() < 2 {
        let heard = parsed(&client.hear());
        let heard = heard.as_array().expect("an array is answered by arrays");
        answers.extend(
            heard
                .iter()
                .filter(|said| said.get("id").is_some())
                .cloned(),
        );
    }
    answers.sort_by_key(|answer| answer["id"].as_u64());
    let errors: Vec<&Value> = answers
        .iter()
        .map(|one| &one["result"]["isError"])
        .collect();
    assert_eq!(errors, [&json!(true), &json!(false)]);
    let (_, said) = client.end();
    assert!(!said.contains("called remove"), "{said}");
    assert_eq!(scopes(&world), ["call:s/echo"]);
}

/// Each proxy counts by itself, so the largest count alone would hide that the others get on.
#[test]
fn progress_behind_several_proxies_of_one_agent_adds_up() {
    let world = tools_world(ENFORCES);
    let mut clients = [proxied(&world, &[]), proxied(&world, &[])];
    for client in &mut clients {
        // Two steps each, and the answer.
        client.ask(&call(&json!(1), "echo"));
    }
    let is_told = || {
        let beats = world.payloads("heartbeat");
        beats.iter().any(|beat| beat["progress"] == 4)
    };
    while !is_told() {}
    let [first, second] = clients;
    // The one that speaks for the agent goes last.
    second.end();
    first.end();
    world.blames_nobody();
}
