//! What every run has, whatever the backend: endpoints, publishers, and the count at the end.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use e2e::client::{Client, items, text};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::Arguments;
use crate::faults::Log;
use crate::ledger::{Balance, Ledger, Subscriber};
use crate::publish::{Door, LOST, PAID, PLACED, SHIPPED, publish};
use crate::receivers::{Mood, Nature, Receiver};
use crate::report::Run;

/// How long everything may take to be delivered once all is healed: what found its endpoint's lane
/// full may have been put off for ten minutes.
const DRAIN_WAIT_MAX: Duration = Duration::from_mins(12);
/// A worker may know an older list of endpoints for so long.
const ENDPOINTS_KNOWN_AFTER: Duration = Duration::from_secs(12);

pub struct Stage {
    pub mood: watch::Sender<Mood>,
    pub ledger: Arc<Ledger>,
    receivers: Vec<Receiver>,
    client: Client,
}

impl Stage {
    pub async fn new(client: &Client) -> Self {
        let (ledger, client) = (Arc::default(), client.clone());
        let mood = watch::Sender::new(Mood::Honest);
        let mut stage = Self { mood, ledger, receivers: Vec::new(), client };
        for (name, nature, event_type) in [
            ("steady", Nature::Steady, PLACED),
            ("flaky", Nature::Flaky, PAID),
            ("moody", Nature::Moody, SHIPPED),
            ("failing", Nature::Failing, LOST),
            ("no TLS", Nature::NoTls, LOST),
        ] {
            stage.subscribe(name, nature, event_type).await;
        }
        stage
    }

    /// Registers an endpoint, trying until the fleet takes it.
    async fn subscribe(&mut self, name: &'static str, nature: Nature, event_type: &'static str) {
        let (number, ledger) = (self.receivers.len(), Arc::clone(&self.ledger));
        let receiver = Receiver::new(number, nature, self.mood.subscribe(), ledger).await;
        let short = matches!(nature, Nature::Failing | Nature::NoTls);
        let schedule = if short { vec!["1s"] } else { vec!["3s"; 30] };
        let fields = json!({
            "url": receiver.url, "events": [event_type], "timeout": if nature == Nature::Moody { "2s" } else { "8s" },
            "retry": {"schedule": schedule},
        });
        let id = loop {
            // Repeated, it is the same endpoint.
            let request = self.client.request(reqwest::Method::POST, "/v1/tenants/acme/endpoints");
            let request = request.header("idempotency-key", name.replace(' ', "-"));
            let request = request.header("content-type", "application/json");
            if let Some(id) = answered_id(request.body(fields.to_string())).await {
                break id;
            }
            sleep(Duration::from_secs(1)).await;
        };
        let first = self.receivers.len() < 5;
        let known = if first { Duration::ZERO } else { ENDPOINTS_KNOWN_AFTER };
        let since = Instant::now() + known;
        self.ledger.subscribed(Subscriber { name, id, event_type, since });
        self.receivers.push(receiver);
    }

    /// Publishes by all doors, with one more endpoint after a third of the time, then ends it all.
    pub async fn load(
        &mut self,
        (lasting, rate): (Duration, u32),
        seed: u64,
        doors: Vec<Door>,
        over: &CancellationToken,
    ) {
        let mut publishers = JoinSet::new();
        let rate = rate / u32::try_from(doors.len()).unwrap();
        for (number, door) in (8..).zip(doors) {
            let ledger = Arc::clone(&self.ledger);
            publishers.spawn(publish(door, rate, seed * 16 + number, ledger, over.clone()));
        }
        let end = Instant::now() + lasting;
        sleep(lasting / 3).await;
        self.subscribe("late", Nature::Steady, PAID).await;
        tokio::time::sleep_until(end).await;
        over.cancel();
        publishers.join_all().await;
    }

    /// Waits until everything is delivered or dead and the queues are empty, for as long as that may
    /// take.
    pub async fn settle<F: Future<Output = u64>>(
        self,
        arguments: &Arguments,
        seed: u64,
        log: &Log,
        left_in_queues: impl Fn() -> F,
    ) -> Run {
        let healed = Instant::now();
        let (balance, left_in_queues) = loop {
            let balance = self.balance(log).await;
            let left = left_in_queues().await;
            let settled = balance.missing.is_empty() && left == 0;
            if settled || healed.elapsed() > DRAIN_WAIT_MAX {
                break (balance, left);
            }
            eprintln!("{} deliveries to come, {left} messages in queues", balance.missing.len());
            sleep(Duration::from_secs(2)).await;
        };
        for (endpoint, event) in balance.missing.iter().take(10) {
            let (_, status) = self.client.get(&format!("/v1/tenants/acme/events/{event}")).await;
            eprintln!("missing at {endpoint}: {status}");
        }
        Run {
            seed,
            backend: arguments.backend.label(),
            seconds: arguments.seconds,
            rate: arguments.rate,
            began: log.began(),
            faults: log.faults(),
            balance,
            drained_s: healed.elapsed().as_secs_f64(),
            left_in_queues,
        }
    }

    async fn balance(&self, log: &Log) -> Balance {
        let mut dead = HashSet::new();
        for subscriber in self.ledger.subscribers() {
            self.dead_letters(&format!("endpoint={}", subscriber.id), &mut dead).await;
        }
        self.dead_letters("reason=poison", &mut dead).await;
        self.ledger.balance(&dead, &log.faults())
    }

    async fn dead_letters(&self, filter: &str, dead: &mut HashSet<(String, String)>) {
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/dead-letters?{filter}&limit=200{cursor}");
            let (status, page) = self.client.get(&path).await;
            assert_eq!(status, 200, "{page}");
            let field = |letter: &Value, name: &str| {
                letter.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            dead.extend(
                items(&page)
                    .iter()
                    .map(|letter| (field(letter, "endpoint_id"), field(letter, "event_id"))),
            );
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return,
            }
        }
    }
}

async fn answered_id(request: reqwest::RequestBuilder) -> Option<String> {
    let answer = request.timeout(Duration::from_secs(20)).send().await.ok()?;
    let answered = answer.status().is_success();
    let answer: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
    answered.then(|| text(&answer, "id"))
}
