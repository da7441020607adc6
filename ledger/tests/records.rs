//! Every member of every kind, spoiled in every simple way: the parsers refuse, with the code.

use ledger::codes::Code;
use ledger::envelope::{Envelope, MAX_ENVELOPE_BYTES, MAX_INTENT_BYTES, MAX_PAYLOAD_BYTES};
use ledger::json::Value;
use ledger::key::PrivateKey;
use ledger::leaf::{Leaf, MAX_LEAF_BYTES};
use ledger::record::{
    Event, Kind, MAX_CALL_BYTES, MAX_EXT_BYTES, Record, SeenStatus, SignedRecord,
};
use proptest::prelude::*;

/// A sound payload of each kind and phase, from the golden history.
fn payloads() -> Vec<(Kind, Value)> {
    let golden: serde_json::Value = serde_json::from_str(include_str!("golden.json")).unwrap();
    let records = golden["records"].as_array().unwrap();
    let payload = |record: &serde_json::Value| {
        let kind = record["kind"].as_str().unwrap().parse().unwrap();
        (
            kind,
            Value::parse(record["payload"].as_str().unwrap().as_bytes()).unwrap(),
        )
    };
    records.iter().map(payload).collect()
}

/// A leaf is written straight from its parts; the JSON writer says the same of it.
#[test]
fn an_envelope_is_written_as_json_is() {
    let keys: Vec<PrivateKey> = (1..=3).map(|n| PrivateKey::from_seed(&[n; 32])).collect();
    for (kind, payload) in payloads() {
        for signers in 1..=keys.len() {
            let keys: Vec<&PrivateKey> = keys.iter().take(signers).collect();
            let payload = payload.to_json().into_bytes();
            let envelope = Envelope::sign(kind, payload, &keys).unwrap();
            assert_eq!(envelope.to_json(), envelope.to_value().to_json());
            assert_eq!(Envelope::parse(envelope.to_json().as_bytes()), Ok(envelope));
        }
    }
}

fn parse(kind: Kind, payload: &Value) -> Result<Record, Code> {
    Record::parse(kind, payload.to_json().as_bytes()).map_err(|refusal| refusal.code)
}

/// The paths of all objects in a value; the empty path is the value itself.
fn objects(value: &Value) -> Vec<Vec<usize>> {
    let children: Vec<&Value> = match value {
        Value::Object(members) => members.iter().map(|(_, value)| value).collect(),
        Value::Array(values) => values.iter().collect(),
        _ => vec![],
    };
    let own = matches!(value, Value::Object(_)).then(Vec::new);
    let below = children.into_iter().enumerate().flat_map(|(n, child)| {
        objects(child)
            .into_iter()
            .map(move |path| [vec![n], path].concat())
    });
    own.into_iter().chain(below).collect()
}

fn at<'a>(value: &'a mut Value, path: &[usize]) -> &'a mut Vec<(String, Value)> {
    let Some((first, rest)) = path.split_first() else {
        let Value::Object(members) = value else {
            unreachable!("the path of an object")
        };
        return members;
    };
    match value {
        Value::Object(members) => at(&mut members[*first].1, rest),
        Value::Array(values) => at(&mut values[*first], rest),
        _ => unreachable!("a path through arrays and objects"),
    }
}

/// Free maps take any name, so a surplus member there is none.
const FREE_MAPS: [&str; 4] = ["inputs", "outputs", "refs", "params"];

fn is_free_map(value: &Value, path: &[usize]) -> bool {
    let Some((last, above)) = path.split_last() else {
        return false;
    };
    let mut value = value.clone();
    let parent = objects(&value).contains(&above.to_vec());
    parent && FREE_MAPS.contains(&at(&mut value, above)[*last].0.as_str())
}

#[test]
fn a_surplus_member_anywhere_is_refused() {
    for (kind, payload) in payloads() {
        for path in objects(&payload)
            .into_iter()
            .filter(|path| !is_free_map(&payload, path))
        {
            let mut spoiled = payload.clone();
            at(&mut spoiled, &path).push(("surplus".to_owned(), Value::Null));
            assert_eq!(
                parse(kind, &spoiled),
                Err(Code::UnknownMember),
                "{kind} at {path:?}"
            );
        }
    }
}

