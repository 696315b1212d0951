//! Traces: from an event's publishing to every attempt, over a real collector.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use e2e::client::text;
use e2e::collector::Collector;
use e2e::fleet::{Fleet, Process, free_port};
use e2e::receiver::{Answer, Receiver};
use e2e::{SOON, eventually};
use serde_json::{Value, json};

use crate::BINARY;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// A fleet whose processes were started with these settings.
struct Traced {
    fleet: Fleet,
    processes: Vec<Process>,
}

impl Traced {
    /// Over RabbitMQ and Redis: an API and a worker. The retry is thus sent by another process than
    /// the one that knows what was published.
    async fn fleet(settings: &[(&str, &str)]) -> Self {
        Self::start(Fleet::new(BINARY).await, &["api", "worker"], settings).await
    }

    /// Over SQLite: a server alone.
    async fn embedded(settings: &[(&str, &str)]) -> Self {
        Self::start(Fleet::alone(BINARY), &["serve"], settings).await
    }

    async fn start(fleet: Fleet, roles: &[&str], settings: &[(&str, &str)]) -> Self {
        let listen = fleet.client.url.trim_start_matches("http://");
        let mut processes = Vec::new();
        for role in roles {
            let mut command = fleet.command(&[role]);
            command.env("HOOKFLEET_LISTEN", listen).envs(settings.iter().copied());
            let process = Process::spawn(command);
            process.ready().await;
            processes.push(process);
        }
        Self { fleet, processes }
    }

    /// Publishes with a `traceparent`, and answers the event's id.
    async fn publish(&self, flags: &str) -> String {
        let client = &self.fleet.client;
        let request = client
            .request(reqwest::Method::POST, "/v1/tenants/acme/events")
            .header("content-type", "application/json")
            .header("traceparent", format!("00-{TRACE}-{CALLER}-{flags}"));
        let event = json!({"type": "test.event", "data": 1}).to_string();
        let (status, published) = client.send(request.body(event)).await;
        assert_eq!(status, 202, "{published}");
        text(&published, "id")
    }

    /// Registers an endpoint that is tried again after a second.
    async fn endpoint(&self, receiver: &Receiver) -> String {
        let url = format!("{}/hook?token=hush", receiver.url);
        let fields = json!({"url": url, "retry": {"schedule": ["1s"]}});
        text(&self.fleet.client.endpoint(&fields).await, "id")
    }

    async fn spans_counted(&self, outcome: &str) -> f64 {
        let name = format!("hookfleet_trace_spans_total{{outcome=\"{outcome}\"}}");
        let mut sum = 0.0;
        for process in &self.processes {
            sum += process.metric(&name).await;
        }
        sum
    }
}

/// A receiver that answers 500 once, and then 200.
async fn failing_once() -> Receiver {
    let calls = AtomicUsize::new(0);
    Receiver::new(move |_| {
        let first = calls.fetch_add(1, Ordering::SeqCst) == 0;
        Answer::from(if first { 500 } else { 200 })
    })
    .await
}

#[tokio::test]
async fn one_trace_from_publisher_to_retry_over_a_fleet() {
    let collector = Collector::new().await;
    let traced = Traced::fleet(&[("HOOKFLEET_OTLP_ENDPOINT", collector.url())]).await;
    one_trace_from_publisher_to_retry(traced, collector).await;
}

#[tokio::test]
async fn one_trace_from_publisher_to_retry_embedded() {
    let collector = Collector::new().await;
    let traced = Traced::embedded(&[("HOOKFLEET_OTLP_ENDPOINT", collector.url())]).await;
    one_trace_from_publisher_to_retry(traced, collector).await;
}

