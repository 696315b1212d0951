//! The HTTP clients: by which way deliveries leave, whom they trust, and as whom they come.
//!
//! One place builds them, so that no client is without its time-outs and its guard. An endpoint with a
//! client certificate has a client of its own, shared with all others of the same certificate: what it
//! authenticated is never used for anybody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hookfleet_domain::{AddressPolicy, Endpoint, Secret, Signature, limits};
use reqwest::dns::Resolve;
use reqwest::redirect::Policy;
use reqwest::tls::Version;
use reqwest::{Certificate, Client, ClientBuilder, Identity, Proxy, Url};
use sha2::{Digest, Sha256};

use crate::guard::{GuardedResolver, SystemResolver};

const IDLE_CONNECTION_KEPT: Duration = Duration::from_mins(1);

/// By which way deliveries leave.
#[derive(Debug, Clone, Default)]
pub struct Egress {
    /// Which addresses they may reach.
    pub addresses: AddressPolicy,
    /// The proxy that all of them go through, `http://user:password@host:port`. It resolves the names
    /// then, and says where they may lead; addresses in URLs are still checked here.
    pub proxy: Option<Secret>,
    /// Certificates of authorities, as PEM, that are trusted besides the system's.
    pub authorities: Option<Vec<u8>>,
}

/// The HTTP client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The proxy's URL, which may hold a password.
    #[error("the egress proxy is invalid: expected http://user:password@host:port")]
    Proxy,
    /// The bundle of authorities.
    #[error("the CA bundle is invalid: expected certificates as PEM")]
    Authorities,
    /// An endpoint's own certificate; never its key.
    #[error("is unusable: expected a certificate and its own private key, as PEM, not encrypted")]
    Identity,
    /// Anything else.
    #[error("the HTTP client could not be built")]
    Other(#[from] reqwest::Error),
}

/// How a client writes the names of headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Case {
    /// For Standard Webhooks, whose headers are written in lower case.
    Plain,
    /// For everybody else: `X-Webhook-Signature`. Header names are the same in any case, but not
    /// every receiver knows.
    Title,
}

impl Case {
    /// That of an endpoint.
    pub fn of(endpoint: &Endpoint) -> Self {
        match endpoint.settings.signature {
            Signature::Standard | Signature::StandardV1a => Self::Plain,
            Signature::None | Signature::Hex { .. } | Signature::Sha256 { .. } => Self::Title,
        }
    }

    /// A header's name, which is in lower case, as it is written over HTTP/1.1.
    pub fn write(self, name: &str) -> String {
        match self {
            Self::Plain => name.to_owned(),
            Self::Title => {
                let words = name.split('-').map(|word| {
                    let (first, rest) = word.split_at(word.len().min(1));
                    first.to_ascii_uppercase() + rest
                });
                words.collect::<Vec<_>>().join("-")
            }
        }
    }
}

/// Who sends.
pub const USER_AGENT: &str = concat!("Hookfleet/", env!("CARGO_PKG_VERSION"));

/// What an HTTP client is told by: the digest of a certificate, and the case.
type Key = ([u8; 32], Case);

/// All clients.
pub struct Clients {
    resolver: Arc<GuardedResolver>,
    proxy: Option<Proxy>,
    authorities: Vec<Certificate>,
    plain: Client,
    title_case: Client,
    of_certificates: Mutex<HashMap<Key, Client>>,
}

impl Clients {
    /// Those without a certificate are built at once. The process must have installed a TLS provider
    /// (`rustls::crypto::CryptoProvider::install_default`).
    pub fn new(egress: &Egress, resolver: Arc<dyn Resolve>) -> Result<Self, ClientError> {
        let proxy = egress.proxy.as_ref().map(proxy).transpose()?;
        let authorities = egress.authorities.as_deref().map(authorities).transpose()?;
        let authorities = authorities.unwrap_or_default();
        // Behind a proxy the only name that is looked up here is the proxy's own.
        let (inner, policy) = match &proxy {
            None => (resolver, egress.addresses.clone()),
            Some(_) => (Arc::new(SystemResolver) as _, AddressPolicy::everything()),
        };
        let resolver = Arc::new(GuardedResolver { inner, policy });
        let base = || base(&resolver, proxy.as_ref(), &authorities);
        let (plain, title_case) = (base().build()?, base().http1_title_case_headers().build()?);
        let of_certificates = Mutex::default();
        Ok(Self { resolver, proxy, authorities, plain, title_case, of_certificates })
    }

    /// The client for an endpoint.
    pub fn of(&self, endpoint: &Endpoint) -> Result<Client, ClientError> {
        match (&endpoint.client_certificate, Case::of(endpoint)) {
            (Some(certificate), case) => self.with_certificate(certificate, case),
            (None, Case::Plain) => Ok(self.plain.clone()),
            (None, Case::Title) => Ok(self.title_case.clone()),
        }
    }

    /// Does everything go through a proxy?
    pub fn proxied(&self) -> bool {
        self.proxy.is_some()
    }

    fn with_certificate(&self, pem: &Secret, case: Case) -> Result<Client, ClientError> {
        let key = (Sha256::digest(pem.expose()).into(), case);
        if let Some(client) = self.kept().get(&key) {
            return Ok(client.clone());
        }
        let identity = Identity::from_pem(pem.expose().as_bytes());
        let identity = identity.map_err(|_| ClientError::Identity)?;
        let builder = base(&self.resolver, self.proxy.as_ref(), &self.authorities);
        let builder = match case {
            Case::Plain => builder,
            Case::Title => builder.http1_title_case_headers(),
        };
        // All else was built before: what fails now is that the two do not belong together.
        let client = builder.identity(identity).build().map_err(|_| ClientError::Identity)?;
        let mut kept = self.kept();
        if kept.len() >= limits::CLIENTS_KEPT_MAX {
            kept.clear();
        }
        kept.insert(key, client.clone());
        Ok(client)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Client>> {
        // The map is whole after any panic: each change to it is one call.
        self.of_certificates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all clients have in common.
fn base(
    resolver: &Arc<GuardedResolver>,
    proxy: Option<&Proxy>,
    authorities: &[Certificate],
) -> ClientBuilder {
    let builder = Client::builder()
        .user_agent(USER_AGENT)
        .dns_resolver(Arc::clone(resolver))
        // Not even that of the environment: it would make the guard blind.
        .no_proxy()
        .redirect(Policy::none())
        .tls_version_min(Version::TLS_1_2)
        .tls_certs_merge(authorities.iter().cloned())
        .connect_timeout(limits::CONNECT_WAIT_MAX)
        .http2_max_header_list_size(limits::RESPONSE_HEADER_BYTES_MAX)
        // A small answer must not become a large one.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .pool_idle_timeout(IDLE_CONNECTION_KEPT)
        .tcp_nodelay(true);
    match proxy {
        Some(proxy) => builder.proxy(proxy.clone()),
        None => builder,
    }
}

fn proxy(url: &Secret) -> Result<Proxy, ClientError> {
    let url: Url = url.expose().parse().map_err(|_| ClientError::Proxy)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ClientError::Proxy);
    }
    Proxy::all(url).map_err(|_| ClientError::Proxy)
}

fn authorities(pem: &[u8]) -> Result<Vec<Certificate>, ClientError> {
    match Certificate::from_pem_bundle(pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(ClientError::Authorities),
    }
}

#[cfg(test)]
mod tests;
