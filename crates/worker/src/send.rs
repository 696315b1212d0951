//! Sending: one exchange with an endpoint, under one deadline, its answer read up to a cap.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use hookfleet_domain::{
    AddressPolicy, AttemptNumber, AttemptRecord, AttemptSummary, Clock, Endpoint, Event,
    ForbiddenAddress, Outcome, Timestamp, Wish, limits, retry_after,
};
use reqwest::dns::Resolve;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response};
use tokio::time::timeout;

use crate::clients::{ClientError, Clients, Egress};
use crate::endpoints::Target;
use crate::guard::SystemResolver;
use crate::request::{self, WireRequest};

/// The answer's header with a wish.
const WISH: &str = "webhook-delivery";
/// What a proxy may answer to a request that it was to pass on.
const PROXY_AUTHENTICATION_REQUIRED: u16 = 407;

/// Sends deliveries.
pub struct Sender {
    clients: Clients,
    policy: AddressPolicy,
}

/// Nothing gets out: no endpoint's failure, but ours to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the egress proxy (HOOKFLEET_EGRESS_PROXY) {0}")]
pub struct NoEgress(String);

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
    /// A sender by this way. The process must have installed a TLS provider
    /// (`rustls::crypto::CryptoProvider::install_default`).
    pub fn new(egress: &Egress) -> Result<Self, ClientError> {
        Self::resolving(egress, Arc::new(SystemResolver))
    }

    pub(crate) fn resolving(
        egress: &Egress,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, ClientError> {
        Ok(Self { clients: Clients::new(egress, resolver)?, policy: egress.addresses.clone() })
    }

    /// Makes one attempt, and measures it.
    pub(crate) async fn attempt(
        &self,
        target: &Target,
        event: &Event,
        (attempt, at): (AttemptNumber, Timestamp),
    ) -> Result<Attempted, NoEgress> {
        let begun = tokio::time::Instant::now();
        let exchange = self.send(target, event, at).await?;
        Ok(Attempted::of(event, (attempt, at), begun.elapsed(), exchange))
    }

    /// Sends an event to an endpoint once, now, for somebody who waits for the result. Nothing
    /// follows from it: no retry, no dead letter, no count.
    pub async fn test(
        &self,
        endpoint: &Endpoint,
        event: &Event,
        clock: &dyn Clock,
    ) -> AttemptRecord {
        let (target, which) = (Target::new(endpoint.clone()), (AttemptNumber::FIRST, clock.now()));
        let made = self.attempt(&target, event, which).await.unwrap_or_else(|no_egress| {
            let outcome = Outcome::Unreachable(no_egress.to_string());
            Attempted::of(event, which, Duration::ZERO, outcome.into())
        });
        made.record
    }

    /// Is the endpoint's client certificate one that can be sent with?
    pub fn check_certificate(&self, endpoint: &Endpoint) -> Result<(), String> {
        self.clients.of(endpoint).map(drop).map_err(|error| error.to_string())
    }

    async fn send(
        &self,
        target: &Target,
        event: &Event,
        now: Timestamp,
    ) -> Result<Exchange, NoEgress> {
        let settings = &target.endpoint.settings;
        if let Err(error) = self.policy.check_url(&target.endpoint.url) {
            return Ok(Outcome::Forbidden(error.to_string()).into());
        }
        let request = match request::build(target, event, now) {
            Ok(request) => request,
            Err(error) => return Ok(Outcome::Forbidden(error.to_string()).into()),
        };
        let client = match self.clients.of(&target.endpoint) {
            Ok(client) => client,
            Err(error) => {
                let why = format!("the endpoint's client certificate {error}");
                return Ok(Outcome::Forbidden(why).into());
            }
        };
        let after = settings.timeout;
        Ok(match timeout(after, exchange(&client, request, now)).await {
            Ok(Ok(exchange)) if self.is_refused(&target.endpoint, &exchange) => {
                let why = "the egress proxy asks for other credentials (407)";
                Outcome::Forbidden(why.to_owned()).into()
            }
            Ok(Ok(exchange)) => exchange,
            Ok(Err(error)) => self.outcome_of(&error, after)?.into(),
            Err(_) => Outcome::TimedOut { after }.into(),
        })
    }

    /// Over plain http a proxy's refusal and an endpoint's answer look alike: it counts as an attempt,
    /// so that no endpoint can have its deliveries go round for ever.
    fn is_refused(&self, endpoint: &Endpoint, exchange: &Exchange) -> bool {
        self.clients.proxied()
            && !endpoint.url.is_https()
            && exchange.outcome.http_status() == Some(PROXY_AUTHENTICATION_REQUIRED)
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
        let client = self.clients.of(endpoint).map_err(|error| error.to_string())?;
        let after = endpoint.settings.timeout.min(limits::CONNECT_WAIT_MAX);
        let outcome = match timeout(after, exchange(&client, head, clock.now())).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => self.outcome_of(&error, after).map_err(|error| error.to_string())?,
            Err(_) => Outcome::TimedOut { after },
        };
        Err(outcome.error().unwrap_or_default())
    }

    /// Whose doing was it? The text never holds the URL: it may carry a token.
    fn outcome_of(&self, error: &reqwest::Error, after: Duration) -> Result<Outcome, NoEgress> {
        let mut source = std::error::Error::source(error);
        let mut deepest = None;
        while let Some(cause) = source {
            if let Some(forbidden) = cause.downcast_ref::<ForbiddenAddress>() {
                return Ok(Outcome::Forbidden(forbidden.to_string()));
            }
            if self.clients.proxied() && error.is_connect() {
                fault_of_proxy(cause)?;
            }
            deepest = Some(cause.to_string());
            source = cause.source();
        }
        if error.is_timeout() {
            return Ok(Outcome::TimedOut { after });
        }
        let stage = if error.is_connect() { "no connection" } else { "the exchange broke" };
        Ok(Outcome::Unreachable(match deepest {
            Some(cause) => format!("{stage}: {cause}"),
            None => stage.to_owned(),
        }))
    }
}

