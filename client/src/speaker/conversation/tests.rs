use std::io::BufRead as _;

use super::*;
use crate::speaker::prompt::Unlogged;

/// One end of a connection, with the jobs that come of what is said there.
struct Talk {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
    jobs: Receiver<Job>,
}

impl Talk {
    fn begin(prompt: Option<Prompt>) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (jobs, queue) = mpsc::channel();
        let conversation = Conversation {
            connection: 7,
            desk: Desk {
                jobs,
                roots: Roots::default(),
                prompt,
            },
        };
        std::thread::spawn(move || conversation.hold(&theirs));
        Self {
            lines: BufReader::new(ours.try_clone().unwrap()),
            stream: ours,
            jobs: queue,
        }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.stream, "{line}").unwrap();
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn asked(&self) -> Reply {
        match self.jobs.recv().unwrap() {
            Job::Ask(_, 7, reply) => reply,
            _ => panic!("nothing was asked"),
        }
    }
}

#[test]
fn lines_with_an_id_are_answered_in_any_order() {
    let mut talk = Talk::begin(None);
    talk.say(r#"{"id":1,"progress":1}"#);
    talk.say(r#"{"id":"two","progress":2}"#);
    let (first, second) = (talk.asked(), talk.asked());
    second.send(Answer::done());
    assert_eq!(talk.hear(), r#"{"id":"two","ok":true}"#);
    first.send(Answer::done());
    assert_eq!(talk.hear(), r#"{"id":1,"ok":true}"#);
    talk.say(r#"{"id":3,"gaol":{}}"#);
    assert!(
        talk.hear()
            .starts_with(r#"{"id":3,"ok":false,"code":"malformed""#)
    );
    talk.say(r#"{"id":[3],"progress":1}"#);
    assert!(talk.hear().starts_with(r#"{"ok":false,"code":"malformed""#));
}

#[test]
fn a_line_without_an_id_is_answered_before_the_next_is_read() {
    let mut talk = Talk::begin(None);
    talk.say("{\"progress\":1}\n{\"progress\":2}");
    let first = talk.asked();
    assert!(
        talk.jobs.try_recv().is_err(),
        "the second waits for the first"
    );
    first.send(Answer::done());
    assert_eq!(talk.hear(), r#"{"ok":true}"#);
    drop(talk.asked());
    assert!(
        talk.hear().contains(r#""code":"stopping""#),
        "nobody answered"
    );
}

#[test]
fn whoever_is_gone_before_the_answer_was_read_is_told_of() {
    for is_answered_first in [true, false] {
        let mut talk = Talk::begin(None);
        talk.say(r#"{"progress":1}"#);
        let reply = talk.asked();
        let Talk {
            stream,
            lines,
            jobs,
        } = talk;
        if is_answered_first {
            reply.send(Answer::done());
            // It is there, and is not taken.
            let mut peeked = rustix::event::PollFd::new(&stream, rustix::event::PollFlags::IN);
            rustix::event::poll(std::slice::from_mut(&mut peeked), None).unwrap();
            drop((stream, lines));
        } else {
            drop((stream, lines));
            reply.send(Answer::done());
        }
        let unheard = |job| matches!(job, Job::Unheard(7));
        assert!(
            jobs.iter().any(unheard),
            "answered first: {is_answered_first}"
        );
    }
}

#[test]
fn beside_a_log_that_observes_an_answer_comes_in_time() {
    let unlogged = Unlogged::default();
    let prompt = Prompt::start(unlogged.clone(), || 5).unwrap();
    let mut talk = Talk::begin(Some(prompt.clone()));
    prompt.observes(true);
    talk.say(r#"{"id":1,"intent":{"scope":"read:a"}}"#);
    talk.say(r#"{"id":2,"result":{}}"#);
    let (intent, result) = (talk.asked(), talk.asked());
    assert_eq!(
        talk.hear(),
        r#"{"id":1,"ok":true,"intent":null,"unlogged":true}"#
    );
    assert_eq!(
        talk.hear(),
        r#"{"id":2,"ok":true,"record":null,"waits":true}"#
    );
    assert!(!intent.claim(), "it acts already, and is counted");
    result.send(Answer::done());
    assert_eq!(
        unlogged.count().to_value().unwrap().to_json(),
        r#"{"count":1,"from_ms":5,"to_ms":5}"#
    );
    talk.say(r#"{"id":3,"intent":{"scope":"read:a"}}"#);
    talk.say(r#"{"id":4,"result":{}}"#);
    let claimed = talk.asked();
    assert!(claimed.claim());
    assert!(
        talk.hear().starts_with(r#"{"id":4"#),
        "what is claimed waits for the clerk"
    );
    claimed.send(Answer::done());
    assert_eq!(talk.hear(), r#"{"id":3,"ok":true}"#);
}

#[test]
fn the_root_of_a_session_is_told_without_a_clerk() {
    let mut talk = Talk::begin(None);
    talk.say(r#"{"session":{"session":"s","host":"codex","root":"/a"}}"#);
    assert_eq!(talk.hear(), r#"{"ok":true,"root":"/a"}"#);
    talk.say(r#"{"session":{"session":"s","host":"codex","root":"/b"}}"#);
    assert_eq!(talk.hear(), r#"{"ok":true,"root":"/a"}"#);
    talk.say(r#"{"session":{"session":"s","host":"codex","end":"turn"}}"#);
    talk.asked();
}
