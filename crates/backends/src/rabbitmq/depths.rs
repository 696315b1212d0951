//! How much waits, as the broker counts it: what AMQP tells of a queue, and no management plugin.

use std::time::Duration;

use futures_util::future::try_join_all;
use hookfleet_domain::Delay;
use hookfleet_queue::{Depth, QueueError, QueueKind};
use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use tokio::time::timeout;

use super::errors::queue_error;
use super::link::Link;
use super::topology;

/// A broker that takes longer is out of reach.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);

/// Asks for every queue at once, on a channel of its own: a queue that is missing closes it.
pub async fn depths(link: &Link) -> Result<Vec<Depth>, QueueError> {
    let ask = async {
        let channel = link.consuming.create_channel().await.map_err(|error| queue_error(&error))?;
        let all = QueueKind::ALL.map(|kind| depth(&channel, kind, link.shape.partitions));
        let depths = try_join_all(all).await?;
        let closed = channel.close(200, "bye".into()).await;
        closed.map_err(|error| queue_error(&error))?;
        Ok(depths)
    };
    let late = |_| QueueError::Unavailable("the broker does not tell how much waits".to_owned());
    timeout(ANSWER_WAIT_MAX, ask).await.map_err(late)?
}

/// Of all partitions or levels together.
async fn depth(channel: &Channel, kind: QueueKind, partitions: u16) -> Result<Depth, QueueError> {
    let names: Vec<String> = match kind {
        QueueKind::Events => (0..partitions).map(topology::events_queue).collect(),
        QueueKind::Deliveries => (0..partitions).map(topology::deliveries_queue).collect(),
        QueueKind::Delayed => (0..Delay::LEVELS).map(topology::level).collect(),
        QueueKind::Dead => vec![topology::DEAD.to_owned()],
    };
    let queues = try_join_all(names.iter().map(|name| {
        let passive = QueueDeclareOptions { passive: true, durable: true, ..Default::default() };
        channel.queue_declare(name.as_str().into(), passive, FieldTable::default())
    }));
    let queues = queues.await.map_err(|error| queue_error(&error))?;
    let consumed = matches!(kind, QueueKind::Events | QueueKind::Deliveries);
    // A partition that nobody takes from must not hide behind the others.
    let consumers = queues.iter().map(|queue| u64::from(queue.consumer_count())).min();
    Ok(Depth {
        kind,
        messages: queues.iter().map(|queue| u64::from(queue.message_count())).sum(),
        consumers: consumers.filter(|_| consumed),
        oldest: None,
    })
}