/// Behind a proxy it alone is connected to: nobody else can refuse a connection, and only it asks for
/// credentials before there is one.
fn fault_of_proxy(cause: &(dyn std::error::Error + 'static)) -> Result<(), NoEgress> {
    let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
    let away = [ErrorKind::ConnectionRefused, ErrorKind::HostUnreachable];
    if kind.is_some_and(|kind| away.contains(&kind)) {
        return Err(NoEgress(format!("cannot be reached: {cause}")));
    }
    // hyper-util keeps the type of this error to itself; a test tells when its text changes.
    if cause.to_string().ends_with("proxy authorization required") {
        return Err(NoEgress("asks for other credentials (407)".to_owned()));
    }
    Ok(())
}

impl Attempted {
    fn of(
        event: &Event,
        (attempt, at): (AttemptNumber, Timestamp),
        took: Duration,
        exchange: Exchange,
    ) -> Self {
        let Exchange { outcome, response_body } = exchange;
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
        Self { outcome, took, record }
    }
}

impl From<Outcome> for Exchange {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, response_body: None }
    }
}

/// Sends, and reads what is answered.
fn exchange(
    client: &Client,
    request: WireRequest,
    now: Timestamp,
) -> impl Future<Output = reqwest::Result<Exchange>> + use<> {
    answer(client.execute(request.into()), now)
}

async fn answer(
    sent: impl Future<Output = reqwest::Result<Response>>,
    now: Timestamp,
) -> reqwest::Result<Exchange> {
    let mut response = sent.await?;
    let status = response.status().as_u16();
    let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = asked.and_then(|value| retry_after(value, now));
    let wish = response.headers().get(WISH).and_then(|value| value.to_str().ok());
    let wish = wish.and_then(Wish::read);
    let response_body = read(&mut response).await?;
    Ok(Exchange { outcome: Outcome::Answered { status, retry_after, wish }, response_body })
}

/// Reads the body up to the cap, and keeps its beginning. Past the cap the connection is dropped.
async fn read(response: &mut Response) -> reqwest::Result<Option<String>> {
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
