//! Packs whose lines are not what they should be: the work of whoever made the pack or passed it on.

use ledger::codes::Code;
use ledger::verify::CheckId;

use super::forger::Forger;
use super::{Group, Layer, Shelf};

const FORM: Group = Group::of(Layer::Log, CheckId::Form);
const PROOF: Group = Group::of(Layer::Log, CheckId::Form);
const INCLUSION: Group = Group::of(Layer::Log, CheckId::Inclusion);

pub(super) fn fill(shelf: &mut Shelf) {
    leaves(shelf);
    header(shelf);
    order(shelf);
    spelling(shelf);
    smuggled(shelf);
    proof(shelf);
}

/// The lines of the golden log's pack: the header, the checkpoint, the proof, and leaf 0 in the fourth.
fn golden_lines() -> Vec<String> {
    lines_of(&Forger::golden().whole())
}

fn lines_of(pack: &str) -> Vec<String> {
    pack.split_inclusive('\n').map(str::to_owned).collect()
}

fn changed(change: impl FnOnce(&mut Vec<String>)) -> String {
    let mut lines = golden_lines();
    change(&mut lines);
    lines.concat()
}

fn replaced(line: usize, from: &str, to: &str) -> String {
    changed(|lines| {
        assert!(lines[line].contains(from), "{from} in {}", lines[line]);
        lines[line] = lines[line].replacen(from, to, 1);
    })
}

fn leaves(shelf: &mut Shelf) {
    let dropped = changed(|lines| drop(lines.remove(9)));
    let swapped = changed(|lines| lines.swap(9, 10));
    let doubled = changed(|lines| lines.insert(9, lines[9].clone()));
    let cut = changed(|lines| lines.truncate(12));
    let whole = golden_lines().concat();
    let torn = &whole[..whole.len() - 100];
    let outside = lines_of(&Forger::golden().pack(3, 9)).concat() + &golden_lines()[12];
    let renumbered = replaced(9, "\"index\":6", "\"index\":99");
    for (name, code, pack) in [
        ("leaf-dropped", Code::PackCount, dropped.as_str()),
        ("leaf-swapped", Code::PackOrder, &swapped),
        ("leaf-doubled", Code::PackOrder, &doubled),
        ("leaf-of-no-range", Code::PackSelection, &outside),
        ("leaf-beyond-the-log", Code::PackSelection, &renumbered),
        ("cut-between-lines", Code::PackCount, &cut),
        ("cut-within-a-line", Code::PackMalformed, torn),
    ] {
        shelf.lie(FORM, name, code, pack);
    }
}

