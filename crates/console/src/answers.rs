//! The API's answers, as far as pages show them. A field that is not named here is left alone.

use std::collections::BTreeMap;

use hookfleet_domain::{
    DeadLetterFilter, DeadLetterId, EndpointId, EventId, JobId, TenantId, Timestamp, TokenId,
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A page of a list.
#[derive(Debug, Deserialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the fields of a public JSON object")]
pub struct Endpoint {
    pub id: EndpointId,
    pub tenant: TenantId,
    pub project: Option<String>,
    pub name: Option<String>,
    pub url: String,
    pub profile: String,
    pub events: Vec<String>,
    pub method: String,
    pub body: String,
    pub signature: Signature,
    pub auth: Auth,
    pub accept: Option<String>,
    pub event_header: Option<String>,
    pub idempotency_header: Option<String>,
    pub headers: BTreeMap<String, String>,
    pub timeout: String,
    pub retry: Retry,
    pub rate_limit: Option<String>,
    pub max_in_flight: u32,
    pub require_https: bool,
    pub check_reachable: bool,
    pub active: bool,
    pub disabled_reason: Option<String>,
    pub has_secret: bool,
    pub has_client_certificate: bool,
    pub public_key: Option<String>,
    pub previous_secret_until: Option<Timestamp>,
    /// One that was just generated.
    pub secret: Option<String>,
    #[serde(rename = "failureCount")]
    pub failure_count: u64,
    pub breaker: String,
    pub next_attempt_at: Option<Timestamp>,
    pub deferred: u64,
    pub successes: u64,
    pub failures: u64,
    pub last_success_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Signature {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub header: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Auth {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub name: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Retry {
    pub schedule: Vec<String>,
}

impl Endpoint {
    /// Where its page is.
    pub fn page(&self) -> String {
        format!("/tenants/{}/endpoints/{}", self.tenant, self.id)
    }

    /// What people call it.
    pub fn title(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.url)
    }

    /// How it is, in a word for people and one for the style.
    pub fn state(&self) -> State {
        if !self.active {
            let why = if self.disabled_reason.is_some() { "gone" } else { "off" };
            return State { text: why, tone: "off" };
        }
        match (self.breaker.as_str(), self.failure_count) {
            ("open", _) => State { text: "broken", tone: "bad" },
            ("probing", _) => State { text: "probing", tone: "warn" },
            (_, 0) if self.successes == 0 => State { text: "new", tone: "idle" },
            (_, 0) => State { text: "healthy", tone: "good" },
            (_, _) => State { text: "failing", tone: "bad" },
        }
    }
}

/// A word, and its tone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    pub text: &'static str,
    pub tone: &'static str,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Attempt {
    /// Of an attempt that is kept with its delivery this is not told.
    pub event_id: Option<EventId>,
    #[serde(default)]
    pub event_type: String,
    #[serde(rename = "attempt")]
    pub number: u32,
    #[serde(default)]
    pub status: String,
    pub http_status: Option<u16>,
    pub duration_ms: u64,
    pub at: Timestamp,
    pub error: Option<String>,
    #[serde(default)]
    pub response_body: Option<String>,
}

impl Attempt {
    pub fn succeeded(&self) -> bool {
        self.status == "success" || (self.status.is_empty() && self.error.is_none())
    }

    pub fn tone(&self) -> &'static str {
        if self.succeeded() { "good" } else { "bad" }
    }
}

#[derive(Debug, Deserialize)]
pub struct Event {
    pub id: EventId,
    #[serde(rename = "type")]
    pub kind: String,
    pub project: Option<String>,
    pub timestamp: Timestamp,
    pub accepted_at: Timestamp,
    pub fanned_out: bool,
    pub deliveries: Vec<Delivery>,
    pub next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Delivery {
    pub endpoint_id: EndpointId,
    pub status: String,
    pub attempts: u32,
    pub http_status: Option<u16>,
    pub generation: u32,
    pub updated_at: Option<Timestamp>,
}

impl Delivery {
    pub fn tone(&self) -> &'static str {
        match self.status.as_str() {
            "delivered" => "good",
            "retrying" => "warn",
            "dead" => "bad",
            "discarded" => "off",
            _ => "idle",
        }
    }
}

#[derive(Debug, Deserialize)]
pub struct DeadLetter {
    pub id: DeadLetterId,
    pub tenant: Option<TenantId>,
    pub event_id: Option<EventId>,
    pub endpoint_id: Option<EndpointId>,
    pub event_type: Option<String>,
    pub reason: String,
    pub attempts: Vec<Attempt>,
    pub died_at: Timestamp,
    #[serde(default)]
    pub payload: Option<Box<RawValue>>,
}

impl DeadLetter {
    /// What its last attempt met.
    pub fn last_error(&self) -> String {
        let last = self.attempts.last();
        last.and_then(|attempt| attempt.error.clone()).unwrap_or_default()
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Job {
    pub id: JobId,
    pub kind: String,
    pub state: String,
    pub created_by: String,
    pub tenant: Option<TenantId>,
    pub created_at: Timestamp,
    pub dry_run: bool,
    pub matched: u64,
    pub seen: u64,
    pub done: u64,
    pub finished_at: Option<Timestamp>,
    pub error: Option<String>,
    pub filter: Option<DeadLetterFilter>,
    pub rate: Option<String>,
    pub endpoint: Option<EndpointId>,
    pub since: Option<Timestamp>,
}

impl Job {
    pub fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "done" | "failed")
    }

    pub fn tone(&self) -> &'static str {
        match self.state.as_str() {
            "done" => "good",
            "failed" => "bad",
            "running" => "warn",
            _ => "idle",
        }
    }

    /// How far it is, as a progress bar takes it: a part, and the whole.
    pub fn progress(&self) -> (u64, u64) {
        let whole = self.matched.max(self.done).max(1);
        (if self.state == "done" { whole } else { self.done }, whole)
    }
}

