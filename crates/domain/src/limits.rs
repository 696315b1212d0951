//! Every bound in one place, with its unit and its reason.

use std::time::Duration;

/// Largest event accepted, in bytes of its JSON `data`. What a broker carries without trouble.
pub const EVENT_BYTES_MAX: usize = 1024 * 1024;
/// Events in one batch request.
pub const BATCH_EVENTS_MAX: usize = 10_000;
/// Largest batch request, in bytes.
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Connections of one process that are served at once; further ones wait to be accepted.
pub const CONNECTIONS_MAX: usize = 10_000;
/// What a request's head may take to arrive, and how long a connection may be idle: longer than the
/// 60 s for which balancers keep one.
pub const HEAD_WAIT_MAX: Duration = Duration::from_secs(75);
/// A request's head: its URL, all of it in bytes, and the number of its headers, which is hyper's own.
pub const REQUEST_URL_BYTES_MAX: usize = 8 * 1024;
/// See [`REQUEST_URL_BYTES_MAX`].
pub const HEAD_BYTES_MAX: usize = 32 * 1024;
/// See [`REQUEST_URL_BYTES_MAX`].
pub const REQUEST_HEADERS_MAX: usize = 100;
/// What a request's body may take to arrive: the largest batch over 2 Mbit/s takes this long.
pub const BODY_WAIT_MAX: Duration = Duration::from_secs(70);
/// How long a caller may take none of an answer.
pub const ANSWER_STALL_MAX: Duration = Duration::from_secs(30);
/// How deep the JSON of an event may be: what most parsers take, receivers' and our own.
pub const JSON_DEPTH_MAX: usize = 128;
/// An admin token that is shorter is warned of: it may be guessed.
pub const ADMIN_TOKEN_BYTES_MIN: usize = 16;
/// Wrong tokens from one address.
pub const WRONG_TOKENS_PER_MINUTE_MAX: u32 = 100;
/// How long a publisher may wait for the first attempts.
pub const OUTCOME_WAIT_MAX: Duration = Duration::from_secs(50);
/// Endpoints of one tenant: a worker holds all of them in memory while it serves the tenant.
pub const ENDPOINTS_PER_TENANT_MAX: usize = 10_000;
/// API tokens of one tenant.
pub const TOKENS_PER_TENANT_MAX: usize = 100;
/// Retries that one schedule may hold.
pub const RETRIES_MAX: usize = 30;
/// Longest wait between two attempts. The delay queues reach 12 days; state is kept for 7.
pub const RETRY_WAIT_MAX: Duration = Duration::from_hours(72);
/// Shortest and longest time that one attempt may take, body included.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(100);
/// See [`TIMEOUT_MIN`].
pub const TIMEOUT_MAX: Duration = Duration::from_mins(2);
/// What a worker's lease on a delivery lasts beyond the endpoint's time-out: time to settle.
pub const LEASE_MARGIN: Duration = Duration::from_secs(20);
/// How long a message of a later version is put off, until a worker that knows it may take it.
pub const NEWER_WAIT: Duration = Duration::from_mins(1);
/// `Retry-After` is honoured up to this.
pub const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);
/// Custom headers of one endpoint.
pub const HEADERS_MAX: usize = 20;
/// Length of one custom header's value, in bytes.
pub const HEADER_VALUE_BYTES_MAX: usize = 4096;
/// How long a visit to a tenant's console lasts, at least and at most: it cannot be taken back.
pub const VISIT_MIN: Duration = Duration::from_mins(1);
/// See [`VISIT_MIN`].
pub const VISIT_MAX: Duration = Duration::from_hours(24);
/// Length of an endpoint's URL, in bytes.
pub const URL_BYTES_MAX: usize = 2048;
/// Subscription patterns of one endpoint.
pub const SUBSCRIPTIONS_MAX: usize = 100;
/// Length of an endpoint's display name, in characters.
pub const NAME_CHARS_MAX: usize = 200;
/// Length of a secret or an authentication token, in bytes.
pub const SECRET_BYTES_MAX: usize = 512;
/// Length of a client certificate with its chain, and of its key, as PEM, in bytes: an RSA key of 8192
/// bits takes 6,500, a certificate of the usual kind 2,000.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;
/// HTTP clients with a certificate of their own that a worker keeps; past that, all are made anew.
pub const CLIENTS_KEPT_MAX: usize = 500;
/// How long a delivery is put off while the egress proxy lets nothing out.
pub const EGRESS_WAIT: Duration = Duration::from_secs(15);
/// How long a secret that was replaced may go on being used.
pub const GRACE_MAX: Duration = Duration::from_hours(30 * 24);
/// Response bytes read from an endpoint; past that the connection is dropped.
pub const RESPONSE_BYTES_MAX: usize = 64 * 1024;
/// Headers of an endpoint's answer, and of all of them the bytes where HTTP/2 lets us say so.
pub const RESPONSE_HEADERS_MAX: usize = 100;
/// See [`RESPONSE_HEADERS_MAX`].
pub const RESPONSE_HEADER_BYTES_MAX: u32 = 32 * 1024;
/// What connecting to an endpoint may take: its name, TCP and TLS.
pub const CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);
/// Response bytes kept with an attempt.
pub const RESPONSE_KEPT_BYTES_MAX: usize = 4096;
/// Attempts kept per endpoint.
pub const ATTEMPTS_KEPT_MAX: usize = 100;
/// Attempts that a delivery carries in its own history.
pub const HISTORY_MAX: usize = RETRIES_MAX + 1;
/// Length of an error text kept with an attempt, in bytes.
pub const ERROR_BYTES_MAX: usize = 300;
/// Items on one page of a list.
pub const PAGE_ITEMS_MAX: usize = 200;
/// Requests in flight to one endpoint from one worker.
pub const IN_FLIGHT_MAX: u32 = 1000;
/// Dead-letter ids that one filter may name.
pub const FILTER_IDS_MAX: usize = 1000;

const _: () = assert!(
    TIMEOUT_MAX.as_secs() + LEASE_MARGIN.as_secs() < 30 * 60,
    "a lease must end far below the broker's consumer time-out of 30 minutes"
);
const _: () = assert!(RESPONSE_KEPT_BYTES_MAX <= RESPONSE_BYTES_MAX, "kept is part of read");

/// Cuts a text to at most `bytes_max` bytes, at a character's border.
#[must_use]
pub fn cut(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or(text)
}
