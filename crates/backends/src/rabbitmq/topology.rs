//! Every exchange, queue and binding, as data. The program declares them itself, and declaring them
//! again changes nothing.
//!
//! ```text
//! hookfleet.events ──#──────────▶ hookfleet.events.0      what plain clients send
//!                  ──#──────────▶ hookfleet.archive       (a stream)
//! by their names   ─────────────▶ hookfleet.events.{n}    what we send, spread by hash
//!                  ─────────────▶ hookfleet.archive       and many of those in one message
//! hookfleet.delay.{19..0}: bit 1 ▶ queue hookfleet.delay.{n} ─ expires ─▶ exchange one level down
//!                          bit 0 ▶ exchange one level down
//! hookfleet.deliveries ─#.{n}───▶ hookfleet.deliveries.{n}
//! hookfleet.dead                                          dead letters
//! ```

use hookfleet_domain::Delay;
use lapin::ExchangeKind;
use lapin::types::{AMQPValue, FieldTable};

use super::version::Version;

/// Where plain clients publish.
pub const EVENTS: &str = "hookfleet.events";
/// Where deliveries of their own go in.
pub const DELIVERIES: &str = "hookfleet.deliveries";
/// The dead letters.
pub const DEAD: &str = "hookfleet.dead";
/// The archive of all events.
pub const ARCHIVE: &str = "hookfleet.archive";

/// How events are archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// How long, as RabbitMQ's `x-max-age` writes it: `7D`.
    pub max_age: String,
    /// How much, in bytes.
    pub bytes_max: u64,
}

/// What the topology depends on.
#[derive(Debug, Clone)]
pub struct Shape {
    /// The server's version.
    pub version: Version,
    /// Queues of each kind over which work is spread.
    pub partitions: u16,
    /// Is everything kept a while for resending?
    pub archive: Option<Archive>,
}

/// One thing to declare.
#[derive(Debug, Clone, PartialEq)]
pub enum Declaration {
    /// A durable exchange.
    Exchange { name: String, kind: ExchangeKind },
    /// A durable queue.
    Queue { name: String, arguments: FieldTable },
    /// A queue hears an exchange.
    Bind { queue: String, exchange: String, key: String },
    /// An exchange hears an exchange.
    BindExchange { destination: String, source: String, key: String },
}

/// The queue and the exchange of a delay level.
pub fn level(n: u8) -> String {
    format!("hookfleet.delay.{n}")
}

/// The events queue of a partition.
pub fn events_queue(partition: u16) -> String {
    format!("{EVENTS}.{partition}")
}

/// The deliveries queue of a partition.
pub fn deliveries_queue(partition: u16) -> String {
    format!("{DELIVERIES}.{partition}")
}

/// Where a delivery is published so that it arrives after `delay`: exchange and routing key. The key
/// is the delay's bits, most significant first, then the partition. Levels above the highest set bit
/// are skipped.
pub fn delayed_route(delay: Delay, partition: u16) -> (String, String) {
    if delay == Delay::NONE {
        return (DELIVERIES.to_owned(), partition.to_string());
    }
    let seconds = delay.seconds();
    let bit = |n: u8| if seconds >> n & 1 == 1 { "1." } else { "0." };
    let bits: String = (0..Delay::LEVELS).rev().map(bit).collect();
    let highest = u8::try_from(seconds.ilog2()).unwrap_or(Delay::LEVELS - 1);
    (level(highest), format!("{bits}{partition}"))
}

/// Everything, in an order in which it can be declared.
pub fn declarations(shape: &Shape) -> Vec<Declaration> {
    let mut all = vec![exchange(EVENTS), exchange(DELIVERIES)];
    all.push(work_queue(DEAD.to_owned(), shape.version));
    for partition in 0..shape.partitions {
        let (events, deliveries) = (events_queue(partition), deliveries_queue(partition));
        all.push(work_queue(events, shape.version));
        all.push(work_queue(deliveries.clone(), shape.version));
        all.push(bind(&deliveries, DELIVERIES, &format!("#.{partition}")));
    }
    // Only partition 0 hears plain clients: on each partition, `#` would multiply every event.
    all.push(bind(&events_queue(0), EVENTS, "#"));
    if let Some(archive) = &shape.archive {
        all.push(archive_queue(archive));
        all.push(bind(ARCHIVE, EVENTS, "#"));
    }
    for n in 0..Delay::LEVELS {
        all.extend(delay_level(n, shape.version));
    }
    all
}

