//! Publishers: a steady rate, however the fleet fares, over HTTP and by the producer crate.

use std::sync::Arc;
use std::time::Duration;

use e2e::client::Client;
use e2e::fleet::MASTER_KEY;
use hookfleet_backends::rabbitmq::{RabbitOptions, RabbitQueue};
use hookfleet_backends::redis::{RedisOptions, RedisStore};
use hookfleet_domain::{Clock, Draft, Secret, Timestamp};
use hookfleet_producer::{Producer, ProducerMetrics};
use hookfleet_store::Sealer;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::ledger::{Ledger, Said};

pub const PLACED: &str = "order.placed";
pub const PAID: &str = "order.paid";
pub const SHIPPED: &str = "order.shipped";
pub const LOST: &str = "order.lost";

/// Events whose publishing is under way; past that they are not offered.
const UNDER_WAY_MAX: usize = 4000;
/// An event with an idempotency key is published until it is accepted, for so long.
const PATIENCE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_secs(1);

/// Where events go in.
pub enum Door {
    Http(Client),
    Crate(Producer),
}

/// The producer crate, as a service of somebody else would use it.
pub async fn producer(amqp_url: &str, redis_url: &str) -> Producer {
    let clock: Arc<dyn Clock> = Arc::new(now);
    let options = RabbitOptions {
        url: Secret::new(amqp_url),
        partitions: 1,
        archive: None,
        name: "chaos".to_owned(),
    };
    let queue = RabbitQueue::connect(options, Arc::clone(&clock)).await.unwrap();
    let sealer = Sealer::new(&Secret::new(MASTER_KEY)).unwrap();
    let store = RedisStore::connect(RedisOptions::new(Secret::new(redis_url), sealer)).await;
    let metrics = ProducerMetrics::register(&prometheus::Registry::new()).unwrap();
    Producer::new(Arc::new(queue), Arc::new(store.unwrap()), clock, metrics)
}

#[expect(clippy::disallowed_methods, reason = "a program's outermost layer reads the clock")]
fn now() -> Timestamp {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::from_unix_ms(i64::try_from(since_1970.unwrap().as_millis()).unwrap())
}

/// An event to be published.
#[derive(Clone)]
struct Order {
    event_type: &'static str,
    key: Option<String>,
    data: Value,
}

fn order(random: &mut StdRng, name: &str) -> Order {
    let event_type = match random.random_range(0..100) {
        0..60 => PLACED,
        60..87 => PAID,
        87..97 => SHIPPED,
        _ => LOST,
    };
    // Every other one can be published again without becoming two.
    let key = random.random_ratio(1, 2).then(|| name.to_owned());
    let padding = "x".repeat(random.random_range(0..1000));
    Order { event_type, key, data: json!({"name": name, "padding": padding}) }
}

/// Publishes at this rate until `stop`, then waits for what is under way.
pub async fn publish(
    door: Door,
    rate: u32,
    seed: u64,
    ledger: Arc<Ledger>,
    stop: CancellationToken,
) {
    let mut random = StdRng::seed_from_u64(seed);
    let (door, places) = (Arc::new(door), Arc::new(Semaphore::new(UNDER_WAY_MAX)));
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut under_way = JoinSet::new();
    for n in 0.. {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let order = order(&mut random, &format!("{}-{n}", door.label()));
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            ledger.refused();
            continue;
        };
        let (door, ledger) = (Arc::clone(&door), Arc::clone(&ledger));
        under_way.spawn(async move {
            offer(&door, order, &ledger).await;
            drop(place);
        });
        while under_way.try_join_next().is_some() {}
    }
    under_way.join_all().await;
}

async fn offer(door: &Door, order: Order, ledger: &Ledger) {
    let give_up = Instant::now() + PATIENCE;
    let sent = Instant::now();
    loop {
        if let Some(id) = door.take(&order, ledger).await {
            return ledger.accepted(door.label(), id, order.event_type, sent);
        }
        ledger.refused();
        if order.key.is_none() || Instant::now() > give_up {
            return;
        }
        sleep(PAUSE).await;
    }
}

impl Door {
    fn label(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Crate(_) => "crate",
        }
    }

    /// The id of an event that was accepted.
    async fn take(&self, order: &Order, ledger: &Ledger) -> Option<String> {
        match self {
            Self::Http(client) => {
                let path = "/v1/tenants/acme/events";
                let body = json!({"type": order.event_type, "data": order.data});
                let mut request = client.request(reqwest::Method::POST, path);
                if let Some(key) = &order.key {
                    request = request.header("idempotency-key", key);
                }
                let request = request.header("content-type", "application/json");
                let begun = Instant::now();
                let sent = request.timeout(Duration::from_secs(30)).body(body.to_string()).send();
                let answer = sent.await.ok();
                ledger.answered(begun, answer.as_ref().map_or(Said::Otherwise, said));
                let answer = answer?;
                let accepted = said(&answer) == Said::Accepted;
                let answer: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
                accepted.then(|| e2e::client::text(&answer, "id"))
            }
            Self::Crate(producer) => {
                let data = serde_json::value::to_raw_value(&order.data).unwrap();
                let draft = Draft {
                    tenant: "acme".parse().unwrap(),
                    event_type: order.event_type.parse().unwrap(),
                    project: None,
                    timestamp: None,
                    idempotency_key: order.key.as_ref().map(|key| key.parse().unwrap()),
                    trace: None,
                    data: Arc::from(data),
                };
                Some(producer.publish(draft).await.ok()?.id.to_string())
            }
        }
    }
}

fn said(answer: &reqwest::Response) -> Said {
    match answer.status().as_u16() {
        200 | 202 => Said::Accepted,
        503 if answer.headers().contains_key("retry-after") => Said::Later,
        _ => Said::Otherwise,
    }
}