#[derive(Debug, Deserialize)]
pub struct Asked {
    pub job_id: JobId,
    pub matched: u64,
}

#[derive(Debug, Deserialize)]
pub struct Token {
    pub id: TokenId,
    pub name: Option<String>,
    pub access: String,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    /// The token itself, where it was just made.
    #[serde(rename = "token")]
    pub text: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Published {
    pub id: EventId,
}

/// An event of a list.
#[derive(Debug, Deserialize)]
pub struct Found {
    pub id: EventId,
    #[serde(rename = "type")]
    pub event_type: String,
    pub project: Option<String>,
    pub accepted_at: Timestamp,
}

/// What happened in a stretch of time.
#[derive(Debug, Clone, Deserialize)]
pub struct Counts {
    pub at: Timestamp,
    pub events: u64,
    pub delivered: u64,
    pub failed: u64,
    pub dead_letters: u64,
    pub average_ms: Option<u64>,
}

impl Counts {
    /// How many attempts of a hundred succeeded, to a tenth.
    pub fn success_rate(&self) -> Option<String> {
        let all = self.delivered + self.failed;
        let tenths = (self.delivered * 1000).checked_div(all)?;
        Some(format!("{}.{} %", tenths / 10, tenths % 10))
    }
}

#[derive(Debug, Deserialize)]
pub struct Stats {
    pub until: Timestamp,
    pub total: Counts,
    pub items: Vec<Counts>,
}

/// An endpoint, and what its attempts were.
#[derive(Debug, Deserialize)]
pub struct EndpointCounts {
    pub tenant: TenantId,
    pub endpoint_id: EndpointId,
    pub name: Option<String>,
    pub url: String,
    pub attempts: u64,
    pub failures: u64,
    pub average_ms: u64,
}

impl EndpointCounts {
    /// What people call it.
    pub fn title(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.url)
    }
}

/// What was published.
#[derive(Debug, Deserialize)]
pub struct Content {
    pub data: Box<RawValue>,
}

/// A link to a tenant's console.
#[derive(Debug, Deserialize)]
pub struct Link {
    pub url: String,
    pub expires_at: Timestamp,
}

/// A request that was not sent.
#[derive(Debug, Deserialize)]
pub struct Preview {
    pub method: String,
    pub url: String,
    pub headers: Vec<Header>,
    pub body: String,
}

#[derive(Debug, Deserialize)]
pub struct Header {
    pub name: String,
    pub value: String,
}

/// The fleet.
#[derive(Debug, Deserialize)]
pub struct System {
    pub version: String,
    pub broker: Option<String>,
    pub store: Option<String>,
    pub processes: Vec<Process>,
    pub queues: Vec<Queue>,
    pub findings: Vec<Finding>,
}

#[derive(Debug, Deserialize)]
pub struct Process {
    pub id: String,
    pub role: String,
    pub version: String,
    pub host: String,
    pub started_at: Timestamp,
    pub seen_at: Timestamp,
    #[serde(default)]
    pub in_flight: Option<u64>,
    #[serde(default)]
    pub slots: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub struct Queue {
    #[serde(rename = "queue")]
    pub name: String,
    pub messages: u64,
    pub consumers: Option<u64>,
    pub oldest_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
pub struct Finding {
    pub name: String,
    pub problem: Option<String>,
    pub mend: Option<String>,
}

impl System {
    /// What is wrong, and what is well.
    pub fn findings_apart(&self) -> (Vec<&Finding>, Vec<&Finding>) {
        self.findings.iter().partition(|finding| finding.problem.is_some())
    }

    /// Deliveries and events that wait, and dead letters.
    pub fn waiting(&self) -> (u64, u64) {
        let of = |dead: bool| {
            let queues = self.queues.iter().filter(move |queue| (queue.name == "dead") == dead);
            queues.map(|queue| queue.messages).sum()
        };
        (of(false), of(true))
    }
}
