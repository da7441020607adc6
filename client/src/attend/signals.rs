//! What ends the work: a signal, or the holder of a stream.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Sender;

use process::Inherited;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::speaker::Job;

/// Ends the work when a signal asks for it, but one that this process was told to ignore.
pub(super) fn end_with(jobs: &Sender<Job>) -> io::Result<()> {
    let (asked, asks) = UnixStream::pair()?;
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        if !Inherited::before_main().ignores(signal) {
            signal_hook::low_level::pipe::register(signal, asks.try_clone()?)?;
        }
    }
    // One end stays open here as long as the thread does that reads the other.
    wait(asked, Some(asks), jobs)
}

/// Ends the work when whoever holds the other end of a stream asks for it, or is gone.
pub(super) fn end_when_asked(stream: &UnixStream, jobs: &Sender<Job>) -> io::Result<()> {
    wait(stream.try_clone()?, None, jobs)
}

fn wait(mut asked: UnixStream, kept: Option<UnixStream>, jobs: &Sender<Job>) -> io::Result<()> {
    let jobs = jobs.clone();
    let thread = std::thread::Builder::new().name("end".to_owned());
    let wait = move || {
        let _kept = kept;
        if asked.read(&mut [0]).is_ok() {
            // Whoever has ended already need not be asked.
            let _ = jobs.send(Job::Finish);
        }
    };
    thread.spawn(wait).map(drop)
}
