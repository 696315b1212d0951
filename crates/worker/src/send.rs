//! Sending: one exchange with an endpoint, under one deadline, its answer read up to a cap.

use std::sync::Arc;
use std::time::Duration;

use hookfleet_domain::{
    AddressPolicy, AttemptNumber, AttemptRecord, AttemptSummary, Clock, Endpoint, Event,
    ForbiddenAddress, Outcome, Signature, Timestamp, Wish, limits, retry_after,
};
use reqwest::dns::Resolve;
use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use tokio::time::timeout;

use crate::endpoints::Target;
use crate::guard::{GuardedResolver, SystemResolver};
use crate::request::{self, WireRequest};

/// The answer's header with a wish.
const WISH: &str = "webhook-delivery";
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);
const IDLE_CONNECTION_KEPT: Duration = Duration::from_mins(1);

/// Sends deliveries.
#[derive(Debug)]
pub struct Sender {
    /// For Standard Webhooks, whose headers are written in lower case.
    plain: Client,
    /// For everybody else: `X-Webhook-Signature`. Header names are the same in any case, but not
    /// every receiver knows.
    title_case: Client,
    policy: AddressPolicy,
}

/// The HTTP client could not be built.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be built")]
pub struct ClientError(#[from] reqwest::Error);

/// One attempt, made and measured.
#[derive(Debug)]
pub struct Attempted {
    /// What it met.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// What is kept of it.
    pub record: AttemptRecord,
}

/// What an exchange met.
#[derive(Debug, PartialEq, Eq)]
struct Exchange {
    outcome: Outcome,
    /// The beginning of the answer's body, as text.
    response_body: Option<String>,
}

impl Sender {
    /// A sender that reaches what the policy allows. The process must have installed a TLS provider
    /// (`rustls::crypto::CryptoProvider::install_default`).
    pub fn new(policy: AddressPolicy) -> Result<Self, ClientError> {
        Self::resolving(policy, Arc::new(SystemResolver))
    }

    pub(crate) fn resolving(
        policy: AddressPolicy,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, ClientError> {
        let resolver = Arc::new(GuardedResolver { inner: resolver, policy: policy.clone() });
        let plain = client(&resolver).build()?;
        let title_case = client(&resolver).http1_title_case_headers().build()?;
        Ok(Self { plain, title_case, policy })
    }

    /// Makes one attempt, and measures it.
    pub(crate) async fn attempt(
        &self,
        target: &Target,
        event: &Event,
        (attempt, at): (AttemptNumber, Timestamp),
    ) -> Attempted {
        let begun = tokio::time::Instant::now();
        let Exchange { outcome, response_body } = self.send(target, event, at).await;
        let took = begun.elapsed();
        let summary = AttemptSummary {
            attempt,
            at,
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            http_status: outcome.http_status(),
            error: outcome.error(),
        };
        let record = AttemptRecord {
            event_id: event.id.clone(),
            event_type: event.event_type.clone(),
            success: outcome.is_success(),
            summary,
            response_body,
        };
        Attempted { outcome, took, record }
    }

    /// Sends an event to an endpoint once, now, for somebody who waits for the result. Nothing
    /// follows from it: no retry, no dead letter, no count.
    pub async fn test(
        &self,
        endpoint: &Endpoint,
        event: &Event,
        clock: &dyn Clock,
    ) -> AttemptRecord {
        let target = Target::new(endpoint.clone());
        self.attempt(&target, event, (AttemptNumber::FIRST, clock.now())).await.record
    }

    async fn send(&self, target: &Target, event: &Event, now: Timestamp) -> Exchange {
        let settings = &target.endpoint.settings;
        if let Err(error) = self.policy.check_url(&target.endpoint.url) {
            return Outcome::Forbidden(error.to_string()).into();
        }
        let request = match request::build(target, event, now) {
            Ok(request) => request,
            Err(error) => return Outcome::Forbidden(error.to_string()).into(),
        };
        let client = match settings.signature {
            Signature::Standard | Signature::StandardV1a => &self.plain,
            Signature::None | Signature::Hex { .. } | Signature::Sha256 { .. } => &self.title_case,
        };
        let after = settings.timeout;
        match timeout(after, exchange(client, request, now)).await {
            Ok(Ok(exchange)) => exchange,
            Ok(Err(error)) => outcome_of(&error, after).into(),
            Err(_) => Outcome::TimedOut { after }.into(),
        }
    }

    /// Is anybody there? Any HTTP answer counts.
    pub async fn probe(&self, endpoint: &Endpoint, clock: &dyn Clock) -> Result<(), String> {
        self.policy.check_url(&endpoint.url).map_err(|error| error.to_string())?;
        let head = WireRequest {
            method: reqwest::Method::HEAD,
            url: endpoint.url.as_url().clone(),
            headers: reqwest::header::HeaderMap::new(),
            body: bytes::Bytes::new(),
        };
        let after = endpoint.settings.timeout.min(CONNECT_WAIT_MAX);
        let outcome = match timeout(after, exchange(&self.plain, head, clock.now())).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => outcome_of(&error, after),
            Err(_) => Outcome::TimedOut { after },
        };
        Err(outcome.error().unwrap_or_default())
    }
}

impl From<Outcome> for Exchange {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, response_body: None }
    }
}

