//! Wire profiles: named presets of everything that decides the bytes on the wire.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::schema::{HEADER_NAME, text, text_schema};
use crate::{Rate, RetrySchedule, Secret};

/// A named preset. Creating an endpoint with it fills in [`Settings`]; each setting can then be
/// overridden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Standard Webhooks.
    #[default]
    Standard,
    /// Data as it is, with a bearer token, an API key or a query token.
    Entro,
    /// Flat body, optional `sha256=` signature, an idempotency key.
    AutoBlogger,
    /// Wrapped body, bare hex signature.
    Penr,
    /// Wrapped body, `sha256=` signature, an idempotency key.
    ContentEngine,
    /// Wrapped body, bare hex signature, no retry.
    Entri,
}

/// Everything that decides how a delivery looks and when it is tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// HTTP method.
    pub method: Method,
    /// May the URL be plain http at all? The operator can forbid it besides.
    pub require_https: bool,
    /// Must the endpoint answer before it is saved?
    pub check_reachable: bool,
    /// How the body is made.
    pub body: BodyShape,
    /// How it is signed.
    pub signature: Signature,
    /// Value of `Accept`.
    pub accept: Option<String>,
    /// Header that carries the event's type.
    pub event_header: Option<HeaderName>,
    /// Header that carries the event's idempotency key, else its id; the same on every retry.
    pub idempotency_header: Option<HeaderName>,
    /// Further headers, as given.
    pub headers: Vec<(HeaderName, String)>,
    /// What one attempt may take, body included.
    #[serde(with = "crate::duration::text")]
    pub timeout: Duration,
    /// When a failed delivery is tried again.
    pub retry: RetrySchedule,
    /// Deliveries in a time, over the whole fleet.
    pub rate_limit: Option<Rate>,
    /// Requests in flight from one worker.
    pub max_in_flight: u32,
}

/// HTTP methods that a webhook can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
}

/// How the body is made from the event. Members stand in the order given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BodyShape {
    /// `{"type","timestamp","data"}`
    Standard,
    /// The event's `data`, as it is.
    Raw,
    /// `{"event", …data}`: the members of `data` at top level.
    Flat,
    /// `{"event","timestamp","data"}`
    Wrapped,
    /// `{"specversion","id","source","type","time","datacontenttype","data"}`: CloudEvents 1.0,
    /// structured, sent as `application/cloudevents+json`. The source is `/tenants/TENANT`, and
    /// `/projects/PROJECT` behind it if there is one.
    CloudEvents,
}

/// How a delivery is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", from = "SignatureFields")]
pub enum Signature {
    /// Not at all.
    None,
    /// Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,BASE64`.
    Standard,
    /// The same with an entry `v1a,BASE64` (ed25519) before it, which is verified by a public key.
    StandardV1a,
    /// Lower-case hex of HMAC-SHA256 over the body.
    Hex {
        /// The header that carries it.
        header: HeaderName,
    },
    /// The same, after `sha256=`.
    Sha256 {
        /// The header that carries it.
        header: HeaderName,
    },
}

impl Signature {
    /// Is it one of Standard Webhooks, with headers and secrets of that form?
    pub fn is_standard(&self) -> bool {
        match self {
            Self::Standard | Self::StandardV1a => true,
            Self::None | Self::Hex { .. } | Self::Sha256 { .. } => false,
        }
    }
}

/// Serde lets a variant without fields have any: here it has none, which is checked.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum SignatureFields {
    None {},
    Standard {},
    StandardV1a {},
    Hex { header: HeaderName },
    Sha256 { header: HeaderName },
}

impl From<SignatureFields> for Signature {
    fn from(fields: SignatureFields) -> Self {
        match fields {
            SignatureFields::None {} => Self::None,
            SignatureFields::Standard {} => Self::Standard,
            SignatureFields::StandardV1a {} => Self::StandardV1a,
            SignatureFields::Hex { header } => Self::Hex { header },
            SignatureFields::Sha256 { header } => Self::Sha256 { header },
        }
    }
}

/// How a delivery authenticates itself to the endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// A header: `Authorization` sends `Bearer TOKEN`, any other name the bare token.
    Header {
        /// The header's name.
        name: HeaderName,
        /// The token.
        token: Secret,
    },
    /// The query parameter `token`.
    Query {
        /// The token.
        token: Secret,
    },
}

/// A header's name, in the case in which it was given (RFC 9110, 5.1: 1 to 64 token characters).
#[derive(Debug, Clone, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HeaderName(String);

text_schema!(
    HeaderName,
    "The name of a header. Those of a connection, of the body and of a signature are refused.",
    text(HEADER_NAME, 64),
    "X-Api-Key"
);

/// A text that is no header name, or the name of a header that is ours to set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeader {
    /// Not a token.
    #[error("header name {0:?} is invalid: expected 1 to 64 letters, digits or !#$%&'*+-.^_`|~")]
    Name(String),
}

