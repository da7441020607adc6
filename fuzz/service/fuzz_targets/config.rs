//! Files of settings: what is accepted is written as a file again, which means the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use server::config::Settings;

fuzz_target!(|text: &str| {
    let Ok(settings) = Settings::from_toml(text) else {
        return;
    };
    let written = toml::to_string(&settings).expect("settings are a table");
    let again = Settings::from_toml(&written).expect("what is written is accepted");
    assert_eq!(again, settings);
});
