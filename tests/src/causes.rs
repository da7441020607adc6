//! What a record causes stands directly behind it: nothing comes between, not even a millisecond.

use serde_json::Value;

/// The rules of transitions that a record causes; all others are a clock's.
const CAUSED: [&str; 7] = [
    "started",
    "restarted",
    "finished",
    "recovered",
    "healed",
    "manifest-drift",
    "denials",
];

/// Holds every entry of a log to that.
///
/// # Panics
/// If a transition stands elsewhere.
pub(crate) fn check(entries: &[Value]) {
    for (index, entry) in entries.iter().enumerate() {
        let rule = &entry["payload"]["rule"];
        if entry["kind"] != "transition" || !CAUSED.iter().any(|caused| rule == caused) {
            continue;
        }
        // One record may cause several, one after another.
        let mut before = entries[..index].iter().rev();
        let cause = before.find(|before| before["kind"] != "transition");
        let cause = cause.expect("something before it");
        let kinds: &[&str] = match rule == "denials" {
            true => &["refusal"],
            false => &["heartbeat", "receipt"],
        };
        let kind = cause["kind"].as_str().expect("a kind");
        assert!(kinds.contains(&kind), "{rule} at {index} behind a {kind}");
        for member in ["agent", "received_ms"] {
            let of = |entry: &Value| [entry[member].clone(), entry["payload"][member].clone()];
            assert_eq!(of(cause), of(entry), "{rule} at {index}");
        }
    }
}
