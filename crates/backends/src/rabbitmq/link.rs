//! One live link to the broker: a connection to publish on, a connection to consume on. The broker
//! stops reading from a connection that publishes while it is short of memory or disk; on the
//! other one, consumers go on settling.

use std::sync::Arc;
use std::time::Duration;

use hookfleet_domain::Secret;
use hookfleet_queue::QueueError;
use lapin::options::{
    ConfirmSelectOptions, ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties};
use tokio::time::timeout;

use super::archiving::Archiving;
use super::errors::queue_error;
use super::frames::{Frames, small};
use super::topology::{Archive, Declaration, Shape, declarations};
use super::version::Version;

/// A broker that does not answer is noticed after two of these.
const HEARTBEAT_S: u16 = 10;
/// How long the broker may take over one step. Connecting as a whole has no deadline: a hundred
/// declarations on a cluster that has just lost a node take as long as they take, and beginning them
/// anew would only add to its load.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(20);

/// Where the broker is and what it is to look like.
#[derive(Debug, Clone)]
pub struct RabbitOptions {
    /// `amqp://user:password@host:5672/vhost`, or `amqps`.
    pub url: Secret,
    /// Queues of each kind over which work is spread; from 1.
    pub partitions: u16,
    /// Is everything kept a while for resending?
    pub archive: Option<Archive>,
    /// The connections' name, as the broker's operators see it.
    pub name: String,
}

/// A live link.
pub struct Link {
    uri: AMQPUri,
    name: String,
    publishing: Connection,
    /// Where consumers open channels of their own.
    pub consuming: Connection,
    /// In confirm mode; everybody publishes on it at once.
    pub publisher: Channel,
    /// None: there is no archive.
    pub archiving: Option<Archiving>,
    /// Remembers whether those need room for larger ones.
    pub frames: Frames,
    /// The server's version and what was declared there.
    pub shape: Shape,
}

impl Link {
    /// Connects, and declares the topology.
    pub async fn connect(
        options: &RabbitOptions,
        frames: &Frames,
    ) -> Result<Arc<Self>, QueueError> {
        let uri = uri(options)?;
        let shape = Shape {
            version: Version::ask(&uri).await?,
            partitions: options.partitions,
            archive: options.archive.clone(),
        };
        let publishing = open(&small(&uri), &format!("{} publishing", options.name)).await?;
        let to_consume = frames.to_consume(&uri);
        let consuming = open(&to_consume, &format!("{} consuming", options.name)).await?;
        let publisher = answer(publishing.create_channel()).await?;
        for declaration in declarations(&shape) {
            declare(&publisher, &declaration).await?;
        }
        answer(publisher.confirm_select(ConfirmSelectOptions::default())).await?;
        let archiving = shape.archive.as_ref().map(|_| Archiving::over(publisher.clone()));
        let (name, frames) = (options.name.clone(), frames.clone());
        Ok(Arc::new(Self { uri, name, publishing, consuming, publisher, archiving, frames, shape }))
    }

    /// One more connection to the same broker, for this purpose.
    pub async fn open(&self, purpose: &str) -> Result<Connection, QueueError> {
        open(&self.uri, &format!("{} {purpose}", self.name)).await
    }

    /// Is everything of it still up?
    pub fn is_up(&self) -> bool {
        self.publishing.status().connected()
            && self.consuming.status().connected()
            && self.publisher.status().connected()
    }

    /// Does the broker take nothing in?
    pub fn is_blocked(&self) -> bool {
        self.publishing.status().blocked()
    }

    /// Closes both connections.
    pub async fn close(&self) {
        for connection in [&self.consuming, &self.publishing] {
            let closed = connection.close(200, "bye".into());
            if let Ok(Err(error)) = timeout(Duration::from_secs(2), closed).await {
                tracing::debug!(%error, "a connection was closed before we closed it");
            }
        }
    }
}

/// The parsed URL. An error never repeats it: it may hold a password.
pub fn uri(options: &RabbitOptions) -> Result<AMQPUri, QueueError> {
    let invalid = |why: String| QueueError::Refused(format!("the AMQP URL is invalid: {why}"));
    let mut uri: AMQPUri = options.url.expose().parse().map_err(invalid)?;
    uri.query.heartbeat.get_or_insert(HEARTBEAT_S);
    Ok(uri)
}

/// Opens a connection under this name.
pub async fn open(uri: &AMQPUri, name: &str) -> Result<Connection, QueueError> {
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    answer(Connection::connect_uri(uri.clone(), properties)).await
}

/// The broker's answer to one step.
async fn answer<T>(step: impl Future<Output = lapin::Result<T>>) -> Result<T, QueueError> {
    match timeout(ANSWER_WAIT_MAX, step).await {
        Ok(answer) => answer.map_err(|error| queue_error(&error)),
        Err(_) => Err(QueueError::Unavailable("the broker does not answer".to_owned())),
    }
}

async fn declare(channel: &Channel, declaration: &Declaration) -> Result<(), QueueError> {
    answer(ask_for(channel, declaration)).await.map_err(|error| match error {
        QueueError::Refused(why) => {
            QueueError::Refused(format!("{} is declared differently: {why}", declaration.name()))
        }
        error @ (QueueError::Unavailable(_) | QueueError::Blocked(_) | QueueError::PassBusy) => {
            error
        }
    })
}

async fn ask_for(channel: &Channel, declaration: &Declaration) -> lapin::Result<()> {
    let none = FieldTable::default();
    match declaration {
        Declaration::Exchange { name, kind } => {
            let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
            channel.exchange_declare(name.as_str().into(), kind.clone(), options, none).await
        }
        Declaration::Queue { name, arguments } => {
            let options = QueueDeclareOptions { durable: true, ..Default::default() };
            let queue = channel.queue_declare(name.as_str().into(), options, arguments.clone());
            queue.await.map(|_| ())
        }
        Declaration::Bind { queue, exchange, key } => {
            let names = (queue.as_str().into(), exchange.as_str().into(), key.as_str().into());
            let options = QueueBindOptions::default();
            channel.queue_bind(names.0, names.1, names.2, options, none).await
        }
        Declaration::BindExchange { destination, source, key } => {
            let names = (destination.as_str().into(), source.as_str().into(), key.as_str().into());
            let options = ExchangeBindOptions::default();
            channel.exchange_bind(names.0, names.1, names.2, options, none).await
        }
    }
}

impl Declaration {
    /// What is declared, in words.
    pub fn name(&self) -> String {
        match self {
            Self::Exchange { name, .. } => format!("exchange {name}"),
            Self::Queue { name, .. } => format!("queue {name}"),
            Self::Bind { queue, exchange, key } => format!("binding {exchange} -{key}-> {queue}"),
            Self::BindExchange { destination, source, key } => {
                format!("binding {source} -{key}-> {destination}")
            }
        }
    }
}