impl HeaderName {
    /// The name, in its own case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Headers that say how a message is carried, or what is signed: no setting may name them.
    pub fn is_reserved(&self) -> bool {
        const RESERVED: [&str; 16] = [
            "connection",
            "content-encoding",
            "content-length",
            "content-type",
            "expect",
            "host",
            "keep-alive",
            "proxy-authenticate",
            "proxy-authorization",
            "proxy-connection",
            "te",
            "trailer",
            "traceparent",
            "transfer-encoding",
            "upgrade",
            "user-agent",
        ];
        let name = self.0.to_ascii_lowercase();
        RESERVED.contains(&name.as_str()) || name.starts_with("webhook-")
    }

    fn preset(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// Header names are the same in any case (RFC 9110, 5.1).
impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl FromStr for HeaderName {
    type Err = InvalidHeader;

    fn from_str(text: &str) -> Result<Self, InvalidHeader> {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if (1..=64).contains(&text.len()) && text.bytes().all(is_token) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidHeader::Name(crate::limits::cut(text, 80).to_owned()))
    }
}

impl TryFrom<String> for HeaderName {
    type Error = InvalidHeader;

    fn try_from(text: String) -> Result<Self, InvalidHeader> {
        text.parse()
    }
}

impl From<HeaderName> for String {
    fn from(name: HeaderName) -> Self {
        name.0
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standard => "standard",
            Self::Entro => "entro",
            Self::AutoBlogger => "auto-blogger",
            Self::Penr => "penr",
            Self::ContentEngine => "content-engine",
            Self::Entri => "entri",
        })
    }
}

pub(crate) const SIGNATURE_HEADER: &str = "X-Webhook-Signature";
const EVENT_HEADER: &str = "X-Webhook-Event";
const IDEMPOTENCY_HEADER: &str = "Idempotency-Key";
const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;

impl Profile {
    /// Is a signing secret made where none was given? `auto-blogger` leaves it to the user.
    pub fn generates_secret(self) -> bool {
        match self {
            Self::AutoBlogger => false,
            Self::Standard | Self::Entro | Self::Penr | Self::ContentEngine | Self::Entri => true,
        }
    }

    /// The preset.
    pub fn settings(self) -> Settings {
        let header = || HeaderName::preset(SIGNATURE_HEADER);
        let event_header = Some(HeaderName::preset(EVENT_HEADER));
        let idempotency_header = Some(HeaderName::preset(IDEMPOTENCY_HEADER));
        let json = Some("application/json".to_owned());
        let base = standard();
        match self {
            Self::Standard => base,
            Self::Entro => Settings {
                require_https: false,
                check_reachable: true,
                body: BodyShape::Raw,
                signature: Signature::None,
                accept: json,
                timeout: Duration::from_secs(30),
                retry: RetrySchedule::default(),
                ..base
            },
            Self::AutoBlogger => Settings {
                require_https: true,
                body: BodyShape::Flat,
                signature: Signature::Sha256 { header: header() },
                accept: json,
                idempotency_header,
                timeout: Duration::from_secs(30),
                retry: RetrySchedule::preset(&[10 * MINUTE, HOUR]),
                ..base
            },
            Self::Penr => Settings {
                body: BodyShape::Wrapped,
                signature: Signature::Hex { header: header() },
                event_header,
                timeout: Duration::from_secs(5),
                retry: RetrySchedule::preset(&[5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR]),
                ..base
            },
            Self::ContentEngine => Settings {
                body: BodyShape::Wrapped,
                signature: Signature::Sha256 { header: header() },
                event_header,
                idempotency_header,
                timeout: Duration::from_secs(15),
                retry: RetrySchedule::preset(&[
                    5,
                    5 * MINUTE,
                    30 * MINUTE,
                    2 * HOUR,
                    5 * HOUR,
                    10 * HOUR,
                ]),
                ..base
            },
            Self::Entri => Settings {
                body: BodyShape::Wrapped,
                signature: Signature::Hex { header: header() },
                event_header,
                timeout: Duration::from_secs(10),
                retry: RetrySchedule::default(),
                ..base
            },
        }
    }
}

/// <https://www.standardwebhooks.com>; https unless the operator allows http.
fn standard() -> Settings {
    Settings {
        method: Method::Post,
        require_https: false,
        check_reachable: false,
        body: BodyShape::Standard,
        signature: Signature::Standard,
        accept: None,
        event_header: None,
        idempotency_header: None,
        headers: Vec::new(),
        timeout: Duration::from_secs(15),
        retry: RetrySchedule::preset(&[
            5,
            5 * MINUTE,
            30 * MINUTE,
            2 * HOUR,
            5 * HOUR,
            10 * HOUR,
            10 * HOUR,
        ]),
        rate_limit: None,
        max_in_flight: 50,
    }
}
