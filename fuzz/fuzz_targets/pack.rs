//! Evidence of any kind, by the verifier: the first byte is the length of the pieces that the rest comes in. The report
//! does not depend on the pieces, and nothing but the history that the seeds come from is ever verified.

#![no_main]

use std::sync::OnceLock;

use evidence::Intake;
use ledger::verify::{Trust, Verifier};
use libfuzzer_sys::fuzz_target;

const TRUST: &[u8] = include_bytes!("../seeds/trust.json");

fuzz_target!(|input: &[u8]| {
    let Some((piece, evidence)) = input.split_first() else {
        return;
    };
    let whole = judge(evidence, evidence.len().max(1));
    let pieces = judge(evidence, usize::from(*piece).max(1));
    assert_eq!(whole, pieces);
});

fn judge(evidence: &[u8], piece: usize) -> String {
    static PINNED: OnceLock<Trust> = OnceLock::new();
    let trust = PINNED.get_or_init(|| Trust::parse(TRUST).expect("the trust of the golden history"));
    let mut intake = Intake::new(Verifier::new(trust.clone()));
    for piece in evidence.chunks(piece) {
        intake.push(piece, &mut |_| ());
    }
    intake.finish(&mut |_| ()).0.to_json()
}
