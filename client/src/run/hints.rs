//! Hints that something was logged about the agent: the clerk asks then, and obeys the answer. Without them it hears of
//! an order by its beats.

use std::sync::mpsc::Sender;
use std::time::Duration;

use ledger::text::Name;

use crate::http::Service;
use crate::speaker::Job;

/// How soon a stream that ended is opened again, first and at most. A service that has no place for it is not pressed.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(20)];

/// Follows until the run has ended.
pub(crate) fn follow(service: &Service, agent: &Name, jobs: &Sender<Job>) {
    let (service, agent, jobs) = (service.clone(), agent.clone(), jobs.clone());
    let following = std::thread::Builder::new().name("hints".to_owned());
    // Without a thread for it the run hears of an order by its beats.
    let _ = following.spawn(move || {
        let [first, longest] = PAUSES;
        let mut pause = first;
        loop {
            let mut is_over = false;
            service.follow(&agent, &mut || {
                pause = first;
                is_over = jobs.send(Job::Look).is_err();
                !is_over
            });
            if is_over {
                return;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(longest);
        }
    });
}