#[test]
fn a_missing_member_anywhere_is_refused() {
    for (kind, payload) in payloads() {
        for path in objects(&payload)
            .into_iter()
            .filter(|path| !is_free_map(&payload, path))
        {
            for n in 0..at(&mut payload.clone(), &path).len() {
                let mut spoiled = payload.clone();
                let (name, _) = at(&mut spoiled, &path).remove(n);
                let got = parse(kind, &spoiled).map(drop);
                assert_eq!(got, Err(Code::Malformed), "{kind} without {name}");
            }
        }
    }
}

#[test]
fn a_member_of_another_type_anywhere_is_refused() {
    let others = [
        Value::Bool(true),
        Value::Integer(7),
        Value::Text("\n".to_owned()),
        Value::Array(vec![Value::Null]),
        Value::Object(vec![("/".to_owned(), Value::Null)]),
    ];
    for (kind, payload) in payloads() {
        for path in objects(&payload) {
            for n in 0..at(&mut payload.clone(), &path).len() {
                for other in &others {
                    let mut spoiled = payload.clone();
                    let (name, value) = &mut at(&mut spoiled, &path)[n];
                    if std::mem::discriminant(value) == std::mem::discriminant(other)
                        || *value == Value::Null
                    {
                        continue;
                    }
                    let what = format!("{kind} with {name} {other:?}");
                    *value = other.clone();
                    assert!(parse(kind, &spoiled).is_err(), "{what}");
                }
            }
        }
    }
}

/// Members whose value may be `null`, by their names.
const NULLABLE: [&str; 15] = [
    "log",
    "previous",
    "replaces",
    "server",
    "actions",
    "tokens",
    "cost_micros",
    "renew_until_ms",
    "parent",
    "after",
    "state",
    "before",
    "seen",
    "record",
    "witnessed",
];

#[test]
fn null_stands_only_where_a_value_may_be_absent() {
    for (kind, payload) in payloads() {
        for path in objects(&payload) {
            for n in 0..at(&mut payload.clone(), &path).len() {
                let mut spoiled = payload.clone();
                let (name, value) = &mut at(&mut spoiled, &path)[n];
                let name = name.clone();
                *value = Value::Null;
                let in_budget = kind == Kind::Lease;
                let may = match name.as_str() {
                    "tokens" | "cost_micros" => in_budget,
                    "call" | "status" | "began_ms" | "ended_ms" | "digest" => {
                        kind == Kind::Observation
                    }
                    "envelope" => true,
                    name => NULLABLE.contains(&name),
                };
                assert_eq!(
                    parse(kind, &spoiled).is_ok(),
                    may,
                    "{kind} with {name} null"
                );
            }
        }
    }
}

#[test]
fn ext_takes_free_members_and_no_hidden_text() {
    let (kind, mut payload) = payloads().pop().unwrap();
    let members = at(&mut payload, &[]);
    let inside = Value::Object(vec![("a b".to_owned(), Value::Integer(1))]);
    members.push(("ext".to_owned(), inside));
    let record = parse(kind, &payload).unwrap();
    assert_eq!(record.to_payload(), payload.to_json());
    for bad in [
        Value::Null,
        Value::Array(vec![]),
        Value::Text("x".to_owned()),
    ] {
        at(&mut payload, &[]).last_mut().unwrap().1 = bad;
        assert_eq!(parse(kind, &payload), Err(Code::Malformed));
    }
    let hidden = Value::Object(vec![("x".to_owned(), Value::Text("\u{202e}".to_owned()))]);
    at(&mut payload, &[]).last_mut().unwrap().1 = hidden;
    assert_eq!(parse(kind, &payload), Err(Code::Malformed));
}

