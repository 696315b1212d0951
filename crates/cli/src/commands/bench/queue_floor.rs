//! What broker, store and client allow together: a straight loop that consumes, asks Redis once for
//! each delivery, signs, sends and acknowledges, and nothing else. No retry, no dead letter, no memory
//! of what was done.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hookfleet_domain::Secret;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use redis::AsyncConnectionConfig;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::floor::Deliverer;
use super::process::Usage;
use super::receiver::Receiver;
use super::report::Floor;
use crate::args::BenchArgs;
use crate::failure::Failure;

/// As in a worker.
const PREFETCH: u16 = 512;
/// Confirms that are waited for at once.
const CONFIRMS: usize = 1024;
const PERSISTENT: u8 = 2;

/// A queue of its own, filled with so many messages.
struct Queue<'a> {
    channel: &'a Channel,
    name: &'a str,
    messages: u64,
}

/// Runs it over a queue of its own, which is deleted again. Each message goes out so many times.
pub async fn run(
    (receiver, fan_out): (&Receiver, u64),
    arguments: &BenchArgs,
    [amqp_url, redis_url]: [&Secret; 2],
) -> Result<Floor, Failure> {
    let connected = Connection::connect(amqp_url.expose(), ConnectionProperties::default()).await;
    let connection = connected.map_err(|error| Failure::failed(format!("the broker: {error}")))?;
    let channel = connection.create_channel().await.map_err(Failure::failed)?;
    let store = redis::Client::open(redis_url.expose()).map_err(Failure::failed)?;
    // Hundreds of questions wait behind each other: that is no fault.
    let patient = AsyncConnectionConfig::new().set_response_timeout(None);
    let store = store.get_multiplexed_async_connection_with_config(&patient).await;
    let store = store.map_err(|error| Failure::failed(format!("the store: {error}")))?;
    let deliverer = Deliverer::new((receiver, fan_out), arguments, Some(store))?;
    let name = format!("hookfleet.bench.{:08x}", rand::random::<u32>());
    let mut shape = FieldTable::default();
    shape.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare(name.as_str().into(), durable, shape).await;
    declared.map_err(Failure::failed)?;
    let messages = (arguments.backlog / fan_out).max(1);
    let queue = Queue { channel: &channel, name: &name, messages };
    let measured = queue.measure(Arc::new(deliverer), fan_out, arguments).await;
    let deleted = channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await;
    let measured = measured?;
    deleted.map_err(Failure::failed)?;
    Ok(measured)
}

impl Queue<'_> {
    async fn measure(
        &self,
        deliverer: Arc<Deliverer>,
        fan_out: u64,
        arguments: &BenchArgs,
    ) -> Result<Floor, Failure> {
        self.fill(arguments.body_bytes).await?;
        let qos = self.channel.basic_qos(PREFETCH, BasicQosOptions::default());
        qos.await.map_err(Failure::failed)?;
        let slots = Arc::new(Semaphore::new(arguments.in_flight));
        let usage = Usage::of(&arguments.processes);
        let begun = Instant::now();
        let consumed = self.channel.basic_consume(
            self.name.into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let mut messages = consumed.await.map_err(Failure::failed)?;
        let mut tasks = JoinSet::new();
        for n in 0..self.messages {
            let taken = Arc::clone(&slots).acquire_many_owned(deliverer.slots()).await;
            let slot = taken.map_err(Failure::failed)?;
            let message =
                messages.next().await.ok_or_else(|| Failure::failed("the queue ended"))?;
            let (message, deliverer) = (message.map_err(Failure::failed)?, Arc::clone(&deliverer));
            tasks.spawn(async move {
                let done = deliver(&deliverer, message, n).await;
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
        let (deliveries, took) = (self.messages * fan_out, begun.elapsed());
        // Dropping the consumer would cancel it some time later: RabbitMQ 3.10 fails with INTERNAL_ERROR
        // when its queue is gone by then.
        let cancel = self.channel.basic_cancel(messages.tag(), BasicCancelOptions::default());
        cancel.await.map_err(Failure::failed)?;
        let cpu = usage.until_now(&arguments.processes, deliveries);
        Ok(Floor::new(deliveries, took, cpu))
    }

    /// Publishes what the loop will consume.
    async fn fill(&self, body_bytes: usize) -> Result<(), Failure> {
        let selected = self.channel.confirm_select(ConfirmSelectOptions::default()).await;
        selected.map_err(Failure::failed)?;
        let body = "x".repeat(body_bytes);
        let mut confirms = FuturesUnordered::new();
        for _ in 0..self.messages {
            let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
            let options = BasicPublishOptions::default();
            let published = self.channel.basic_publish(
                "".into(),
                self.name.into(),
                options,
                body.as_bytes(),
                properties,
            );
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
}

async fn deliver(deliverer: &Deliverer, message: Delivery, n: u64) -> Result<(), Failure> {
    deliverer.deliver(n, message.data.into()).await?;
    message.acker.ack(BasicAckOptions::default()).await.map_err(Failure::failed)?;
    Ok(())
}
