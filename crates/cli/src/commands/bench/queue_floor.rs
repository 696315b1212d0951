//! What broker, store and client allow together: a straight loop that consumes, asks Redis once, signs,
//! sends and acknowledges, and nothing else. No retry, no dead letter, no memory of what was done.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hookfleet_domain::Secret;
use hookfleet_signing::{Key, sign_standard};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::process::Usage;
use super::receiver::Receiver;
use super::report::QueueFloor;
use crate::args::BenchArgs;
use crate::failure::Failure;

/// As in a worker.
const PREFETCH: u16 = 512;
/// Confirms that are waited for at once.
const CONFIRMS: usize = 1024;
const SECRET: [u8; 32] = [7; 32];
const PERSISTENT: u8 = 2;
const KEPT_MS: u64 = 600_000;

/// Runs it over a queue of its own, which is deleted again.
pub async fn run(
    receiver: &Receiver,
    arguments: &BenchArgs,
    [amqp_url, redis_url]: [&Secret; 2],
) -> Result<QueueFloor, Failure> {
    let connected = Connection::connect(amqp_url.expose(), ConnectionProperties::default()).await;
    let connection = connected.map_err(Failure::failed)?;
    let channel = connection.create_channel().await.map_err(Failure::failed)?;
    let queue = format!("hookfleet.bench.{:08x}", rand::random::<u32>());
    let mut shape = FieldTable::default();
    shape.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare(queue.as_str().into(), durable, shape).await;
    declared.map_err(Failure::failed)?;
    let measured = measure(receiver, arguments, (&channel, &queue, redis_url)).await;
    let deleted = channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await;
    let measured = measured?;
    deleted.map_err(Failure::failed)?;
    Ok(measured)
}

async fn measure(
    receiver: &Receiver,
    arguments: &BenchArgs,
    (channel, queue, redis_url): (&Channel, &str, &Secret),
) -> Result<QueueFloor, Failure> {
    fill(channel, queue, arguments).await?;
    let qos = channel.basic_qos(PREFETCH, BasicQosOptions::default());
    qos.await.map_err(Failure::failed)?;
    let store = redis::Client::open(redis_url.expose()).map_err(Failure::failed)?;
    let store = store.get_multiplexed_async_connection().await.map_err(Failure::failed)?;
    let client = reqwest::Client::builder().no_proxy().build().map_err(Failure::failed)?;
    let key = Key::standard(&Key::standard_text(&SECRET)).map_err(Failure::failed)?;
    let one = Arc::new(One { store, client, url: receiver.url(), key: [key] });
    let slots = Arc::new(Semaphore::new(arguments.in_flight));
    let consumed = channel.basic_consume(
        queue.into(),
        "".into(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    let mut messages = consumed.await.map_err(Failure::failed)?;
    let usage = Usage::of(&arguments.processes);
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for n in 0..arguments.events {
        let slot = Arc::clone(&slots).acquire_owned().await.map_err(Failure::failed)?;
        let message = messages.next().await.ok_or_else(|| Failure::failed("the queue ended"))?;
        let (message, one) = (message.map_err(Failure::failed)?, Arc::clone(&one));
        tasks.spawn(async move {
            let done = one.deliver(message, n).await;
            drop(slot);
            done
        });
        while let Some(done) = tasks.try_join_next() {
            done.map_err(Failure::failed)??;
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(Failure::failed)??;
    }
    let cpu = usage.until_now(&arguments.processes, arguments.events);
    Ok(QueueFloor::new(arguments.events, begun.elapsed(), cpu))
}

/// Publishes what the loop will consume.
async fn fill(channel: &Channel, queue: &str, arguments: &BenchArgs) -> Result<(), Failure> {
    let selected = channel.confirm_select(ConfirmSelectOptions::default()).await;
    selected.map_err(Failure::failed)?;
    let body = "x".repeat(arguments.body_bytes);
    let mut confirms = FuturesUnordered::new();
    for _ in 0..arguments.events {
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let options = BasicPublishOptions::default();
        let published =
            channel.basic_publish("".into(), queue.into(), options, body.as_bytes(), properties);
        confirms.push(published.await.map_err(Failure::failed)?);
        if confirms.len() >= CONFIRMS {
            confirms.next().await.transpose().map_err(Failure::failed)?;
        }
    }
    while let Some(confirmed) = confirms.next().await {
        confirmed.map_err(Failure::failed)?;
    }
    Ok(())
}

/// What one delivery needs.
struct One {
    store: redis::aio::MultiplexedConnection,
    client: reqwest::Client,
    url: String,
    key: [Key; 1],
}

impl One {
    async fn deliver(&self, message: Delivery, n: u64) -> Result<(), Failure> {
        let id = format!("floor-{n}");
        let mut store = self.store.clone();
        let mut note = redis::cmd("SET");
        note.arg(&id).arg(1).arg("PX").arg(KEPT_MS);
        note.query_async::<()>(&mut store).await.map_err(Failure::failed)?;
        let signature = sign_standard(&self.key, &id, 0, &message.data);
        let request = self.client.post(&self.url).header("webhook-id", &id);
        let request =
            request.header("webhook-timestamp", "0").header("webhook-signature", signature);
        let answer = request.body(message.data).send().await.map_err(Failure::failed)?;
        answer.bytes().await.map_err(Failure::failed)?;
        message.acker.ack(BasicAckOptions::default()).await.map_err(Failure::failed)?;
        Ok(())
    }
}
