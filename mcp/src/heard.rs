//! What a client says: a message, or an array of them, with what the proxy has to know of each.

use std::ops::Range;

use ledger::digest::Digest;
use serde_json::value::RawValue;

use crate::governor::Committed;
use crate::id::Id;
use crate::members::Members;
use crate::skim::Skim;

/// The member of `_meta` that a stateless request carries (revision 2026-07-28).
const STATELESS: &str = "io.modelcontextprotocol/protocolVersion";

/// The longest name that a client may give an action, in bytes.
const MAX_CALL_BYTES: usize = 128;

/// The members that decide what a message is. A reader that does not mind the case takes `Method` for `method`.
const TOP: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
const OF_A_CALL: [&str; 3] = ["name", "arguments", "_meta"];

/// A message of the client, or an array of them as revisions before 2025-06-18 have it.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_batch: bool,
    pub(crate) items: Vec<Item>,
    /// Why nobody can say how the server will read it.
    pub(crate) trouble: Option<Trouble>,
}

/// One message.
#[derive(Debug)]
pub(crate) struct Item {
    /// Where it is among the bytes.
    pub(crate) place: Range<usize>,
    pub(crate) method: Option<String>,
    /// The id of a request, and how it is written.
    pub(crate) id: Option<(Id, String)>,
    pub(crate) kind: Kind,
    pub(crate) is_stateless: bool,
}

/// What a message is to the proxy.
#[derive(Debug)]
pub(crate) enum Kind {
    /// It calls a tool.
    Call(Result<Call, Trouble>),
    /// It asks for the list of tools.
    List,
    /// It asks how a task does, takes it back, or asks for its result.
    Task { method: String, task: String },
    /// It takes back a request.
    Cancelled(Id),
    /// Anything else.
    Other,
}

/// A call of a tool.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: Id,
    pub(crate) tool: String,
    pub(crate) arguments: Committed,
    pub(crate) arguments_digest: Digest,
    /// The state that the server asked to be handed back.
    pub(crate) state: Option<String>,
    /// Whether it answers what the server asked.
    pub(crate) is_retry: bool,
    pub(crate) call: Option<String>,
    pub(crate) traceparent: Option<String>,
}

/// Why two readers may take a message for two things.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("the message is not JSON")]
    NotJson,
    #[error("the message has the member {0:?} twice, so its readers may differ on what it says")]
    Twice(String),
    #[error("the message has the member {0:?}, which some readers take as {1:?}")]
    OtherCase(String, &'static str),
    #[error("the message contains a carriage return, which some readers take as its end")]
    LineBreak,
    #[error("the call has no id, so nobody would get its result")]
    NoId,
    #[error("the call names no tool")]
    NoTool,
}

impl Heard {
    /// Reads a message. On a stream of lines it is one line, without its end.
    pub(crate) fn read(bytes: Vec<u8>, is_line: bool) -> Self {
        let mut heard = Self {
            is_batch: bytes.trim_ascii_start().first() == Some(&b'['),
            items: Vec::new(),
            trouble: None,
            bytes,
        };
        if heard.bytes.trim_ascii().is_empty() {
            return heard;
        }
        match items(&heard.bytes, heard.is_batch) {
            Some(items) => {
                heard.trouble = trouble(&heard.bytes, is_line);
                heard.items = items;
            }
            None => heard.trouble = Some(Trouble::NotJson),
        }
        heard
    }

    /// Whether anything has to be decided before it is forwarded.
    pub(crate) fn has_to_be_decided(&self) -> bool {
        let is_call = |item: &Item| matches!(item.kind, Kind::Call(_));
        self.trouble.is_some() || self.items.iter().any(is_call)
    }
}

fn items(bytes: &[u8], is_batch: bool) -> Option<Vec<Item>> {
    if is_batch {
        let raws: Vec<&RawValue> = serde_json::from_slice(bytes).ok()?;
        return Some(raws.iter().map(|raw| item(bytes, raw.get())).collect());
    }
    let raw: &RawValue = serde_json::from_slice(bytes).ok()?;
    Some(vec![item(bytes, raw.get())])
}

