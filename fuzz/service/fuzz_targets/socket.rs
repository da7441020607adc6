//! Lines of the socket of `dragons run` and `dragons attend` (docs/socket.md). What is understood says one thing, with
//! members that `hello` tells; it is understood in the same way when it is written anew in another order, and not at all
//! with one member more.

#![no_main]

use client::speaker::hostile;
use ledger::json::Value;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    let Ok(understood) = hostile::understand(line) else {
        return;
    };
    let value = Value::parse(line.trim_ascii()).expect("what is understood is strict JSON");
    let (kind, said) = said(&value);
    check_members(kind, said);
    let turned = turned(&value);
    for value in [&value, &turned] {
        let again = hostile::understand(value.to_json().as_bytes());
        assert_eq!(again.expect("it is the same line"), understood);
    }
    for more in [with_more(&value), with_more_inside(&value, kind)] {
        assert!(
            hostile::understand(more.to_json().as_bytes()).is_err(),
            "{more:?}"
        );
    }
});

/// The one thing that a line says.
fn said(line: &Value) -> (&str, &Value) {
    let Value::Object(members) = line else {
        panic!("a line is an object");
    };
    let mut said = members.iter().filter(|(name, _)| name != "id");
    let (kind, value) = said.next().expect("it says something");
    assert!(said.next().is_none(), "it says one thing");
    (kind, value)
}

fn check_members(kind: &str, said: &Value) {
    let known = hostile::members(kind).expect("hello tells of it");
    match said {
        Value::Object(members) => {
            for (name, _) in members {
                assert!(known.contains(&name.as_str()), "{kind} has {name}");
            }
        }
        said => assert!(
            known.is_empty() && matches!(said, Value::Integer(_)),
            "{kind}"
        ),
    }
}

/// The same line with its members, and those of what it says, the other way round.
fn turned(line: &Value) -> Value {
    let Value::Object(members) = line else {
        return line.clone();
    };
    let mut members = members.clone();
    members.reverse();
    for (_, said) in &mut members {
        if let Value::Object(members) = said {
            members.reverse();
        }
    }
    Value::Object(members)
}

fn with_more(object: &Value) -> Value {
    let Value::Object(members) = object else {
        return Value::Bool(false);
    };
    let mut members = members.clone();
    members.push(("More".to_owned(), Value::Integer(1)));
    Value::Object(members)
}

fn with_more_inside(line: &Value, kind: &str) -> Value {
    let Value::Object(members) = line else {
        return Value::Bool(false);
    };
    let mut members = members.clone();
    for (name, said) in &mut members {
        if name == kind {
            *said = with_more(said);
        }
    }
    Value::Object(members)
}
