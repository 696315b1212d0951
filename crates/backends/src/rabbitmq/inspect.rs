//! What of the topology is missing or different, without changing anything.

use hookfleet_queue::QueueError;
use lapin::Connection;
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
    let shape = Shape {
        version,
        partitions: options.partitions,
        archive: options.archive.clone(),
    };
    let connection = open(&uri, &format!("{} doctor", options.name)).await?;
    let mut findings = vec![Finding {
        name: format!("RabbitMQ {}.{}", version.major, version.minor),
        problem: None,
        messages: None,
    }];
    for declaration in declarations(&shape) {
        findings.extend(look_at(&connection, &declaration).await?);
    }
    let closed = connection.close(200, "bye".into()).await;
    closed.map_err(|error| queue_error(&error))?;
    Ok(findings)
}

/// A channel of its own for each look: the broker closes it when something is wrong.
async fn look_at(
    connection: &Connection,
    declaration: &Declaration,
) -> Result<Option<Finding>, QueueError> {
    let name = declaration.name();
    let found = match declaration {
        Declaration::Exchange { name, kind } => {
            let channel = connection
                .create_channel()
                .await
                .map_err(|e| queue_error(&e))?;
            let options = ExchangeDeclareOptions {
                passive: true,
                ..Default::default()
            };
            let none = FieldTable::default();
            let declared =
                channel.exchange_declare(name.as_str().into(), kind.clone(), options, none);
            declared.await.map(|()| None)
        }
        Declaration::Queue { name, arguments } => queue(connection, name, arguments).await,
        // AMQP cannot ask for a binding.
        Declaration::Bind { .. } | Declaration::BindExchange { .. } => return Ok(None),
    };
    Ok(Some(match found {
        Ok(messages) => Finding {
            name,
            problem: None,
            messages,
        },
        Err(error) => Finding {
            name,
            problem: Some(error.to_string()),
            messages: None,
        },
    }))
}

/// There at all? Only then: declared as we would? (Else that question would create it.)
async fn queue(
    connection: &Connection,
    name: &str,
    arguments: &FieldTable,
) -> lapin::Result<Option<u32>> {
    let channel = connection.create_channel().await?;
    let passive = QueueDeclareOptions {
        passive: true,
        durable: true,
        ..Default::default()
    };
    let queue = channel
        .queue_declare(name.into(), passive, FieldTable::default())
        .await?;
    let same = QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    channel
        .queue_declare(name.into(), same, arguments.clone())
        .await?;
    Ok(Some(queue.message_count()))
}
