//! What the proxy itself answers: a result that a model can read where a tool was not called, an error elsewhere.

use serde_json::{Value, json};

/// JSON-RPC 2.0, section 5.1: the JSON is not JSON.
const PARSE_ERROR: i64 = -32700;

/// JSON-RPC 2.0, section 5.1: the JSON is not a request.
const INVALID_REQUEST: i64 = -32600;

/// The answer to a call that the server never saw. To the client it is a tool that failed, so its model reads why.
/// A stateless request (revision 2026-07-28) is answered with the type of the result.
pub(crate) fn denied(id: &str, text: &str, is_stateless: bool) -> Vec<u8> {
    let mut result = json!({"content": [{"type": "text", "text": text}], "isError": true});
    if let (Value::Object(members), true) = (&mut result, is_stateless) {
        members.insert("resultType".to_owned(), "complete".into());
    }
    message(id, "result", &result)
}

/// The answer to another request that was not forwarded.
pub(crate) fn refused(id: &str, text: &str) -> Vec<u8> {
    message(
        id,
        "error",
        &json!({"code": INVALID_REQUEST, "message": text}),
    )
}

/// The answer to what is not JSON.
pub(crate) fn unreadable(text: &str) -> Vec<u8> {
    message(
        "null",
        "error",
        &json!({"code": PARSE_ERROR, "message": text}),
    )
}

/// Several answers as one array.
pub(crate) fn array(answers: &[Vec<u8>]) -> Vec<u8> {
    [b"[".as_slice(), &answers.join(&b','), b"]"].concat()
}

/// The id is written as the client wrote it.
fn message(id: &str, name: &str, value: &Value) -> Vec<u8> {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"{name}\":{value}}}").into_bytes()
}

/// What a model reads about a call that the log does not allow.
pub(crate) fn not_allowed(code: &str, reason: &str, scope: &str) -> String {
    format!(
        "Not allowed ({code}): {reason}. The tool did not run. The same call will be refused again: go on without it, or ask a \
         person to allow {scope}."
    )
}

/// What a model reads if it is not known whether a call is allowed.
pub(crate) fn away(reason: &str) -> String {
    format!(
        "Not allowed now (service-away): {reason}. The tool did not run, because permission could not be asked for. Try again later."
    )
}

/// What a model reads about a call that cannot be read for certain.
pub(crate) fn ambiguous(trouble: &str) -> String {
    format!("Not allowed (malformed): {trouble}. The tool did not run.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_json_and_keep_the_id_as_it_was_written() {
        let answer = denied("1.0", "no \"x\"\n", true);
        let text = String::from_utf8(answer.clone()).unwrap();
        assert!(
            text.starts_with(r#"{"jsonrpc":"2.0","id":1.0,"result":"#),
            "{text}"
        );
        let value: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(value["result"]["content"][0]["text"], "no \"x\"\n");
        assert_eq!(value["result"]["isError"], true);
        assert_eq!(value["result"]["resultType"], "complete");
        let value: Value = serde_json::from_slice(&denied("\"a\"", "", false)).unwrap();
        assert_eq!(value["result"].get("resultType"), None);
        let both = array(&[refused("7", "a"), unreadable("b")]);
        let value: Value = serde_json::from_slice(&both).unwrap();
        assert_eq!(
            (&value[0]["id"], &value[1]["id"]),
            (&json!(7), &Value::Null)
        );
    }
}
