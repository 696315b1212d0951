//! Changes of endpoints, heard by publish and subscribe.

use async_trait::async_trait;
use futures_util::StreamExt;
use hookfleet_queue::Pauses;
use hookfleet_store::{Change, Changes, StoreError};
use redis::Client;
use redis::aio::PubSubStream;

use super::{keys, store_error};

/// A subscription that connects again by itself.
pub struct RedisChanges {
    client: Client,
    messages: Option<PubSubStream>,
    pauses: Pauses,
}

impl RedisChanges {
    /// Subscribes.
    pub async fn subscribe(client: Client) -> Result<Self, StoreError> {
        let messages = Some(messages(&client).await?);
        Ok(Self { client, messages, pauses: Pauses::new() })
    }
}

async fn messages(client: &Client) -> Result<PubSubStream, StoreError> {
    let subscribe = async {
        let mut subscription = client.get_async_pubsub().await?;
        subscription.subscribe(keys::CHANGES).await?;
        Ok(subscription.into_on_message())
    };
    match tokio::time::timeout(super::ANSWER_WAIT_MAX, subscribe).await {
        Ok(subscribed) => subscribed.map_err(|error| store_error(&error)),
        Err(_) => Err(StoreError::Unavailable("no answer to a subscription".to_owned())),
    }
}

#[async_trait]
impl Changes for RedisChanges {
    async fn next(&mut self) -> Change {
        loop {
            if let Some(stream) = &mut self.messages {
                match stream.next().await {
                    Some(message) => return change(&message),
                    None => self.messages = None,
                }
            }
            match messages(&self.client).await {
                Ok(stream) => {
                    self.messages = Some(stream);
                    self.pauses.reset();
                    return Change::Anything;
                }
                Err(error) => {
                    tracing::debug!(%error, "changes of endpoints are not heard, trying again");
                    tokio::time::sleep(self.pauses.next_pause()).await;
                }
            }
        }
    }
}

fn change(message: &redis::Msg) -> Change {
    let tenant = message.get_payload::<String>().ok().and_then(|text| text.parse().ok());
    tenant.map_or(Change::Anything, Change::Tenant)
}
