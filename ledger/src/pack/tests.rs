//! The golden pack, and every way in which a line can be out of place.

use super::*;

/// The pack that another implementation made.
fn golden() -> String {
    golden_json()["pack"].as_str().unwrap().to_owned()
}

fn golden_json() -> serde_json::Value {
    serde_json::from_str(include_str!("../../tests/golden.json")).unwrap()
}

fn golden_lines() -> Vec<String> {
    let text = golden();
    text.split_inclusive('\n').map(str::to_owned).collect()
}

fn read(chunks: &[&[u8]]) -> Result<Vec<Line>, Refusal> {
    let (mut reader, mut lines) = (Reader::default(), Vec::new());
    for chunk in chunks {
        reader.push(chunk, |line| lines.push(line))?;
    }
    reader.finish().map(|()| lines)
}

fn refused(text: &str) -> Code {
    read(&[text.as_bytes()]).unwrap_err().code
}

#[test]
fn the_golden_pack_is_written_from_its_leaves_byte_for_byte() {
    let json = golden_json();
    let leaves = json["records"].as_array().unwrap();
    let size = TreeSize::new(leaves.len() as u64);
    let checkpoint = SignedCheckpoint::parse(json["checkpoint"].as_str().unwrap()).unwrap();
    let (first, end) = (LeafIndex::new(0), LeafIndex::new(size.get()));
    let range = Range::new(first, end, size).unwrap();
    let origin = checkpoint.unverified().origin.to_string();
    let mut lines = vec![
        Line::Header(Header {
            origin,
            size,
            selection: Selection::Range(range),
            count: range.count(),
        }),
        Line::Checkpoint(Box::new(checkpoint)),
        Line::Proof(Vec::new()),
    ];
    lines.extend(range.indices().zip(leaves).map(|(index, record)| {
        let leaf = record["leaf"].as_str().unwrap().to_owned();
        Line::Leaf(Entry { index, leaf })
    }));
    let written: String = lines.iter().map(Line::to_string).collect();
    assert_eq!(written, golden());
    assert_eq!(read(&[golden().as_bytes()]).unwrap(), lines);
}

#[test]
fn chunks_of_any_length_read_alike() {
    let text = golden();
    let whole = read(&[text.as_bytes()]).unwrap();
    for length in [1, 2, 7, 1000] {
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(length).collect();
        assert_eq!(read(&chunks).unwrap(), whole, "chunks of {length}");
    }
}

#[test]
fn every_cut_is_refused() {
    let text = golden();
    for end in 0..text.len() {
        let code = read(&[&text.as_bytes()[..end]]).unwrap_err().code;
        let is_between_leaves =
            text.as_bytes()[..end].ends_with(b"\n") && text[..end].contains("proof");
        let want = match is_between_leaves {
            true => Code::PackCount,
            false => Code::PackMalformed,
        };
        assert_eq!(code, want, "cut at {end}");
    }
}

#[test]
fn every_line_dropped_doubled_or_swapped_is_refused() {
    let lines = golden_lines();
    for at in 0..lines.len() {
        let (mut dropped, mut doubled) = (lines.clone(), lines.clone());
        let line = dropped.remove(at);
        doubled.insert(at, line);
        let want = if at < 3 {
            Code::PackOrder
        } else {
            Code::PackCount
        };
        assert_eq!(refused(&dropped.concat()), want, "without line {at}");
        assert_eq!(refused(&doubled.concat()), Code::PackOrder, "twice {at}");
        if at > 0 {
            let mut swapped = lines.clone();
            swapped.swap(at - 1, at);
            assert_eq!(refused(&swapped.concat()), Code::PackOrder, "swapped {at}");
        }
    }
}

#[test]
fn a_header_that_contradicts_itself_or_its_leaves_is_refused() {
    let text = golden();
    let cases = [
        ("\"count\":16", "\"count\":17", Code::PackCount),
        ("\"to\":16", "\"to\":17", Code::PackSelection),
        ("\"from\":0", "\"from\":16", Code::PackSelection),
        (
            "\"to\":16}},\"count\":16",
            "\"to\":15}},\"count\":15",
            Code::PackSelection,
        ),
        (
            "\"from\":0,\"to\":16}},\"count\":16",
            "\"from\":1,\"to\":16}},\"count\":15",
            Code::PackSelection,
        ),
        (
            "\"size\":16,\"selection\":{\"range\":{\"from\":0,\"to\":16}},\"count\":16",
            "\"size\":17,\"selection\":{\"range\":{\"from\":0,\"to\":17}},\"count\":17",
            Code::PackCount,
        ),
        ("dragons.pack/v1", "dragons.pack/v2", Code::PackMalformed),
        (
            "{\"range\":{\"from\":0,\"to\":16}}",
            "{\"agent\":\"a b\"}",
            Code::PackMalformed,
        ),
        (
            "{\"range\":{\"from\":0,\"to\":16}}",
            "{\"agent\":\"a\",\"range\":{\"from\":0,\"to\":16}}",
            Code::PackMalformed,
        ),
        (
            "{\"range\":{\"from\":0,\"to\":16}},\"count\":16",
            "{\"agent\":\"a\"},\"count\":17",
            Code::PackCount,
        ),
        (
            "{\"range\":{\"from\":0,\"to\":16}},\"count\":16",
            "{\"agent\":\"a\"},\"count\":15",
            Code::PackCount,
        ),
    ];
    for (from, to, code) in cases {
        assert_eq!(refused(&text.replacen(from, to, 1)), code, "{to}");
    }
}

#[test]
fn every_other_spelling_of_a_line_is_refused() {
    let text = golden();
    let cases = [
        ("{\"proof\":[]}", "{\"proof\": []}"),
        ("{\"proof\":[]}", "{\"proof\":[]} "),
        ("{\"proof\":[]}", "{\"proof\":[]}\r"),
        ("{\"proof\":[]}", "{\"proof\":[],\"more\":1}"),
        ("{\"proof\":[]}", "{\"disclosures\":[]}"),
        ("{\"proof\":[]}\n", "{\"proof\":[]}\n\n"),
        ("{\"index\":1,", "{\"index\":01,"),
        ("{\"index\":1,", "{\"index\":\"1\","),
        (
            "\"leaf\":\"{\\\"received_ms",
            "\"leaf\":\"\\u007b\\\"received_ms",
        ),
        (
            "\"origin\":\"example.com/workledger\",\"size\":16",
            "\"size\":16,\"origin\":\"example.com/workledger\"",
        ),
    ];
    for (from, to) in cases {
        assert!(text.contains(from), "{from}");
        let broken = text.replacen(from, to, 1);
        assert_eq!(refused(&broken), Code::PackMalformed, "{to}");
    }
    assert_eq!(refused(&format!("{text}\n")), Code::PackMalformed);
    assert_eq!(
        refused(&text.replace("[]", "[\"x\"]")),
        Code::ProofMalformed
    );
    assert_eq!(
        refused(&text.replace("\\n16\\n", "\\n016\\n")),
        Code::CheckpointMalformed
    );
}

#[test]
fn a_line_that_never_ends_is_refused_before_it_is_held() {
    for (prefix, most) in [
        (String::new(), MAX_HEAD_LINE_BYTES),
        (golden_lines()[..3].concat(), MAX_LEAF_LINE_BYTES),
    ] {
        let mut reader = Reader::default();
        reader.push(prefix.as_bytes(), drop).unwrap();
        let chunk = [b'x'; 1024];
        let pushed = (0..=most / chunk.len()).find_map(|_| reader.push(&chunk, drop).err());
        assert_eq!(pushed.unwrap().code, Code::PackMalformed);
    }
}
