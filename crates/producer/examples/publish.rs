//! Publishing from a Rust service of one's own: a complete program to copy.
//!
//! ```text
//! HOOKFLEET_AMQP_URL=amqp://… HOOKFLEET_REDIS_URL=redis://… HOOKFLEET_MASTER_KEY=… \
//!     cargo run -p hookfleet-producer --example publish
//! ```

use std::env::var;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hookfleet_backends::rabbitmq::{RabbitOptions, RabbitQueue};
use hookfleet_backends::redis::{RedisOptions, RedisStore};
use hookfleet_domain::{Clock, Draft, Secret, Timestamp};
use hookfleet_producer::{Producer, ProducerMetrics, PublishError};
use hookfleet_store::Sealer;
use serde_json::value::to_raw_value;

#[expect(clippy::disallowed_methods, reason = "a program's outermost layer reads the clock")]
fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_ms(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
}

/// Once, when the service starts: connections are kept, and come back by themselves.
#[expect(clippy::disallowed_methods, reason = "a program's outermost layer reads its settings")]
async fn connect() -> Result<(Arc<RabbitQueue>, Producer), Box<dyn Error>> {
    let clock: Arc<dyn Clock> = Arc::new(now);
    let queue = RabbitOptions {
        url: Secret::new(var("HOOKFLEET_AMQP_URL")?),
        partitions: 1,
        archive: None,
        name: "my service".to_owned(),
    };
    let queue = Arc::new(RabbitQueue::connect(queue, Arc::clone(&clock)).await?);
    let sealer = Sealer::new(&Secret::new(var("HOOKFLEET_MASTER_KEY")?))?;
    let store = RedisOptions::new(Secret::new(var("HOOKFLEET_REDIS_URL")?), sealer);
    let store = Arc::new(RedisStore::connect(store).await?);
    let metrics = ProducerMetrics::register(&prometheus::Registry::new())?;
    Ok((Arc::clone(&queue), Producer::new(queue, store, clock, metrics)))
}

fn post_published(post: u32) -> Result<Draft, Box<dyn Error>> {
    Ok(Draft {
        tenant: "acme".parse()?,
        event_type: "post.published".parse()?,
        project: None,
        timestamp: Some(now()),
        // The same post published again, also after a crash of this service, is the same event.
        idempotency_key: Some(format!("post-{post}").parse()?),
        trace: None,
        data: Arc::from(to_raw_value(&serde_json::json!({"id": post, "title": "Hello"}))?),
    })
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example prints")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (queue, producer) = connect().await?;

    // One event. `Ok` means that it is durable.
    let published = loop {
        match producer.publish(post_published(1)?).await {
            Ok(published) => break published,
            // It may or may not be durable: with its key it is one event, however often we try.
            Err(PublishError::Busy(why) | PublishError::Unavailable(why)) => {
                println!("trying again: {why}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error @ (PublishError::Invalid(_) | PublishError::Refused(_))) => Err(error)?,
        }
    };
    println!("event {}, duplicate: {}", published.id, published.duplicate);

    // Many at once, pipelined.
    let drafts = (1..=1000).map(post_published).collect::<Result<Vec<_>, _>>()?;
    let results = producer.publish_batch(drafts).await;
    println!("{} of {} are durable", results.iter().flatten().count(), results.len());
    queue.close().await;
    Ok(())
}
