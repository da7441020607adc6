//! Policies: they are kept as their text, and that text is accepted again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tlog::policy::Policy;

fuzz_target!(|text: &str| {
    let Ok(policy) = Policy::parse(text) else {
        return;
    };
    assert_eq!(policy.text(), text);
    assert_eq!(Policy::parse(policy.text()), Ok(policy.clone()));
});
