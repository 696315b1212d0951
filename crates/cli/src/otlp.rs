//! Sends spans to a collector: OTLP over HTTP, as JSON.
//!
//! Deliveries never wait for it. Spans wait in a queue with a bound; one that finds no room is dropped
//! and counted, and so is a batch that the collector does not take. One task sends, a batch at a time.

mod encode;

use std::time::Duration;

use hookfleet_domain::{Secret, Span, Spans, TraceOptions, Tracer};
use hookfleet_queue::Pauses;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, StatusCode, Url};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// Where a collector takes traces.
const PATH: &str = "/v1/traces";
/// Spans that wait: some seconds' worth of a busy worker, and a few MiB.
const WAITING_MAX: usize = 8192;
/// Spans that are sent at once: about 512 KiB.
const BATCH_MAX: usize = 512;
/// How long spans are gathered. Nobody is woken for each of them.
const GATHERED_FOR: Duration = Duration::from_millis(500);
/// OTLP's own time-out, connecting included.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);
/// How often a batch is sent before it is given up: over about ten seconds, if the collector is away.
const TRIES_MAX: u32 = 8;
/// What of the collector's answer is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// How long the last spans may take at the end.
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(3);

/// Where spans go.
#[derive(Debug)]
pub struct Otlp {
    /// `…/v1/traces`; it may hold a password.
    pub url: Url,
    /// Headers of each request, such as the collector's authentication.
    pub headers: HeaderMap,
    /// Certificates of authorities, as PEM, that are trusted besides the system's.
    pub authorities: Option<Vec<u8>>,
    /// What is recorded.
    pub options: TraceOptions,
}

/// The collector's address, or with `/v1/traces` that of its traces.
pub fn url(given: &Secret) -> Result<Url, Failure> {
    const EXPECTED: &str = "otlp_endpoint is invalid: expected http://host:4318 or https://…";
    let invalid = || Failure::usage(EXPECTED);
    let mut url: Url = given.expose().parse().map_err(|_| invalid())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    if !path.ends_with(PATH) {
        url.set_path(&format!("{path}{PATH}"));
    }
    Ok(url)
}

/// `name=value,name=value`; a value ends at the next comma.
pub fn headers(given: &Secret) -> Result<HeaderMap, Failure> {
    let invalid = || Failure::usage("otlp_headers are invalid: expected name=value,name=value");
    let mut headers = HeaderMap::new();
    for header in given.expose().split(',').filter(|header| !header.trim().is_empty()) {
        let (name, value) = header.split_once('=').ok_or_else(invalid)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| invalid())?;
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| invalid())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// What became of spans.
#[derive(Debug, Clone)]
struct OtlpMetrics {
    exported: IntCounter,
    dropped: IntCounter,
    failed: IntCounter,
}

/// What is recorded by this process, and the task that sends it.
#[derive(Default)]
pub struct Tracing {
    /// For those who record.
    pub tracer: Tracer,
    sending: JoinSet<()>,
    stop: CancellationToken,
}

/// Registers what is counted here, whether spans are sent or not.
pub fn register(registry: &Registry) -> prometheus::Result<IntCounterVec> {
    let help = "Spans for the collector, by what became of them.";
    let spans = IntCounterVec::new(Opts::new("hookfleet_trace_spans_total", help), &["outcome"])?;
    registry.register(Box::new(spans.clone()))?;
    for outcome in ["exported", "dropped", "failed"] {
        spans.with_label_values(&[outcome]);
    }
    Ok(spans)
}

impl Tracing {
    /// Begins to send, if it was asked for.
    pub fn begin(otlp: Option<&Otlp>, registry: &Registry) -> Result<Self, Failure> {
        let spans = register(registry).map_err(Failure::failed)?;
        let Some(otlp) = otlp else {
            return Ok(Self::default());
        };
        let of = |outcome| spans.with_label_values(&[outcome]);
        let metrics =
            OtlpMetrics { exported: of("exported"), dropped: of("dropped"), failed: of("failed") };
        let (sender, spans) = mpsc::channel(WAITING_MAX);
        let waiting = Waiting { sender, dropped: metrics.dropped.clone() };
        let (client, url) = (client(otlp)?, otlp.url.clone());
        let stop = CancellationToken::new();
        let exporter = Exporter { spans, client, url, metrics, told: false, stop: stop.clone() };
        let mut sending = JoinSet::new();
        sending.spawn(exporter.run());
        tracing::info!("spans go to {}", otlp.url.host_str().unwrap_or("?"));
        Ok(Self { tracer: Tracer::new(waiting, otlp.options), sending, stop })
    }

