//! Signals that ask for the end.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Sender;

use process::Inherited;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::speaker::Job;

/// Ends the work when a signal asks for it, but one that this process was told to ignore.
pub(super) fn end_with(jobs: &Sender<Job>) -> io::Result<()> {
    let (mut asked, asks) = UnixStream::pair()?;
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        if !Inherited::before_main().ignores(signal) {
            signal_hook::low_level::pipe::register(signal, asks.try_clone()?)?;
        }
    }
    let jobs = jobs.clone();
    let thread = std::thread::Builder::new().name("signals".to_owned());
    let wait = move || {
        // One end stays open here as long as this thread does.
        let _asks = asks;
        if asked.read(&mut [0]).is_ok() {
            let _ = jobs.send(Job::Finish);
        }
    };
    thread.spawn(wait).map(drop)
}
