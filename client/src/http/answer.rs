//! Requests for leases, read out of the answers that bring them.

use ledger::request::SignedRequest;
use wire::{LeaseRequest, LeaseRequests};

use super::malformed;
use crate::transport::ServiceError;

/// A request for a lease that waits for an operator.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// When the service received it: milliseconds since the epoch.
    pub received_ms: u64,
    /// The request. Nobody has checked its signature yet.
    pub request: SignedRequest,
}

/// A page of requests for leases.
#[derive(Clone, Debug)]
pub struct Requests {
    /// The requests, in the order of the agents' names.
    pub requests: Vec<Waiting>,
}

impl Waiting {
    pub(super) fn read(answer: &LeaseRequest, asked: &str) -> Result<Self, ServiceError> {
        // Its members may come in any order: that means nothing in an envelope.
        let request = SignedRequest::from_value(answer.envelope.clone())
            .map_err(|refusal| malformed(asked.to_owned(), refusal))?;
        Ok(Self {
            received_ms: answer.received_ms,
            request,
        })
    }
}

impl Requests {
    pub(super) fn read(page: &LeaseRequests, asked: &str) -> Result<Self, ServiceError> {
        let requests = page.requests.iter();
        let requests = requests.map(|request| Waiting::read(request, asked));
        Ok(Self {
            requests: requests.collect::<Result<_, _>>()?,
        })
    }
}
