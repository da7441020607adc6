use ledger::json::Members;

use super::*;
use crate::speaker::request::Request;

const LONG: Duration = Duration::from_secs(3600);

fn hash(n: u8) -> RecordHash {
    format!("sha256:{}", format!("{n:02x}").repeat(32))
        .parse()
        .unwrap()
}

fn read(line: &str) -> Request {
    Request::read(Members::open("", Value::parse(line.as_bytes()).unwrap()).unwrap()).unwrap()
}

fn result(members: &str) -> ResultRequest {
    match read(&format!("{{\"result\":{{{members}}}}}")) {
        Request::Result(result) => *result,
        other => panic!("{other:?}"),
    }
}

fn doing(members: &str) -> Doing {
    let line = format!("{{\"intent\":{{\"scope\":\"read:a\"{members}}}}}");
    match read(&line) {
        Request::Intent(intent) => Doing {
            goal: hash(0xff),
            scope: intent.scope,
            tool: None,
            about: intent.about,
        },
        other => panic!("{other:?}"),
    }
}

fn begin(open: &mut OpenActions, n: u8, connection: Connection, members: &str) -> RecordHash {
    let doing = doing(members);
    open.begin(OpenAction::new(
        hash(n),
        connection,
        doing,
        Value::Null,
        LONG,
    ));
    hash(n)
}

fn meant(open: &OpenActions, members: &str, connection: Connection) -> Vec<RecordHash> {
    match open.meant(&result(members), connection) {
        Ok(Meant::Open(intents)) => intents,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_result_without_a_name_is_about_the_only_action_of_its_connection() {
    let mut open = OpenActions::default();
    assert!(open.meant(&result(""), 1).is_err(), "nothing is open");
    let one = begin(&mut open, 1, 1, "");
    assert_eq!(meant(&open, "", 1), [one]);
    assert_eq!(meant(&open, "", 2), [one], "another that began none");
    let two = begin(&mut open, 2, 2, "");
    assert_eq!(
        (meant(&open, "", 1), meant(&open, "", 2)),
        (vec![one], vec![two])
    );
    let refused = open.meant(&result(""), 3).unwrap_err();
    assert!(refused.detail.contains(&one.to_string()), "{refused}");
    assert!(refused.detail.contains(&two.to_string()), "{refused}");
    open.end(one, Value::Null, false);
    assert!(
        open.meant(&result(""), 1).is_err(),
        "that of another is not meant"
    );
    assert_eq!(meant(&open, "", 3), [two]);
    let three = begin(&mut open, 3, 2, "");
    let refused = open.meant(&result(""), 2).unwrap_err();
    assert!(refused.detail.contains(&three.to_string()), "{refused}");
    assert!(open.find(two).is_some() && open.find(one).is_none());
    assert_eq!(open.take(), [two, three]);
}

#[test]
fn a_result_is_about_what_it_names_whoever_tells_it_and_in_any_order() {
    let mut open = OpenActions::default();
    let one = begin(&mut open, 1, 1, r#","call":"c1","session":"s""#);
    let two = begin(&mut open, 2, 2, r#","call":"c2","session":"s""#);
    let other = begin(&mut open, 3, 3, r#","call":"c1","session":"t""#);
    assert_eq!(meant(&open, r#""call":"c2","session":"s""#, 9), [two]);
    assert_eq!(meant(&open, r#""call":"c1","session":"s""#, 9), [one]);
    assert_eq!(meant(&open, r#""call":"c1","session":"t""#, 1), [other]);
    let refused = open.meant(&result(r#""call":"c9""#), 1).unwrap_err();
    assert!(refused.detail.contains(&two.to_string()), "{refused}");
    let answer = Value::Integer(7);
    open.end(two, answer.clone(), false);
    match open.meant(&result(r#""call":"c2""#), 1) {
        Ok(Meant::Closed(closed)) => assert_eq!((closed.intent, closed.answer), (two, answer)),
        again => panic!("{again:?}"),
    }
}

#[test]
fn what_has_no_name_is_paired_by_order() {
    let mut open = OpenActions::default();
    let one = begin(&mut open, 1, 1, r#","pair":"p","session":"s""#);
    let two = begin(&mut open, 2, 2, r#","pair":"p","session":"s""#);
    begin(&mut open, 3, 3, r#","pair":"q","session":"s""#);
    assert_eq!(meant(&open, r#""pair":"p","session":"s""#, 9), [one]);
    open.end(one, Value::Null, false);
    assert_eq!(meant(&open, r#""pair":"p","session":"s""#, 9), [two]);
}

#[test]
fn the_parts_of_a_call_end_together() {
    let mut open = OpenActions::default();
    let one = begin(&mut open, 1, 1, r#","call":"c","part":0"#);
    let two = begin(&mut open, 2, 1, r#","call":"c","part":1"#);
    assert_eq!(meant(&open, r#""call":"c""#, 2), [one, two]);
}

#[test]
fn an_action_that_is_seen_twice_is_one() {
    let mut open = OpenActions::default();
    let one = begin(&mut open, 1, 1, r#","call":"c","session":"s""#);
    let same = |members: &str, scope: &str| {
        let about = doing(members).about;
        let same = open.same(&about, &scope.parse().unwrap());
        same.map(|one| one.map(|one| one.intent))
    };
    assert_eq!(
        same(r#","call":"c","session":"s""#, "read:a"),
        Ok(Some(one))
    );
    assert_eq!(same(r#","call":"c""#, "read:a"), Ok(Some(one)), "a proxy");
    assert_eq!(same(r#","call":"c","session":"t""#, "read:a"), Ok(None));
    assert_eq!(same(r#","call":"d","session":"s""#, "read:a"), Ok(None));
    assert_eq!(same("", "read:a"), Ok(None));
    assert!(same(r#","call":"c","session":"s""#, "read:b").is_err());
}

#[test]
fn what_is_cancelled_at_the_end_of_a_turn_is_not_what_a_subagent_does() {
    let mut open = OpenActions::default();
    let own = begin(&mut open, 1, 1, r#","call":"a","session":"s""#);
    let sub = begin(
        &mut open,
        2,
        2,
        r#","call":"b","session":"s","subagent":"x""#,
    );
    begin(&mut open, 3, 3, r#","call":"a","session":"t""#);
    let about = doing(r#","session":"s""#).about;
    let key = SessionKey::of(about.session.as_ref(), 9);
    let text = |text: &str| -> Text { text.parse().unwrap() };
    for (cancel, meant) in [
        (Cancel::Turn, vec![own]),
        (Cancel::Subagent(text("x")), vec![sub]),
        (Cancel::Subagent(text("y")), vec![]),
        (Cancel::Calls(vec![text("b"), text("c")]), vec![sub]),
        (Cancel::All, vec![own, sub]),
    ] {
        assert_eq!(open.to_cancel(&key, &cancel), meant, "{cancel:?}");
    }
}

#[test]
fn a_permit_is_read_once_its_connection_goes_on() {
    let mut open = OpenActions::default();
    let one = begin(&mut open, 1, 1, "");
    open.heard_of(1);
    let two = begin(&mut open, 2, 1, "");
    begin(&mut open, 3, 2, "");
    assert_eq!(open.unread_by(1), [two]);
    assert!(open.due(Instant::now()).is_empty());
    assert_eq!(open.due(Instant::now() + LONG)[0], one);
}
