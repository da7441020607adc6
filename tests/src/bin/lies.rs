//! `lies DIR` writes every sample of [`tests::lies`] to a folder, and what each has to come to into `index.json`.

use std::path::PathBuf;

use serde_json::Value;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| std::io::Error::other("lies DIR"))?;
    std::fs::create_dir_all(&folder)?;
    let samples = tests::lies::all();
    for sample in &samples {
        std::fs::write(folder.join(sample.file()), &sample.evidence)?;
    }
    let index: Value = samples.iter().map(tests::lies::Sample::to_json).collect();
    std::fs::write(folder.join("index.json"), format!("{index:#}\n"))?;
    println!("{} samples", samples.len());
    Ok(())
}