#[test]
fn ext_is_short_where_nobody_looked_at_it_before() {
    let short = [Kind::Heartbeat, Kind::Receipt, Kind::Observation];
    for (kind, payload) in payloads() {
        let with_ext = |bytes: usize| {
            let mut payload = payload.clone();
            let inside = Value::Text("x".repeat(bytes - r#"{"x":""}"#.len()));
            let ext = Value::Object(vec![("x".to_owned(), inside)]);
            assert_eq!(ext.to_json().len(), bytes);
            at(&mut payload, &[]).push(("ext".to_owned(), ext));
            parse(kind, &payload).map(drop)
        };
        assert_eq!(with_ext(MAX_EXT_BYTES), Ok(()), "{kind}");
        let longer = if short.contains(&kind) {
            Err(Code::TooLarge)
        } else {
            Ok(())
        };
        assert_eq!(with_ext(MAX_EXT_BYTES + 1), longer, "{kind}");
    }
}

#[test]
fn an_observation_says_what_it_may() {
    let (kind, payload) = payloads()
        .into_iter()
        .find(|(kind, _)| *kind == Kind::Observation)
        .unwrap();
    let says = |changes: &[(&str, Value)]| {
        let mut payload = payload.clone();
        for (name, value) in changes {
            let members = at(&mut payload, &[]);
            members.iter_mut().find(|(it, _)| it == name).unwrap().1 = value.clone();
        }
        let record = parse(kind, &payload)?;
        assert_eq!(record.to_payload(), payload.to_json());
        Ok(())
    };
    let text = |text: &str| Value::Text(text.to_owned());
    let malformed = Err(Code::Malformed);
    for event in Event::ALL {
        assert_eq!(says(&[("event", (*event).into())]), Ok(()));
    }
    for status in SeenStatus::ALL {
        assert_eq!(says(&[("status", (*status).into())]), Ok(()));
    }
    assert_eq!(says(&[("event", text("seen"))]), malformed);
    assert_eq!(says(&[("status", text("done"))]), malformed);
    assert_eq!(says(&[("call", text(&"x".repeat(MAX_CALL_BYTES)))]), Ok(()));
    assert_eq!(
        says(&[("call", text(&"x".repeat(MAX_CALL_BYTES + 1)))]),
        malformed
    );
    let times =
        |began: u64, ended: u64| says(&[("began_ms", began.into()), ("ended_ms", ended.into())]);
    assert_eq!(times(5, 5), Ok(()));
    assert_eq!(times(6, 5), malformed);
    assert_eq!(
        says(&[("began_ms", Value::Null), ("ended_ms", 5.into())]),
        Ok(())
    );
}

#[test]
fn a_pulse_tells_the_state_or_does_not() {
    let (kind, payload) = payloads()
        .into_iter()
        .find(|(kind, _)| *kind == Kind::Pulse)
        .unwrap();
    let root = "jqVkZVr+iqY5gpLU5DzeVQCz+dk0nDI2mKcPUvgn7JA=";
    let told = |state: &str| {
        let json = payload
            .to_json()
            .replace("\"state\":null", &format!("\"state\":{state}"));
        let record = Record::parse(kind, json.as_bytes()).map_err(|refusal| refusal.code)?;
        assert_eq!(record.to_payload(), json);
        Ok(())
    };
    assert_eq!(
        told(&format!("{{\"entries\":3,\"root\":\"{root}\"}}")),
        Ok(())
    );
    assert_eq!(
        told("{\"entries\":3,\"root\":\"AAAA\"}"),
        Err(Code::Malformed)
    );
    assert_eq!(told("{\"entries\":3}"), Err(Code::Malformed));
}

/// A payload padded to a length by spaces inside, which strict JSON allows.
fn padded(kind: Kind, length: usize) -> Vec<u8> {
    let phase = |payload: &Value| payload.to_json().contains("\"phase\":\"intent\"");
    let wanted =
        |(of, payload): &(Kind, Value)| *of == kind && (kind != Kind::Receipt || phase(payload));
    let (_, payload) = payloads().into_iter().find(wanted).unwrap();
    let json = payload.to_json();
    let spaces = " ".repeat(length - json.len());
    json.replacen('{', &format!("{{{spaces}"), 1).into_bytes()
}

#[test]
fn sizes_are_bounded_to_the_byte() {
    let key = PrivateKey::from_seed(&[2; 32]);
    let signed = |kind, length| {
        let envelope = Envelope::sign(kind, padded(kind, length), &[&key])?;
        let leaf = Leaf::new(0, envelope.clone())?;
        assert_eq!(Leaf::parse(&leaf.to_bytes())?, leaf);
        SignedRecord::parse(envelope.to_json().as_bytes())
    };
    let code = |kind, length| {
        signed(kind, length)
            .map(drop)
            .map_err(|refusal| refusal.code)
    };
    assert_eq!(code(Kind::Pulse, MAX_PAYLOAD_BYTES), Ok(()));
    assert_eq!(
        code(Kind::Pulse, MAX_PAYLOAD_BYTES + 1),
        Err(Code::TooLarge)
    );
    assert_eq!(code(Kind::Receipt, MAX_INTENT_BYTES), Ok(()));
    assert_eq!(
        code(Kind::Receipt, MAX_INTENT_BYTES + 1),
        Err(Code::TooLarge)
    );
    let long = |length: usize| vec![b'x'; length];
    let of = |length| Envelope::parse(&long(length)).unwrap_err().code;
    assert_eq!(of(MAX_ENVELOPE_BYTES), Code::NotStrictJson);
    assert_eq!(of(MAX_ENVELOPE_BYTES + 1), Code::TooLarge);
    assert_eq!(
        Leaf::parse(&long(MAX_LEAF_BYTES + 1)).unwrap_err().code,
        Code::TooLarge
    );
}

#[test]
fn the_refusal_of_the_largest_intent_fits_into_a_leaf() {
    let key = PrivateKey::from_seed(&[2; 32]);
    let intent = Envelope::sign(
        Kind::Receipt,
        padded(Kind::Receipt, MAX_INTENT_BYTES),
        &[&key],
    );
    let intent = intent.unwrap();
    let refusal = |(kind, payload)| match (kind, payload) {
        (Kind::Refusal, Value::Object(members)) => Some(members),
        _ => None,
    };
    let mut members = payloads().into_iter().find_map(refusal).unwrap();
    for (name, value) in &mut members {
        match name.as_str() {
            "phase" => *value = Value::Text("intent".to_owned()),
            "refused" => *value = intent.record_hash().into(),
            "envelope" => *value = intent.to_value(),
            _ => {}
        }
    }
    let payload = Value::Object(members).to_json().into_bytes();
    assert!(Record::parse(Kind::Refusal, &payload).is_ok());
    let envelope = Envelope::sign(Kind::Refusal, payload, &[&key]).unwrap();
    assert!(Leaf::new(u64::MAX >> 11, envelope).is_ok());
}

#[test]
fn a_leaf_is_spelled_in_one_way() {
    let key = PrivateKey::from_seed(&[2; 32]);
    let (kind, payload) = payloads().pop().unwrap();
    let keys = [key, PrivateKey::from_seed(&[3; 32])];
    let keys: Vec<&PrivateKey> = keys.iter().collect();
    let envelope = Envelope::sign(kind, payload.to_json().into_bytes(), &keys).unwrap();
    let text = String::from_utf8(Leaf::new(5, envelope.clone()).unwrap().to_bytes()).unwrap();
    let [one, two] = [0, 1].map(|n| {
        let signature = envelope.signatures()[n];
        format!(
            "{{\"keyid\":\"{}\",\"sig\":\"{}\"}}",
            signature.keyid, signature.sig
        )
    });
    assert!(Leaf::parse(text.as_bytes()).is_ok());
    let spellings = [
        text.replace(":5,", ": 5,"),
        text.replace("{\"received_ms\":5,", "{")
            .replace("]}}", "]},\"received_ms\":5}"),
        text.replace(&format!("{one},{two}"), &format!("{two},{one}")),
        text.replace("\"keyid\"", "\"k\\u0065yid\""),
    ];
    for spelling in spellings {
        assert_ne!(spelling, text);
        let refused = Leaf::parse(spelling.as_bytes()).unwrap_err();
        assert_eq!(refused.code, Code::LeafNotCanonical, "{spelling}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Whatever a spoiled payload still says, it says the same after it was written again.
    #[test]
    fn what_is_read_writes_back_to_the_same_record(
        which in 0..16_usize,
        position in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let (kind, payload) = &payloads()[which];
        let mut bytes = payload.to_json().into_bytes();
        let position = position.index(bytes.len());
        bytes[position] = byte;
        if let Ok(record) = Record::parse(*kind, &bytes) {
            let again = Record::parse(*kind, record.to_payload().as_bytes());
            prop_assert_eq!(again.unwrap(), record);
        }
    }
}
