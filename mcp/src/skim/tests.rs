use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn skim(text: &str, piece: usize) -> Vec<Skimmed> {
    let mut skim = Skim::default();
    text.as_bytes()
        .chunks(piece.max(1))
        .for_each(|piece| skim.push(piece));
    skim.finish()
}

fn one(text: &str) -> Skimmed {
    let mut found = skim(text, 3);
    assert_eq!(found.len(), 1, "{text}");
    found.remove(0)
}

#[test]
fn the_id_may_come_last() {
    let text = r#"{"result":{"content":[{"type":"text","text":"}\"]"}],"isError" : true },"jsonrpc":"2.0","id":"a b"}"#;
    let message = one(text);
    assert_eq!(member(&message.members, "id"), Some("\"a b\""));
    let result = message.result.unwrap();
    assert_eq!(member(&result.members, "isError"), Some("true"));
    let json = r#"{"content":[{"type":"text","text":"}\"]"}],"isError" : true }"#;
    assert_eq!(result.json.unwrap(), json.as_bytes());
    assert_eq!(result.digest, Digest::of(&[json.as_bytes()]));
}

#[test]
fn members_of_other_depths_are_not_taken_for_those_of_the_top() {
    let text = r#"{"id":1,"result":{"content":[{"id":2,"isError":true}],"meta":{"isError":true}},"error":{"result":{"a":1}}}"#;
    let message = one(text);
    assert_eq!(member(&message.members, "id"), Some("1"));
    assert_eq!(
        member(&message.members, "error"),
        Some(r#"{"result":{"a":1}}"#)
    );
    assert_eq!(member(&message.result.unwrap().members, "isError"), None);
}

#[test]
fn a_long_result_is_digested_and_not_kept() {
    let long = "x".repeat(KEPT_RESULT_BYTES);
    let json = format!(r#"{{"text":"{long}","isError":false}}"#);
    let result = one(&format!(r#"{{"result":{json},"id":1}}"#))
        .result
        .unwrap();
    assert_eq!(result.json, None);
    assert_eq!(result.digest, Digest::of(&[json.as_bytes()]));
    assert_eq!(member(&result.members, "isError"), Some("false"));
    assert_eq!(member(&result.members, "text"), None, "too long to be kept");
}

#[test]
fn an_array_is_several_messages() {
    let found = skim(
        r#" [{"id":1,"result":{}},{"id":2,"error":{}},3,[{"id":4}]]"#,
        1,
    );
    let ids: Vec<_> = found.iter().map(|one| member(&one.members, "id")).collect();
    assert_eq!(ids, [Some("1"), Some("2")]);
}

#[test]
fn names_that_come_twice_are_noticed_in_any_object_and_spelling() {
    for text in [
        r#"{"id":1,"id":2}"#,
        r#"{"id":1,"\u0069d":2}"#,
        r#"{"params":{"a":[{"b":1,"c":2,"b":3}]}}"#,
    ] {
        assert!(one(text).twice.is_some(), "{text}");
    }
    for text in [
        r#"{"id":1,"params":{"id":2}}"#,
        r#"{"a":[{"b":1},{"b":2}]}"#,
        r#"{"a":"b","b":"a"}"#,
    ] {
        assert_eq!(one(text).twice, None, "{text}");
    }
}

#[test]
fn what_is_not_a_message_is_nothing() {
    for text in [
        "",
        "Server started",
        "it's \"so",
        "42",
        "[INFO] {",
        &"[".repeat(MAX_DEPTH + 2),
    ] {
        assert_eq!(skim(text, 1), [], "{text}");
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z\"\\\\{}\\[\\],: é\u{1f409}\n]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("id|result|isError|[a-c\"{]{1,2}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// A reader that parses the whole finds the same.
    #[test]
    fn a_parser_finds_the_same(result in values(), id in values(), piece in 1usize..9, wide in any::<bool>()) {
        let message = json!({"id": id, "result": result, "jsonrpc": "2.0"});
        let text = if wide { serde_json::to_string_pretty(&message) } else { serde_json::to_string(&message) }.unwrap();
        let found = skim(&text, piece);
        prop_assert_eq!(found.len(), 1);
        let parsed = |json: &str| serde_json::from_str::<Value>(json).unwrap();
        prop_assert_eq!(parsed(member(&found[0].members, "id").unwrap()), id);
        let skimmed = found[0].result.as_ref().unwrap();
        prop_assert_eq!(serde_json::from_slice::<Value>(skimmed.json.as_ref().unwrap()).unwrap(), result.clone());
        if let Value::Object(members) = &result {
            for (name, value) in members {
                prop_assert_eq!(&parsed(member(&skimmed.members, name).unwrap()), value);
            }
        }
        prop_assert_eq!(&found[0].twice, &None);
    }
}