async fn one_trace_from_publisher_to_retry(traced: Traced, collector: Collector) {
    let receiver = failing_once().await;
    let endpoint = traced.endpoint(&receiver).await;
    let event = traced.publish("01").await;
    let attempts = collector.wait_for(2, "attempt", SOON).await;
    let publish = collector.wait_for(1, "publish", SOON).await.remove(0);
    let fan_out = collector.wait_for(1, "fan out", SOON).await.remove(0);
    let all = [&publish, &fan_out, &attempts[0], &attempts[1]];
    for span in all {
        assert_eq!(span.trace, TRACE, "{}", span.name);
        assert_eq!(span.attribute("hookfleet.event.id"), event);
        assert_eq!(span.attribute("hookfleet.tenant"), "acme");
        assert!(span.time.0 <= span.time.1);
    }
    assert_eq!(all.map(|span| &span.id).into_iter().collect::<HashSet<_>>().len(), 4);
    assert_eq!(publish.parent, CALLER);
    assert_eq!(fan_out.parent, publish.id);
    assert_eq!(fan_out.attribute("hookfleet.endpoints"), "1");

    let [first, second] = [&attempts[0], &attempts[1]];
    assert_eq!((&first.parent, &second.parent), (&publish.id, &publish.id));
    assert_eq!(first.links, []);
    assert_eq!(second.links, [(TRACE.to_owned(), first.id.clone())]);
    assert!(second.time.0 >= first.time.1, "a retry comes after what it follows from");
    let told = ["hookfleet.attempt", "hookfleet.outcome", "http.response.status_code"];
    assert_eq!(told.map(|name| first.attribute(name)), ["1", "status", "500"]);
    assert_eq!(told.map(|name| second.attribute(name)), ["2", "success", "200"]);
    assert_eq!((first.failed, second.failed), (true, false));
    assert_eq!(first.attribute("hookfleet.endpoint.id"), endpoint);
    assert_eq!(first.attribute("server.address"), "127.0.0.1");
    let port = receiver.url.rsplit(':').next().unwrap();
    assert_eq!(first.attribute("server.port"), port);

    let sent = collector.requests();
    assert!(sent.iter().all(|request| !request.text().contains("hush")));
    let told = receiver
        .requests()
        .iter()
        .map(|request| request.header("traceparent").map(str::to_owned))
        .collect::<Vec<_>>();
    let own = Some(format!("00-{TRACE}-{CALLER}-01"));
    assert_eq!(told, [own.clone(), own], "an endpoint is sent what the publisher sent");
    eventually("they are counted", SOON, || async {
        (traced.spans_counted("exported").await >= 4.0).then_some(())
    })
    .await;
}

/// Without a publisher's trace, each event begins one; a duplicate belongs to it.
#[tokio::test]
async fn an_event_without_a_trace_begins_one() {
    let collector = Collector::new().await;
    let mut traced = Traced::embedded(&[
        ("HOOKFLEET_OTLP_ENDPOINT", collector.url()),
        ("HOOKFLEET_TRACE_ENDPOINTS", "true"),
    ])
    .await;
    let receiver = Receiver::answering(200).await;
    traced.endpoint(&receiver).await;
    let line = r#"{"type":"test.event","data":1,"idempotency_key":"once"}"#;
    let answers = traced.fleet.client.batch_lines(line).await;
    traced.fleet.client.batch_lines(line).await;
    let unsampled = traced.publish("00").await;
    receiver.wait_for(2, SOON).await;
    let published = collector.wait_for(2, "publish", SOON).await;
    let attempt = collector.wait_for(1, "attempt", SOON).await.remove(0);
    let [first, duplicate] = [&published[0], &published[1]];
    let outcomes = [first, duplicate].map(|span| span.attribute("hookfleet.outcome"));
    assert_eq!(outcomes, ["accepted", "duplicate"]);
    assert_eq!((&first.parent, &duplicate.parent), (&String::new(), &String::new()));
    assert_eq!((&first.trace, &attempt.trace), (&duplicate.trace, &first.trace));
    assert_ne!(first.id, duplicate.id);
    assert_eq!(attempt.parent, first.id);
    assert_eq!(attempt.attribute("hookfleet.event.id"), text(&answers[0], "id"));

    // Where endpoints are to be told, they are told the attempt's own; of what is not recorded, what
    // the publisher said.
    let own = format!("00-{}-{}-01", attempt.trace, attempt.id);
    for request in receiver.requests() {
        let is_unsampled = request.header("webhook-id") == Some(unsampled.as_str());
        let publishers = format!("00-{TRACE}-{CALLER}-00");
        let expected = if is_unsampled { &publishers } else { &own };
        assert_eq!(request.header("traceparent"), Some(expected.as_str()));
    }
    assert!(traced.processes[0].terminate().await.success());
    let spans = collector.spans();
    assert!(spans.iter().all(|span| span.attribute("hookfleet.event.id") != unsampled));
}

