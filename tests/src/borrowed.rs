//! A virtual host and a database on servers of somebody else's: nothing of ours may be there before,
//! and nothing stays.

use lapin::options::{
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, ExchangeKind};

/// More partitions than any test has.
const PARTITIONS: u8 = 4;
const DELAY_LEVELS: u8 = 20;

fn exchanges() -> Vec<String> {
    let named = ["events", "intake", "deliveries"].map(|name| format!("hookfleet.{name}"));
    named.into_iter().chain(delays()).collect()
}

fn queues() -> Vec<String> {
    let numbered =
        |kind: &'static str| (0..PARTITIONS).map(move |n| format!("hookfleet.{kind}.{n}"));
    let named = ["dead", "archive", "pass"].map(|name| format!("hookfleet.{name}"));
    numbered("events").chain(numbered("deliveries")).chain(delays()).chain(named).collect()
}

fn delays() -> impl Iterator<Item = String> {
    (0..DELAY_LEVELS).map(|n| format!("hookfleet.delay.{n}"))
}

async fn connect(url: &str) -> Connection {
    Connection::connect(url, ConnectionProperties::default()).await.unwrap()
}

/// What of a fleet's is in this virtual host.
pub async fn found_in_broker(url: &str) -> Vec<String> {
    let connection = connect(url).await;
    let mut found = Vec::new();
    // The broker closes a channel on which something was missing.
    for name in exchanges() {
        let channel = connection.create_channel().await.unwrap();
        let passive = ExchangeDeclareOptions { passive: true, ..Default::default() };
        let (topic, none) = (ExchangeKind::Topic, FieldTable::default());
        if channel.exchange_declare(name.as_str().into(), topic, passive, none).await.is_ok() {
            found.push(format!("exchange {name}"));
        }
    }
    for name in queues() {
        let channel = connection.create_channel().await.unwrap();
        let passive = QueueDeclareOptions { passive: true, ..Default::default() };
        if channel.queue_declare(name.as_str().into(), passive, FieldTable::default()).await.is_ok()
        {
            found.push(format!("queue {name}"));
        }
    }
    found
}

/// Deletes from this virtual host all that a fleet declares.
pub async fn clear_broker(url: &str) {
    let connection = connect(url).await;
    let channel = connection.create_channel().await.unwrap();
    for name in exchanges() {
        let deleted =
            channel.exchange_delete(name.as_str().into(), ExchangeDeleteOptions::default());
        deleted.await.unwrap();
    }
    for name in queues() {
        let deleted = channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default());
        deleted.await.unwrap();
    }
    connection.close(200, "bye".into()).await.unwrap();
}

async fn database(url: &str) -> redis::aio::MultiplexedConnection {
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// How many keys are in this database.
pub async fn keys_in_store(url: &str) -> u64 {
    redis::cmd("DBSIZE").query_async(&mut database(url).await).await.unwrap()
}

/// Deletes everything in this database.
pub async fn clear_store(url: &str) {
    redis::cmd("FLUSHDB").query_async::<()>(&mut database(url).await).await.unwrap();
}
