//! What waits for somebody, above the board: trouble of the service itself, requests for leases, refusals, events that no
//! webhook could deliver.

use ledger::record::Kind;
use store::{Order, Topic};
use timeline::entry::Entry;

use super::shown::{Row, When, texts, visible};
use crate::history;
use crate::http::problem::Problem;
use crate::http::{Service, health};
use crate::inbox::Received;
use crate::log::Published;
use crate::webhooks::Undelivered;

/// How many requests are shown.
const REQUESTS: usize = 20;

/// How many refusals are shown.
const DENIALS: usize = 20;

/// What waits for somebody.
#[derive(Default)]
pub(super) struct Attention {
    /// Why the service takes no records.
    pub(super) trouble: Option<String>,
    pub(super) undelivered: Vec<Undelivered>,
    pub(super) requests: Vec<Request>,
    pub(super) has_more_requests: bool,
    /// The newest refusals over all agents.
    pub(super) denials: Vec<Row>,
    pub(super) runbook: Option<String>,
}

/// A request for a lease.
pub(super) struct Request {
    pub(super) agent: String,
    pub(super) allow: Vec<String>,
    pub(super) purpose: String,
    pub(super) since: When,
    /// What to type to grant it; the operator adds the key.
    pub(super) command: String,
}

impl Attention {
    /// What waits now.
    pub(super) async fn of(service: &Service) -> Result<Self, Problem> {
        let published = service.log.published();
        let mut requests = service
            .inbox
            .open_requests(&published.state, None, REQUESTS + 1);
        let has_more_requests = requests.len() > REQUESTS;
        requests.truncate(REQUESTS);
        let denials = service
            .readers
            .read(published, |published| denials(&published))
            .await?;
        let runbook = service.runbook.clone();
        Ok(Self {
            trouble: health::trouble(&service.log.health()),
            undelivered: (service.undelivered)(),
            requests: requests.iter().map(Request::of).collect(),
            has_more_requests,
            denials,
            runbook: runbook.map(String::from),
        })
    }
}

fn denials(published: &Published) -> Result<Vec<Row>, Problem> {
    let (topic, all) = (Topic::Kind(Kind::Refusal), 0..published.size.get());
    let rows = published.mentions(&topic, all, Order::NewestFirst, DENIALS)?;
    let entries = rows
        .iter()
        .map(|(index, _)| history::entry(published, *index));
    let entries = entries.collect::<Result<Vec<Entry>, _>>()?;
    Ok(entries.iter().map(Row::of).collect())
}

impl Request {
    fn of(received: &Received) -> Self {
        let asked = received.request.request();
        let agent = asked.agent.to_string();
        Self {
            allow: texts(&asked.allow),
            purpose: visible(asked.purpose.as_str()),
            since: When(received.received_ms),
            command: format!(
                "dragons lease grant --request {} --key operator.pem",
                received.request.id()
            ),
            agent,
        }
    }
}