fn item(bytes: &[u8], json: &str) -> Item {
    let start = json.as_ptr().addr() - bytes.as_ptr().addr();
    let mut item = Item {
        place: start..start + json.len(),
        method: None,
        id: None,
        kind: Kind::Other,
        is_stateless: false,
    };
    let Some(message) = Members::read(json.as_bytes()) else {
        return item;
    };
    let id = message.raw("id").map(|raw| (Id::read(raw), raw.to_owned()));
    item.id = id.and_then(|(id, raw)| Some((id?, raw)));
    item.method = message.text("method");
    let (params, id) = (message.object("params"), item.id.as_ref().map(|(id, _)| id));
    let meta = params.as_ref().and_then(|params| params.object("_meta"));
    item.is_stateless = meta
        .as_ref()
        .is_some_and(|meta| meta.raw(STATELESS).is_some());
    item.kind = match &item.method {
        Some(method) => kind(method, id, params.as_ref(), meta.as_ref()),
        None => Kind::Other,
    };
    item
}

fn kind(method: &str, id: Option<&Id>, params: Option<&Members>, meta: Option<&Members>) -> Kind {
    match (method, params) {
        ("tools/call", _) => Kind::Call(call(id, params, meta)),
        ("tools/list", _) => Kind::List,
        ("notifications/cancelled", Some(params)) => {
            let id = params.raw("requestId").and_then(Id::read);
            id.map_or(Kind::Other, Kind::Cancelled)
        }
        ("tasks/get" | "tasks/result" | "tasks/cancel", Some(params)) => {
            let task = params.text("taskId");
            let method = method.to_owned();
            task.map_or(Kind::Other, |task| Kind::Task { method, task })
        }
        _ => Kind::Other,
    }
}

fn call(
    id: Option<&Id>,
    params: Option<&Members>,
    meta: Option<&Members>,
) -> Result<Call, Trouble> {
    let params = params.ok_or(Trouble::NoTool)?;
    if let Some((name, known)) = other_case(params, &OF_A_CALL) {
        return Err(Trouble::OtherCase(name, known));
    }
    let tool = params.text("name").filter(|tool| !tool.is_empty());
    let arguments = params.raw("arguments").unwrap_or("{}").as_bytes();
    let named = |name| meta.and_then(|meta| meta.text(name));
    let call = named("claudecode/toolUseId").or_else(|| named("callId"));
    Ok(Call {
        tool: tool.ok_or(Trouble::NoTool)?,
        id: id.ok_or(Trouble::NoId)?.clone(),
        arguments: Committed::of(arguments),
        arguments_digest: Digest::of(&[arguments]),
        state: params.text("requestState"),
        is_retry: params.raw("requestState").is_some() || params.raw("inputResponses").is_some(),
        call: call.filter(|call| !call.is_empty() && call.len() <= MAX_CALL_BYTES),
        traceparent: named("traceparent"),
    })
}

/// Why readers may differ on a message that is JSON.
fn trouble(bytes: &[u8], is_line: bool) -> Option<Trouble> {
    if is_line && bytes.trim_ascii().contains(&b'\r') {
        return Some(Trouble::LineBreak);
    }
    let mut skim = Skim::default();
    skim.push(bytes);
    let messages = skim.finish();
    if let Some(twice) = messages.iter().find_map(|message| message.twice.clone()) {
        return Some(Trouble::Twice(twice));
    }
    let cases = messages.iter().find_map(|message| {
        let mut names = message.members.iter().map(|(name, _)| name.as_str());
        names.find_map(|name| same_but_for_case(name, &TOP))
    });
    cases.map(|(name, known)| Trouble::OtherCase(name, known))
}