fn header(shelf: &mut Shelf) {
    let size = "\"size\":16";
    let count = "\"count\":16";
    let range = "\"range\":{\"from\":0,\"to\":16}";
    let selection = format!("\"selection\":{{{range}}}");
    let claims_more = replaced(0, range, "\"range\":{\"from\":0,\"to\":17}")
        .replacen(size, "\"size\":17", 1)
        .replacen(count, "\"count\":17", 1);
    let claims_less =
        replaced(0, range, "\"range\":{\"from\":0,\"to\":15}").replacen(count, "\"count\":15", 1);
    for (name, code, pack) in [
        ("header-claims-more", Code::PackMalformed, claims_more),
        ("header-claims-less", Code::PackSelection, claims_less),
        (
            "header-miscounts",
            Code::PackCount,
            replaced(0, count, "\"count\":17"),
        ),
        (
            "header-of-a-larger-log",
            Code::PackMalformed,
            replaced(0, size, "\"size\":17"),
        ),
        (
            "header-of-another-log",
            Code::PackMalformed,
            replaced(0, "example.com/workledger", "example.com/other"),
        ),
        (
            "header-beyond-the-log",
            Code::PackSelection,
            replaced(0, "\"to\":16", "\"to\":99"),
        ),
        (
            "header-backwards",
            Code::PackSelection,
            replaced(0, range, "\"range\":{\"from\":9,\"to\":3}"),
        ),
        (
            "header-of-nothing",
            Code::PackSelection,
            replaced(0, range, "\"range\":{\"from\":3,\"to\":3}"),
        ),
        (
            "header-of-another-version",
            Code::PackMalformed,
            replaced(0, "pack/v1", "pack/v2"),
        ),
        (
            "header-without-selection",
            Code::PackMalformed,
            replaced(0, &format!("{selection},"), ""),
        ),
        (
            "header-of-everything",
            Code::PackMalformed,
            replaced(0, range, "\"everything\":true"),
        ),
        (
            "header-of-two-selections",
            Code::PackMalformed,
            replaced(0, range, &format!("{range},\"agent\":\"reconciler\"")),
        ),
        (
            "header-with-a-fraction",
            Code::PackMalformed,
            replaced(0, count, "\"count\":16.0"),
        ),
        (
            "header-with-an-exponent",
            Code::PackMalformed,
            replaced(0, count, "\"count\":1.6e1"),
        ),
        (
            "header-with-a-minus",
            Code::PackMalformed,
            replaced(0, "\"from\":0", "\"from\":-0"),
        ),
        (
            "header-with-a-huge-number",
            Code::PackMalformed,
            replaced(0, size, "\"size\":9007199254740992"),
        ),
    ] {
        shelf.lie(FORM, name, code, pack);
    }
}

fn order(shelf: &mut Shelf) {
    let proof_first = changed(|lines| lines.swap(1, 2));
    let two_checkpoints = changed(|lines| lines.insert(2, lines[1].clone()));
    let two_proofs = changed(|lines| lines.insert(3, lines[2].clone()));
    let no_proof = changed(|lines| drop(lines.remove(2)));
    let checkpoint_last = changed(|lines| {
        let checkpoint = lines.remove(1);
        lines.push(checkpoint);
    });
    let two_packs = golden_lines().concat().repeat(2);
    for (name, pack) in [
        ("proof-before-checkpoint", proof_first),
        ("checkpoint-twice", two_checkpoints),
        ("proof-twice", two_proofs),
        ("proof-left-out", no_proof),
        ("checkpoint-at-the-end", checkpoint_last),
        ("pack-twice", two_packs),
    ] {
        shelf.lie(FORM, name, Code::PackOrder, pack);
    }
    let header_alone = changed(|lines| lines.truncate(1));
    shelf.lie(FORM, "header-alone", Code::PackMalformed, header_alone);
}

fn spelling(shelf: &mut Shelf) {
    let whole = golden_lines().concat();
    let reordered = changed(|lines| {
        let leaf = lines[9].strip_prefix("{\"index\":6,").expect("leaf 6");
        lines[9] = format!("{{{},\"index\":6}}\n", leaf.trim_end_matches("}\n"));
    });
    for (name, pack) in [
        (
            "space-in-a-line",
            replaced(0, "\",\"size\"", "\", \"size\"").into_bytes(),
        ),
        ("space-behind-a-line", replaced(4, "\n", " \n").into_bytes()),
        ("members-in-another-order", reordered.into_bytes()),
        (
            "member-twice",
            replaced(9, "{\"index\":6,", "{\"index\":6,\"index\":6,").into_bytes(),
        ),
        (
            "windows-line-ends",
            whole.replace('\n', "\r\n").into_bytes(),
        ),
        (
            "last-line-without-end",
            whole.trim_end().as_bytes().to_vec(),
        ),
        ("blank-line-at-the-end", format!("{whole}\n").into_bytes()),
        (
            "garbage-at-the-end",
            format!("{whole}and so on\n").into_bytes(),
        ),
        ("byte-order-mark", format!("\u{feff}{whole}").into_bytes()),
        (
            "escaped-letter",
            replaced(4, "{\"index\"", "{\"\\u0069ndex\"").into_bytes(),
        ),
        (
            "escaped-slash",
            replaced(0, "example.com/", "example.com\\/").into_bytes(),
        ),
        (
            "lone-surrogate",
            replaced(0, "example.com/", "\\ud800").into_bytes(),
        ),
        (
            "not-utf8",
            [
                &whole.as_bytes()[..40],
                &[0xff, 0xfe],
                &whole.as_bytes()[40..],
            ]
            .concat(),
        ),
        (
            "nested-without-end",
            format!("{{\"pack\":{}", "[".repeat(100_000)).into_bytes(),
        ),
        ("no-evidence-at-all", b"PK\x03\x04".to_vec()),
        ("empty-file", Vec::new()),
    ] {
        shelf.lie(FORM, name, Code::PackMalformed, pack);
    }
}

