//! The address of the service: whether it is one, and what it gives away.

use std::time::Duration;

use client::http::Service;

use super::Given;
use super::report::{Check, Known, Report, Step, causes};

/// How long the service may take for one answer: one that is busy answers within a second.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Looks at the address. Nothing is sent.
pub(super) fn examine(report: &mut Report, server: &Given<String>) -> Known<Service> {
    report.step(address(server))
}

fn address(server: &Given<String>) -> Step<Service> {
    let Given { value: url, source } = server;
    let service = Service::at(url).map_err(|error| {
        Check::problem(
            "address",
            format!("{} ({source})", causes(&error)),
            "No command finds the service.",
            "Set --server or DRAGONS_SERVER to its address, such as https://log.example.com.",
        )
    })?;
    let detail = format!("{} ({source})", service.url());
    let check = match service.is_encrypted() || service.is_loopback() {
        true => Check::ok("address", detail),
        false => Check::warning(
            "address",
            format!("{detail}, not encrypted"),
            "Anybody on the network path can read and change all that is sent; the proofs show a change, but nothing shows a reader.",
            "Put a proxy that speaks TLS in front of the service, and use https://.",
        ),
    };
    Ok((check, service.within(ANSWER_TIMEOUT)))
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;

    #[test]
    fn an_address_is_judged_by_who_can_listen() {
        for (url, result) in [
            ("http://127.0.0.1:7117", "ok"),
            ("http://localhost:7117/", "ok"),
            ("https://log.example.com", "ok"),
            ("http://log.example.com", "warning"),
            ("log.example.com", "problem"),
            ("", "problem"),
        ] {
            let given = Given {
                value: url.to_owned(),
                source: Source::Environment("DRAGONS_SERVER"),
            };
            let step = address(&given);
            assert_eq!(step.is_ok(), result != "problem", "{url}");
            let check = step.map_or_else(|check| check, |(check, _)| check);
            assert_eq!(check.result(), result, "{url}");
            assert!(
                check.detail.contains("by DRAGONS_SERVER"),
                "{}",
                check.detail
            );
        }
    }
}