fn other_case(members: &Members, known: &[&'static str]) -> Option<(String, &'static str)> {
    members
        .names()
        .find_map(|name| same_but_for_case(name, known))
}

/// The known name that this one is but for its case, also by the two letters outside of ASCII whose lower case is in it.
fn same_but_for_case(name: &str, known: &[&'static str]) -> Option<(String, &'static str)> {
    let folded = name.to_lowercase().replace('\u{17f}', "s");
    let known = known
        .iter()
        .find(|known| **known == folded && **known != name);
    known.map(|known| (name.to_owned(), *known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Heard {
        Heard::read(text.as_bytes().to_vec(), true)
    }

    fn only_call(text: &str) -> Call {
        let mut heard = read(text);
        assert_eq!(heard.trouble, None, "{text}");
        match heard.items.remove(0).kind {
            Kind::Call(call) => call.unwrap(),
            kind => panic!("{kind:?}"),
        }
    }

    #[test]
    fn a_call_is_read_with_all_that_joins_it_to_other_records() {
        let call = only_call(
            r#"{"method":"tools/call","id":"7","params":{"arguments": {"b":1.50, "a":"é"},"name":"edit","_meta":{"claudecode/toolUseId":"toolu_1","callId":"c","traceparent":"00-a-b-01"},"requestState":"s"}}"#,
        );
        assert_eq!(
            (call.tool.as_str(), call.id),
            ("edit", Id::Text("7".to_owned()))
        );
        assert_eq!(
            call.arguments,
            Committed::Value(r#"{"b":1.50, "a":"é"}"#.into())
        );
        assert_eq!(
            (call.call.as_deref(), call.state.as_deref()),
            (Some("toolu_1"), Some("s"))
        );
        assert_eq!(call.traceparent.as_deref(), Some("00-a-b-01"));
        let call = only_call(
            r#"{"method":"tools\/call","id":0,"params":{"name":"a","_meta":{"callId":"c"}}}"#,
        );
        assert_eq!(
            (call.call.as_deref(), call.arguments),
            (Some("c"), Committed::Value(b"{}".into()))
        );
    }

    #[test]
    fn what_readers_may_differ_on_is_noticed() {
        for (text, trouble) in [
            ("{", Trouble::NotJson),
            ("{} {}", Trouble::NotJson),
            ("{\"a\":NaN}", Trouble::NotJson),
            ("{\"id\":1,\"id\":1}", Trouble::Twice("id".to_owned())),
            (
                "{\"params\":{\"name\":1,\"n\\u0061me\":2}}",
                Trouble::Twice("name".to_owned()),
            ),
            (
                "{\"Method\":\"tools/call\"}",
                Trouble::OtherCase("Method".to_owned(), "method"),
            ),
            (
                "[{\"paramſ\":1}]",
                Trouble::OtherCase("paramſ".to_owned(), "params"),
            ),
            (
                "{\"params\":\r{\"method\":\"tools/call\"}\r}",
                Trouble::LineBreak,
            ),
        ] {
            assert_eq!(read(text).trouble, Some(trouble), "{text}");
        }
        for text in [
            "",
            " ",
            "{}\r",
            "{\"a\":{\"Method\":1}}",
            "{\"params\":{\"a\":\"\\ud800\"}}",
            "3",
        ] {
            assert_eq!(read(text).trouble, None, "{text}");
        }
        let http = Heard::read(b"{\"a\":\r\n1}".to_vec(), false);
        assert_eq!(http.trouble, None);
    }

    #[test]
    fn a_call_that_cannot_be_governed_says_why() {
        for (text, trouble) in [
            (
                r#"{"method":"tools/call","params":{"name":"a"}}"#,
                Trouble::NoId,
            ),
            (
                r#"{"method":"tools/call","id":null,"params":{"name":"a"}}"#,
                Trouble::NoId,
            ),
            (r#"{"method":"tools/call","id":1}"#, Trouble::NoTool),
            (
                r#"{"method":"tools/call","id":1,"params":["a"]}"#,
                Trouble::NoTool,
            ),
            (
                r#"{"method":"tools/call","id":1,"params":{"name":7}}"#,
                Trouble::NoTool,
            ),
            (
                r#"{"method":"tools/call","id":1,"params":{"name":"a","Name":"b"}}"#,
                Trouble::OtherCase("Name".to_owned(), "name"),
            ),
        ] {
            let heard = read(text);
            assert!(heard.has_to_be_decided());
            assert!(
                matches!(&heard.items[0].kind, Kind::Call(Err(found)) if *found == trouble),
                "{text}"
            );
        }
    }

    #[test]
    fn the_items_of_an_array_are_found_among_its_bytes() {
        let text = r#" [ {"method":"ping","id":1} , {"method":"tools/call","id":2,"params":{"name":"a"}},7]"#;
        let heard = read(text);
        assert!(heard.is_batch && heard.items.len() == 3);
        assert_eq!(
            &text[heard.items[0].place.clone()],
            r#"{"method":"ping","id":1}"#
        );
        assert!(matches!(heard.items[1].kind, Kind::Call(Ok(_))));
    }

    #[test]
    fn the_rest_is_told_apart() {
        let kinds = read(
            r#"[{"method":"tools/list","id":1},{"method":"notifications/cancelled","params":{"requestId":"x"}},{"method":"tasks/get","id":2,"params":{"taskId":"t"}},{"id":3,"result":{}},{"method":"ping","id":4,"params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}]"#,
        );
        assert!(matches!(kinds.items[0].kind, Kind::List));
        assert!(matches!(&kinds.items[1].kind, Kind::Cancelled(Id::Text(id)) if id == "x"));
        assert!(matches!(&kinds.items[2].kind, Kind::Task { task, .. } if task == "t"));
        assert!(matches!(kinds.items[3].kind, Kind::Other) && !kinds.has_to_be_decided());
        assert!(kinds.items[4].is_stateless && !kinds.items[0].is_stateless);
    }
}
