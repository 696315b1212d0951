//! A plain AMQP client, as a stranger would write one.

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use std::time::Duration;

/// A connection with one channel.
pub struct Amqp {
    /// Held open.
    pub connection: Connection,
    /// To work with.
    pub channel: Channel,
}

impl Amqp {
    /// Connects.
    pub async fn connect(url: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        Self { connection, channel }
    }

    /// Publishes as the contract says.
    pub async fn publish(&self, key: &str, message_id: Option<&str>, body: &str) {
        let mut properties = BasicProperties::default();
        if let Some(id) = message_id {
            properties = properties.with_message_id(id.into());
        }
        self.publish_with(key, properties, body).await;
    }

    /// Likewise, with these properties besides.
    pub async fn publish_with(&self, key: &str, properties: BasicProperties, body: &str) {
        let properties =
            properties.with_delivery_mode(2).with_content_type("application/json".into());
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let exchange = "hookfleet.events".into();
        let sent =
            self.channel.basic_publish(exchange, key.into(), options, body.as_bytes(), properties);
        sent.await.unwrap().await.unwrap();
    }

    /// Takes everything out of a queue. The broker's own count of a quorum queue lags, so counting
    /// is done by draining, until nothing has come for a moment.
    pub async fn drain(&self, queue: &str) -> Vec<Delivery> {
        self.channel.basic_qos(500, BasicQosOptions::default()).await.unwrap();
        let options = BasicConsumeOptions::default();
        let none = FieldTable::default();
        let subscribed = self.channel.basic_consume(queue.into(), "".into(), options, none);
        let mut messages = subscribed.await.unwrap();
        let mut drained = Vec::new();
        while let Ok(Some(message)) =
            tokio::time::timeout(Duration::from_secs(2), messages.next()).await
        {
            let message = message.unwrap();
            message.acker.ack(BasicAckOptions::default()).await.unwrap();
            drained.push(message);
        }
        drained
    }
}