/// What waits when a process is told to stop is sent before it ends.
#[tokio::test]
async fn the_last_spans_are_sent_at_the_end() {
    let collector = Collector::new().await;
    let headers = "authorization=Bearer hush";
    let mut traced = Traced::embedded(&[
        ("HOOKFLEET_OTLP_ENDPOINT", collector.url()),
        ("HOOKFLEET_OTLP_HEADERS", headers),
    ])
    .await;
    let receiver = Receiver::answering(200).await;
    traced.endpoint(&receiver).await;
    traced.publish("01").await;
    receiver.wait_for(1, SOON).await;
    assert!(traced.processes[0].terminate().await.success());
    let names: HashSet<String> = collector.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["publish", "fan out", "attempt"].map(str::to_owned).into());
    let requests = collector.requests();
    assert_eq!(requests[0].header("authorization"), Some("Bearer hush"));
}

/// One that is away, and one that answers nothing: deliveries do not wait for either.
#[tokio::test]
async fn a_dead_collector_holds_nothing_up() {
    let silent =
        Collector::answering(|_| Answer { after: Duration::from_mins(5), ..200.into() }).await;
    let nobody = format!("http://127.0.0.1:{}", free_port());
    // Each event has three spans: of the first collector's there are more than there is room for.
    for (url, events, lost) in [(silent.url(), 4_000, "dropped"), (&nobody, 100, "failed")] {
        let mut traced = Traced::embedded(&[("HOOKFLEET_OTLP_ENDPOINT", url)]).await;
        let receiver = Receiver::answering(200).await;
        traced.endpoint(&receiver).await;
        let data: Vec<Value> = (0..events).map(|n| json!(n)).collect();
        traced.fleet.client.batch(&data).await;
        receiver.wait_for(events, e2e::IN_A_WHILE).await;
        eventually(&format!("spans are {lost}"), e2e::IN_A_WHILE, || async {
            (traced.spans_counted(lost).await > 0.0).then_some(())
        })
        .await;
        assert!(traced.spans_counted("exported").await <= 0.0);
        assert!(traced.processes[0].terminate().await.success());
    }
}

/// What a collector does not take at first is sent again.
#[tokio::test]
async fn a_collector_that_is_busy_gets_them_again() {
    let calls = AtomicUsize::new(0);
    let busy = move |_: &_| {
        let first = calls.fetch_add(1, Ordering::SeqCst) == 0;
        Answer::from(if first { 503 } else { 200 })
    };
    let collector = Collector::answering(busy).await;
    let traced = Traced::embedded(&[("HOOKFLEET_OTLP_ENDPOINT", collector.url())]).await;
    traced.publish("01").await;
    collector.wait_for(1, "publish", SOON).await;
    assert!(traced.spans_counted("failed").await <= 0.0);
}

/// The standard's own variable, which platforms set for everybody, does not switch it on.
#[tokio::test]
async fn nothing_is_sent_when_it_is_off() {
    let collector = Collector::new().await;
    let mut traced = Traced::embedded(&[("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())]).await;
    let receiver = failing_once().await;
    traced.endpoint(&receiver).await;
    traced.publish("01").await;
    let requests = receiver.wait_for(2, SOON).await;
    let own = format!("00-{TRACE}-{CALLER}-01");
    assert_eq!(requests[1].header("traceparent"), Some(own.as_str()));
    for outcome in ["exported", "dropped", "failed"] {
        assert!(traced.spans_counted(outcome).await <= 0.0, "{outcome}");
    }
    assert!(traced.processes[0].terminate().await.success());
    assert_eq!(collector.requests().len(), 0);
}
