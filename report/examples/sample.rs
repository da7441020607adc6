//! Plays a small fleet beside watchdogs and writes what `dragons report` needs of it into a directory: the evidence, the
//! trust, the map, and a table of alerts for each watchdog. `make pictures` makes the sample report in docs/ of it.
//!
//! `sample DIR [DAYS [AGENTS]]`

#[path = "../tests/fleet/mod.rs"]
mod fleet;

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use fleet::Run;
use proving::fleet::{Size, sound};
use proving::watchdog;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| words.get(at).map_or(Ok(default), |it| it.parse());
    let (Some(directory), Ok(days), Ok(agents)) = (words.first(), number(1, 30), number(2, 8))
    else {
        eprintln!("usage: sample DIR [DAYS [AGENTS]]");
        return ExitCode::from(2);
    };
    let agents = usize::try_from(agents).unwrap_or(usize::MAX);
    let (seed, plan) = sound(Size { days, agents });
    let run = Run::play(seed, plan);
    match write(Path::new(directory), &run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sample: {error}");
            ExitCode::from(2)
        }
    }
}

fn write(directory: &Path, run: &Run) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join("evidence.pack.jsonl"), run.pack.concat())?;
    let trust = run.log.trust_witnessed().to_json();
    fs::write(directory.join("trust.json"), trust)?;
    fs::write(directory.join("map.toml"), fleet::map())?;
    for dog in &watchdog::ALL {
        let name = format!("{}.csv", dog.name);
        fs::write(directory.join(name), fleet::csv(dog, &run.alarms))?;
    }
    Ok(())
}