/// What a pack brings to be believed for, what it brings to run in a page, and what it brings to be misread.
fn smuggled(shelf: &mut Shelf) {
    let keys = "\"keys\":[\"example.com/workledger+010682ba+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4\"],\"size\"";
    let trust_line = changed(|lines| {
        let trust = serde_json::json!({ "trust": super::TRUST });
        lines.insert(1, format!("{trust}\n"));
    });
    let html = "<script>alert(1)</script><img src=x onerror=alert(1)>";
    let bidi = "example.com/\u{202e}regdelkrow\u{202c}";
    for (name, pack) in [
        ("keys-in-the-header", replaced(0, "\"size\"", keys)),
        ("trust-in-a-line", trust_line),
        (
            "html-in-the-header",
            replaced(0, "example.com/workledger", html),
        ),
        (
            "bidi-in-the-header",
            replaced(0, "example.com/workledger", bidi),
        ),
        (
            "html-as-a-member",
            replaced(0, "\"size\"", "\"<svg onload=alert(1)>\":1,\"size\""),
        ),
    ] {
        shelf.lie(FORM, name, Code::PackMalformed, pack);
    }
}

fn proof(shelf: &mut Shelf) {
    let window = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines_of(&Forger::golden().pack(3, 9));
        let proof: serde_json::Value = serde_json::from_str(&lines[2]).expect("JSON");
        let proof: Vec<String> = serde_json::from_value(proof["proof"].clone()).expect("hashes");
        let mut hashes = proof;
        change(&mut hashes);
        lines[2] = format!("{}\n", serde_json::json!({ "proof": hashes }));
        lines.concat()
    };
    let first_again = |hashes: &mut Vec<String>| hashes.push(hashes[0].clone());
    let misspelt = |hashes: &mut Vec<String>| hashes[0] = hashes[0].replace('=', "");
    let endless = |hashes: &mut Vec<String>| hashes.resize(129, hashes[0].clone());
    let inclusion = [
        ("hash-too-many", Code::ProofSurplus, window(&first_again)),
        (
            "hash-too-few",
            Code::ProofMalformed,
            window(&|hashes| drop(hashes.pop())),
        ),
        (
            "hashes-swapped",
            Code::RootMismatch,
            window(&|hashes| hashes.swap(0, 1)),
        ),
    ];
    for (name, code, pack) in inclusion {
        shelf.lie(INCLUSION, name, code, pack);
    }
    shelf.lie(
        PROOF,
        "hash-misspelt",
        Code::ProofMalformed,
        window(&misspelt),
    );
    shelf.lie(
        PROOF,
        "hashes-without-end",
        Code::ProofMalformed,
        window(&endless),
    );
    let mut shifted = lines_of(&Forger::golden().pack(3, 9));
    shifted[0] = shifted[0].replace("\"from\":3,\"to\":9", "\"from\":4,\"to\":10");
    for (line, index) in shifted[3..].iter_mut().zip(3..) {
        *line = line.replacen(
            &format!("\"index\":{index}"),
            &format!("\"index\":{}", index + 1),
            1,
        );
    }
    shelf.lie(
        INCLUSION,
        "window-moved",
        Code::ProofSurplus,
        shifted.concat(),
    );
}
