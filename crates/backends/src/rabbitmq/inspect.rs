//! What of the topology is missing or different, without changing anything.

use hookfleet_queue::QueueError;
use lapin::Channel;
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::FieldTable;

use super::errors::queue_error;
use super::link::{RabbitOptions, open, uri};
use super::topology::{Declaration, Shape, declarations};
use super::version::Version;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub name: String,
    /// What is wrong with it; `None`: nothing.
    pub problem: Option<String>,
    /// Messages in it, where it is a queue (the broker's own count may lag).
    pub messages: Option<u32>,
}

/// Looks at the broker, and at every exchange and queue.
pub async fn inspect(options: &RabbitOptions) -> Result<Vec<Finding>, QueueError> {
    let uri = uri(options)?;
    let version = Version::ask(&uri).await?;
    let shape = Shape { version, partitions: options.partitions, archive: options.archive.clone() };
    let connection = open(&uri, &format!("{} doctor", options.name)).await?;
    let mut findings = vec![Finding {
        name: format!("RabbitMQ {}.{}", version.major, version.minor),
        problem: None,
        messages: None,
    }];
    let mut channel = connection.create_channel().await.map_err(|e| queue_error(&e))?;
    for declaration in declarations(&shape) {
        let Some(looked_at) = look_at(&channel, &declaration).await else {
            continue;
        };
        let (messages, problem) = match looked_at {
            Ok(messages) => (messages, None),
            Err(error) => {
                // The broker closes a channel on which something was wrong.
                channel = connection.create_channel().await.map_err(|e| queue_error(&e))?;
                (None, Some(error.to_string()))
            }
        };
        findings.push(Finding { name: declaration.name(), problem, messages });
    }
    let closed = connection.close(200, "bye".into()).await;
    closed.map_err(|error| queue_error(&error))?;
    Ok(findings)
}

/// How many messages are in it, where it is a queue. AMQP cannot ask for a binding: `None`.
async fn look_at(
    channel: &Channel,
    declaration: &Declaration,
) -> Option<lapin::Result<Option<u32>>> {
    match declaration {
        Declaration::Exchange { name, kind } => {
            let options = ExchangeDeclareOptions { passive: true, ..Default::default() };
            let (name, none) = (name.as_str().into(), FieldTable::default());
            let declared = channel.exchange_declare(name, kind.clone(), options, none).await;
            Some(declared.map(|()| None))
        }
        Declaration::Queue { name, arguments } => Some(queue(channel, name, arguments).await),
        Declaration::Bind { .. } | Declaration::BindExchange { .. } => None,
    }
}

/// There at all? Only then: declared as we would? (Else that question would create it.)
async fn queue(
    channel: &Channel,
    name: &str,
    arguments: &FieldTable,
) -> lapin::Result<Option<u32>> {
    let passive = QueueDeclareOptions { passive: true, durable: true, ..Default::default() };
    let queue = channel.queue_declare(name.into(), passive, FieldTable::default()).await?;
    let same = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(name.into(), same, arguments.clone()).await?;
    Ok(Some(queue.message_count()))
}