/// Level `n`, whose messages pass on to level `n - 1`, or out.
fn delay_level(n: u8, version: Version) -> [Declaration; 4] {
    let name = level(n);
    let below = n.checked_sub(1).map_or_else(|| DELIVERIES.to_owned(), level);
    let bits_before = "*.".repeat((Delay::LEVELS - 1 - n).into());
    let mut arguments = quorum(version);
    let ttl_ms = 1000_i64 << n;
    arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(ttl_ms));
    arguments.insert("x-dead-letter-exchange".into(), text(&below));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    // at-least-once asks for this overflow behaviour; without a length limit it never applies.
    arguments.insert("x-overflow".into(), text("reject-publish"));
    [
        exchange(&name),
        Declaration::Queue { name: name.clone(), arguments },
        bind(&name, &name, &format!("{bits_before}1.#")),
        Declaration::BindExchange {
            destination: below,
            source: name,
            key: format!("{bits_before}0.#"),
        },
    ]
}

fn exchange(name: &str) -> Declaration {
    Declaration::Exchange { name: name.to_owned(), kind: ExchangeKind::Topic }
}

fn bind(queue: &str, exchange: &str, key: &str) -> Declaration {
    Declaration::Bind { queue: queue.into(), exchange: exchange.into(), key: key.into() }
}

fn work_queue(name: String, version: Version) -> Declaration {
    Declaration::Queue { name, arguments: quorum(version) }
}

/// No queue of ours may drop a message that came back often; the worker counts that itself.
///
/// RabbitMQ 4 drops after 20 returns unless told `-1`; RabbitMQ 3 knows no such default, and 3.10
/// takes `-1` for a limit that is passed at the first return.
fn quorum(version: Version) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    if version.major >= 4 {
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(-1));
    }
    arguments
}

fn archive_queue(archive: &Archive) -> Declaration {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("stream"));
    arguments.insert("x-max-age".into(), text(&archive.max_age));
    let bytes_max = i64::try_from(archive.bytes_max).unwrap_or(i64::MAX);
    arguments.insert("x-max-length-bytes".into(), AMQPValue::LongLongInt(bytes_max));
    // A stream is cut by whole segments: smaller ones keep nearer to the limits.
    arguments
        .insert("x-stream-max-segment-size-bytes".into(), AMQPValue::LongLongInt(64 * 1024 * 1024));
    Declaration::Queue { name: ARCHIVE.to_owned(), arguments }
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn shape(major: u32, partitions: u16) -> Shape {
        Shape { version: Version { major, minor: 10 }, partitions, archive: None }
    }

    fn queues(shape: &Shape) -> Vec<(String, FieldTable)> {
        let queue = |declaration| match declaration {
            Declaration::Queue { name, arguments } => Some((name, arguments)),
            Declaration::Exchange { .. }
            | Declaration::Bind { .. }
            | Declaration::BindExchange { .. } => None,
        };
        declarations(shape).into_iter().filter_map(queue).collect()
    }

    #[test]
    fn no_server_version_may_drop_what_came_back_often() {
        for (name, arguments) in queues(&shape(3, 2)) {
            assert!(!arguments.contains_key("x-delivery-limit"), "{name}");
        }
        for (name, arguments) in queues(&shape(4, 2)) {
            let limit = arguments.inner().get("x-delivery-limit");
            assert_eq!(limit, Some(&AMQPValue::LongLongInt(-1)), "{name}");
        }
    }

    #[test]
    fn every_queue_is_a_quorum_queue() {
        let queues = queues(&shape(4, 3));
        assert_eq!(queues.len(), 1 + 2 * 3 + 20);
        for (name, arguments) in queues {
            assert_eq!(arguments.inner().get("x-queue-type"), Some(&text("quorum")), "{name}");
        }
    }

    #[test]
    fn plain_clients_are_heard_once() {
        let hears_plain = |declaration: &Declaration| match declaration {
            Declaration::Bind { exchange, .. } => exchange == EVENTS,
            Declaration::Exchange { .. }
            | Declaration::Queue { .. }
            | Declaration::BindExchange { .. } => false,
        };
        let bindings = declarations(&shape(4, 8));
        assert_eq!(bindings.iter().filter(|declaration| hears_plain(declaration)).count(), 1);
    }

    #[track_caller]
    fn check(seconds: u64, exchange: &str, key: &str) {
        let delay = Delay::exactly(Duration::from_secs(seconds));
        assert_eq!(delayed_route(delay, 7), (exchange.to_owned(), key.to_owned()));
    }

    #[test]
    fn routes() {
        check(0, DELIVERIES, "7");
        check(1, "hookfleet.delay.0", "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.7");
        check(5, "hookfleet.delay.2", "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.1.7");
        check(u64::MAX, "hookfleet.delay.19", "1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.7");
    }
}