    /// Sends what still waits, for a while.
    pub async fn end(mut self) {
        self.stop.cancel();
        if timeout(FLUSH_WAIT_MAX, self.sending.join_next()).await.is_err() {
            tracing::warn!("the collector did not take the last spans in time");
        }
    }
}

fn client(otlp: &Otlp) -> Result<Client, Failure> {
    let pem = otlp.authorities.as_deref().map(Certificate::from_pem_bundle).transpose();
    let authorities = pem.map_err(|_| Failure::usage("the CA bundle is invalid"))?;
    let client = Client::builder()
        .user_agent(concat!("Hookfleet/", env!("CARGO_PKG_VERSION")))
        .default_headers(otlp.headers.clone())
        .no_proxy()
        .redirect(Policy::none())
        .tls_certs_merge(authorities.unwrap_or_default())
        .timeout(ANSWER_WAIT_MAX);
    client.build().map_err(|error| Failure::failed(format!("no HTTP client: {error}")))
}

/// The queue's end for those who record.
struct Waiting {
    sender: mpsc::Sender<Span>,
    dropped: IntCounter,
}

impl Spans for Waiting {
    fn keep(&self, span: Span) {
        if self.sender.try_send(span).is_err() {
            self.dropped.inc();
        }
    }
}

struct Exporter {
    spans: mpsc::Receiver<Span>,
    client: Client,
    url: Url,
    metrics: OtlpMetrics,
    /// Was it told that the collector does not take them?
    told: bool,
    stop: CancellationToken,
}

/// Why the collector did not take a batch.
struct Refused {
    why: String,
    may_pass: bool,
}

impl Exporter {
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while self.gather(&mut batch).await {
            let taken = self.send(&batch).await;
            self.count(&batch, taken);
            batch.clear();
        }
    }

    /// The next spans; `false`: there will be none. Where there are many, none is waited for.
    async fn gather(&mut self, batch: &mut Vec<Span>) -> bool {
        let first = tokio::select! {
            biased;
            () = self.stop.cancelled() => {
                self.spans.close();
                self.spans.recv().await
            }
            first = self.spans.recv() => first,
        };
        let Some(first) = first else {
            return false;
        };
        batch.push(first);
        if self.spans.len() < BATCH_MAX {
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = sleep(GATHERED_FOR) => {}
            }
        }
        while batch.len() < BATCH_MAX
            && let Ok(span) = self.spans.try_recv()
        {
            batch.push(span);
        }
        true
    }

    /// Sends a batch until it is taken or given up; answers how many spans were refused of it.
    async fn send(&self, batch: &[Span]) -> Result<usize, Refused> {
        let body = bytes::Bytes::from(encode::request(batch));
        let mut pauses = Pauses::new();
        for _ in 1..TRIES_MAX {
            match self.post(body.clone()).await {
                Err(refused) if refused.may_pass && !self.stop.is_cancelled() => {
                    tracing::debug!("sending spans again: {}", refused.why);
                }
                ended => return ended,
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = sleep(pauses.next_pause()) => {}
            }
        }
        self.post(body).await
    }

    async fn post(&self, body: bytes::Bytes) -> Result<usize, Refused> {
        let json = HeaderValue::from_static("application/json");
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, json).body(body);
        // The URL may hold a password.
        let broken =
            |error: reqwest::Error| Refused { why: chain(&error.without_url()), may_pass: true };
        let mut answer = request.send().await.map_err(broken)?;
        let status = answer.status();
        if !status.is_success() {
            return Err(Refused { why: format!("status {status}"), may_pass: may_pass(status) });
        }
        let mut read = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(broken)? {
            if read.len() + chunk.len() > ANSWER_BYTES_MAX {
                break;
            }
            read.extend_from_slice(&chunk);
        }
        Ok(encode::rejected(&read))
    }

    fn count(&mut self, batch: &[Span], taken: Result<usize, Refused>) {
        let size = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let (failed, why) = match taken {
            Ok(0) => (0, None),
            Ok(rejected) => {
                let rejected = u64::try_from(rejected).unwrap_or(u64::MAX).min(size);
                (rejected, Some(format!("{rejected} spans of a batch were rejected")))
            }
            Err(refused) => (size, Some(refused.why)),
        };
        self.metrics.exported.inc_by(size - failed);
        self.metrics.failed.inc_by(failed);
        match why {
            Some(why) if !self.told => tracing::warn!("the collector takes no spans: {why}"),
            None if self.told => tracing::info!("the collector takes spans again"),
            Some(_) | None => {}
        }
        self.told = failed > 0;
    }
}

/// OTLP names these as worth another try.
fn may_pass(status: StatusCode) -> bool {
    [429, 502, 503, 504].contains(&status.as_u16())
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests;
