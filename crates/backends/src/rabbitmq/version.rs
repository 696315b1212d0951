//! Which RabbitMQ is at the other end. lapin does not tell, so this reads the server's greeting
//! (`connection.start`, AMQP 0-9-1, 1.4.2.1) on a connection of its own.

use std::time::Duration;

use amq_protocol::frame::{AMQPFrame, parse_frame};
use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::connection::AMQPMethod;
use futures_util::{AsyncReadExt, AsyncWriteExt};
use lapin::tcp::{AMQPUriTcpExt, OwnedTLSConfig};
use lapin::uri::AMQPUri;

use hookfleet_queue::QueueError;

use super::values::text;

/// A RabbitMQ version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 3 of 3.10.8.
    pub major: u32,
    /// 10 of 3.10.8.
    pub minor: u32,
}

const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";
const GREETING_BYTES_MAX: usize = 8192;
const GREETING_WAIT_MAX: Duration = Duration::from_secs(5);

impl Version {
    /// Reads `3.10.8`, `4.1.0-rc.1`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?.parse().ok()?;
        Some(Self { major, minor })
    }

    /// The oldest release whose quorum queues dead-letter at least once.
    pub const OLDEST: Self = Self { major: 3, minor: 10 };

    /// Asks the server.
    pub async fn ask(uri: &AMQPUri) -> Result<Self, QueueError> {
        let greeting = tokio::time::timeout(GREETING_WAIT_MAX, greeting(uri));
        let text = match greeting.await {
            Ok(Ok(text)) => text,
            Ok(Err(error)) => return Err(QueueError::Unavailable(error.to_string())),
            Err(_) => {
                return Err(QueueError::Unavailable("no greeting from the broker".into()));
            }
        };
        let version = Self::parse(&text);
        let refused = || QueueError::Refused(format!("broker version {text:?} is unknown"));
        let version = version.ok_or_else(refused)?;
        if version < Self::OLDEST {
            let why = format!("RabbitMQ {text} is too old: expected 3.10 or later");
            return Err(QueueError::Refused(why));
        }
        Ok(version)
    }
}

async fn greeting(uri: &AMQPUri) -> std::io::Result<String> {
    let runtime = lapin::runtime::default_runtime().map_err(std::io::Error::other)?;
    let tls = OwnedTLSConfig::default();
    let mut stream = uri.connect_with_config_async(tls.as_ref(), &runtime).await?;
    stream.write_all(HEADER).await?;
    stream.flush().await?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 1024];
    while bytes.len() < GREETING_BYTES_MAX {
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            break;
        }
        bytes.extend(chunk.iter().take(read));
        if let Ok((_, frame)) = parse_frame(bytes.as_slice()) {
            return server_version(&frame).ok_or_else(not_understood);
        }
    }
    Err(not_understood())
}

fn not_understood() -> std::io::Error {
    std::io::Error::other("the broker's greeting was not understood: is this an AMQP port?")
}

fn server_version(frame: &AMQPFrame) -> Option<String> {
    let AMQPFrame::Method(_, AMQPClass::Connection(AMQPMethod::Start(start))) = frame else {
        return None;
    };
    start.server_properties.inner().get("version").and_then(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(Version::parse("3.10.8"), Some(Version { major: 3, minor: 10 }));
        assert_eq!(Version::parse("4.1.0-rc.1"), Some(Version { major: 4, minor: 1 }));
        assert_eq!(Version::parse("four"), None);
        assert!(Version::parse("3.9.1") < Some(Version::OLDEST));
        assert!(Version::parse("4.0.5") > Some(Version::OLDEST));
    }
}
