//! Writes the pack of a log of so many pulses, and the trust that goes with it, for whoever needs a large one:
//! `cargo run -p tests --bin pulses -- DIR COUNT`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let count = |text: String| text.parse().ok();
    let (Some(folder), Some(count)) = (arguments.next(), arguments.next().and_then(count)) else {
        return Err(io::Error::other("usage: pulses DIR COUNT"));
    };
    let folder = PathBuf::from(folder);
    fs::create_dir_all(&folder)?;
    let mut pack = BufWriter::new(File::create(folder.join("large.pack.jsonl"))?);
    let trust = tests::pack_of_pulses(count, &mut pack)?;
    pack.flush()?;
    fs::write(folder.join("trust.json"), trust)?;
    Ok(())
}