fn client(resolver: &Arc<GuardedResolver>) -> reqwest::ClientBuilder {
    Client::builder()
        .user_agent(concat!("Hookfleet/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Arc::clone(resolver))
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(CONNECT_WAIT_MAX)
        .pool_idle_timeout(IDLE_CONNECTION_KEPT)
        .tcp_nodelay(true)
}

async fn exchange(
    client: &Client,
    request: WireRequest,
    now: Timestamp,
) -> reqwest::Result<Exchange> {
    let WireRequest { method, url, headers, body } = request;
    let response = client.request(method, url).headers(headers).body(body).send().await?;
    let status = response.status().as_u16();
    let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = asked.and_then(|value| retry_after(value, now));
    let wish = response.headers().get(WISH).and_then(|value| value.to_str().ok());
    let wish = wish.and_then(Wish::read);
    let response_body = read(response).await?;
    Ok(Exchange { outcome: Outcome::Answered { status, retry_after, wish }, response_body })
}

/// Reads the body up to the cap, and keeps its beginning. Past the cap the connection is dropped.
async fn read(mut response: Response) -> reqwest::Result<Option<String>> {
    let (mut kept, mut read) = (Vec::new(), 0);
    while let Some(chunk) = response.chunk().await? {
        read += chunk.len();
        let room = limits::RESPONSE_KEPT_BYTES_MAX - kept.len();
        kept.extend(chunk.iter().take(room));
        if read > limits::RESPONSE_BYTES_MAX {
            break;
        }
    }
    // Bytes that are no text become replacement characters, which are longer: cut once more.
    let text = String::from_utf8_lossy(&kept);
    let text = limits::cut(&text, limits::RESPONSE_KEPT_BYTES_MAX);
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// Whose doing was it? The text never holds the URL: it may carry a token.
fn outcome_of(error: &reqwest::Error, after: Duration) -> Outcome {
    let mut source = std::error::Error::source(error);
    let mut deepest = None;
    while let Some(cause) = source {
        if let Some(forbidden) = cause.downcast_ref::<ForbiddenAddress>() {
            return Outcome::Forbidden(forbidden.to_string());
        }
        deepest = Some(cause.to_string());
        source = cause.source();
    }
    if error.is_timeout() {
        return Outcome::TimedOut { after };
    }
    let stage = if error.is_connect() { "no connection" } else { "the exchange broke" };
    Outcome::Unreachable(match deepest {
        Some(cause) => format!("{stage}: {cause}"),
        None => stage.to_owned(),
    })
}
