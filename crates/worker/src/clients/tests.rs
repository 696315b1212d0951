//! Whom deliveries trust and as whom they come, against real TLS servers; what gets past a proxy.

use hookfleet_domain::{AttemptNumber, EndpointUrl, Outcome};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::endpoints::Target;
use crate::guard::tests::install_tls;
use crate::request::tests::{endpoint, event, now};
use crate::send::{Attempted, NoEgress, Sender};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// An authority that certifies.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for 127.0.0.1, and its key.
    fn certify(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        Arc::new(roots)
    }
}

/// A server that answers 200 over TLS, to those with a certificate of `clients` if there is one.
async fn https(of: &Authority, clients: Option<&Authority>) -> (String, JoinSet<()>) {
    let builder = ServerConfig::builder();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder(clients.roots()).build().unwrap(),
        ),
    };
    let (certificate, key) = of.certify();
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = builder.with_single_cert(vec![certificate], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (listener, url) = listen("https").await;
    let mut server = JoinSet::new();
    server.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await {
                drop(stream.read(&mut [0; 4096]).await);
                drop(stream.write_all(OK).await);
                drop(stream.shutdown().await);
            }
        }
    });
    (url, server)
}

/// A server that answers the same bytes to everybody, and tells what it was sent.
async fn answering(answer: Vec<u8>) -> (String, mpsc::UnboundedReceiver<Vec<u8>>, JoinSet<()>) {
    let (listener, url) = listen("http").await;
    let (told, asked) = mpsc::unbounded_channel();
    let mut server = JoinSet::new();
    server.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = vec![0; 4096];
            let read = stream.read(&mut bytes).await.unwrap_or_default();
            drop(stream.write_all(&answer).await);
            // What comes after the answer, such as an alert of TLS.
            let mut more = vec![0; 64];
            bytes.truncate(read);
            drop(told.send(bytes));
            let read = stream.read(&mut more).await.unwrap_or_default();
            more.truncate(read);
            drop(told.send(more));
        }
    });
    (url, asked, server)
}

async fn listen(scheme: &str) -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("{scheme}://{}/", listener.local_addr().unwrap());
    (listener, url)
}

fn egress() -> Egress {
    let addresses = AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]);
    Egress { addresses, ..Egress::default() }
}

fn trusting(authority: &Authority) -> Egress {
    Egress { authorities: Some(authority.pem.clone().into_bytes()), ..egress() }
}

fn endpoint_at(url: &str) -> Endpoint {
    let mut endpoint = endpoint(r#"{"url":"https://a.example/","timeout":"5s"}"#);
    endpoint.url = url.parse::<EndpointUrl>().unwrap();
    endpoint
}

async fn attempt(egress: &Egress, endpoint: &Endpoint) -> Result<Attempted, NoEgress> {
    let (sender, target) = (Sender::new(egress).unwrap(), Target::new(endpoint.clone()));
    sender.attempt(&target, &event("{}"), (AttemptNumber::FIRST, now())).await
}

async fn outcome(egress: &Egress, endpoint: &Endpoint) -> Outcome {
    attempt(egress, endpoint).await.unwrap().outcome
}

#[track_caller]
fn check_unreachable(outcome: Outcome, why: &str) {
    let Outcome::Unreachable(text) = outcome else { panic!("{outcome:?}") };
    assert!(text.contains(why), "{text}");
}

#[tokio::test]
async fn only_a_known_authority_is_trusted() {
    install_tls();
    let (known, other) = (Authority::new(), Authority::new());
    let (url, _server) = https(&known, None).await;
    let endpoint = endpoint_at(&url);
    check_unreachable(outcome(&egress(), &endpoint).await, "certificate");
    check_unreachable(outcome(&trusting(&other), &endpoint).await, "certificate");
    assert_eq!(outcome(&trusting(&known), &endpoint).await.http_status(), Some(200));
    let elsewhere = endpoint_at(&url.replace("127.0.0.1", "127.0.0.2"));
    assert!(!outcome(&trusting(&known), &elsewhere).await.is_success(), "for another name");
}

#[tokio::test]
async fn an_endpoint_may_ask_who_connects() {
    install_tls();
    let (servers, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let (url, _server) = https(&servers, Some(&clients)).await;
    let presenting = |of: Option<&Authority>| {
        let pem = of.map(|of| Secret::new(<[String; 2]>::from(of.certify()).join("\n")));
        Endpoint { client_certificate: pem, ..endpoint_at(&url) }
    };
    let way = trusting(&servers);
    assert!(!outcome(&way, &presenting(None)).await.is_success());
    assert!(!outcome(&way, &presenting(Some(&strangers))).await.is_success());
    let outcome = outcome(&way, &presenting(Some(&clients))).await;
    assert_eq!(outcome.http_status(), Some(200));
}

#[test]
fn a_certificate_needs_its_own_key() {
    install_tls();
    let sender = Sender::new(&egress()).unwrap();
    let check = |pem: &[&str]| {
        let pem = Some(Secret::new(pem.concat()));
        let endpoint = Endpoint { client_certificate: pem, ..endpoint_at("https://a.example/") };
        sender.check_certificate(&endpoint)
    };
    let ((certificate, key), (_, other)) = (Authority::new().certify(), Authority::new().certify());
    assert_eq!(check(&[&certificate, &key]), Ok(()));
    for bad in [&[certificate.as_str(), &other][..], &[&certificate], &[&key], &["no PEM"]] {
        let why = check(bad).unwrap_err();
        assert!(why.contains("its own private key") && !why.contains("BEGIN"), "{why}");
    }
}

#[test]
fn clients_are_shared_and_bounded() {
    install_tls();
    let clients = Clients::new(&egress(), Arc::new(SystemResolver)).unwrap();
    let of = |certificate: &(String, String)| {
        let pem = Some(Secret::new([certificate.0.as_str(), &certificate.1].concat()));
        let endpoint = Endpoint { client_certificate: pem, ..endpoint_at("https://a.example/") };
        clients.of(&endpoint).unwrap();
        clients.kept().len()
    };
    let authority = Authority::new();
    let (one, two) = (authority.certify(), authority.certify());
    assert_eq!([of(&one), of(&one), of(&two), of(&one)], [1, 1, 2, 2]);
    let (client, case) = (clients.plain.clone(), Case::Title);
    for n in 0..limits::CLIENTS_KEPT_MAX {
        clients.kept().insert(([u8::try_from(n % 256).unwrap(); 32], case), client.clone());
        clients.kept().insert((Sha256::digest(n.to_string()).into(), case), client.clone());
    }
    assert_eq!(of(&authority.certify()), 1, "all are forgotten when there is no room");
}

/// A server of TLS 1.1: its hello names that version, whatever it was offered.
#[tokio::test]
async fn older_tls_is_refused() {
    install_tls();
    let body = [&[3, 2][..], &[7; 32], &[0, 0xc0, 0x13, 0]].concat();
    let length = u8::try_from(body.len()).unwrap();
    let hello = [&[22, 3, 2, 0, length + 4, 2, 0, 0, length][..], &body].concat();
    let (url, mut asked, _server) = answering(hello).await;
    let endpoint = endpoint_at(&url.replace("http:", "https:"));
    check_unreachable(outcome(&egress(), &endpoint).await, "no connection");
    let hello = asked.recv().await.unwrap();
    let versions = [0, 43, 0, 5, 4, 3, 4, 3, 3];
    assert!(hello.windows(9).any(|window| window == versions), "1.3 and 1.2 are offered, no other");
    let alert = asked.recv().await.unwrap();
    assert_eq!((alert[0], &alert[5..]), (21, &[2, 70][..]), "fatal: protocol_version");
}

#[tokio::test]
async fn no_answer_is_unpacked_and_none_is_endless() {
    install_tls();
    let packed = b"\x1f\x8b\x08\0\0\0\0\0\0\x03+\xcf/\xcaI\x01\0\x43\x65\x5b\xd3\x05\0\0\0";
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 25\r\ncontent-encoding: gzip\r\n\r\n";
    let (url, _asked, _server) = answering([head.as_bytes(), packed].concat()).await;
    let made = attempt(&egress(), &endpoint_at(&url)).await.unwrap();
    assert_eq!(made.record.response_body, Some(String::from_utf8_lossy(packed).into_owned()));

    let body = vec![b'x'; limits::RESPONSE_BYTES_MAX + 100_000];
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n";
    let (url, _asked, _server) = answering([head.as_bytes(), &body].concat()).await;
    let made = attempt(&egress(), &endpoint_at(&url)).await.unwrap();
    assert_eq!(made.outcome.http_status(), Some(200), "what came suffices");
    let kept = made.record.response_body.unwrap();
    assert_eq!(kept.len(), limits::RESPONSE_KEPT_BYTES_MAX);

    for (count, status) in [(limits::RESPONSE_HEADERS_MAX, Some(200)), (101, None)] {
        let headers = (1..count).map(|n| format!("x-{n}: y\r\n")).collect::<Vec<_>>().concat();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{headers}\r\n");
        let (url, _asked, _server) = answering(answer.into_bytes()).await;
        let outcome = outcome(&egress(), &endpoint_at(&url)).await;
        assert_eq!(outcome.http_status(), status, "{count} headers: {outcome:?}");
    }
}

/// A proxy that asks for this user, and tells what it was asked for.
async fn proxy(user: &'static str) -> (String, mpsc::UnboundedReceiver<String>, JoinSet<()>) {
    let (listener, url) = listen("http").await;
    let (told, asked) = mpsc::unbounded_channel();
    let mut server = JoinSet::new();
    server.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = vec![0; 4096];
            let read = stream.read(&mut bytes).await.unwrap();
            let head = String::from_utf8_lossy(&bytes[..read]).into_owned();
            let line = head.lines().next().unwrap_or_default().to_owned();
            let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
            if !head.to_lowercase().contains(&format!("authorization: basic {user}").to_lowercase()) {
                drop(stream.write_all(b"HTTP/1.1 407 No\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await);
            } else if line.starts_with("CONNECT") {
                let mut behind = TcpStream::connect(target).await.unwrap();
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await);
                drop(copy_bidirectional(&mut stream, &mut behind).await);
            } else {
                drop(stream.write_all(OK).await);
            }
            drop(told.send(line));
        }
    });
    (url, asked, server)
}

/// `user:password`, and `user:wrong`.
const RIGHT: &str = "dXNlcjpwYXNzd29yZA==";
const WRONG: &str = "dXNlcjp3cm9uZw==";

fn through(proxy: &str, way: Egress) -> Egress {
    let url = proxy.replace("http://", "http://user:password@");
    Egress { proxy: Some(Secret::new(url)), ..way }
}

#[tokio::test]
async fn behind_a_proxy_names_are_its_business_and_addresses_are_not() {
    install_tls();
    let authority = Authority::new();
    let (url, _server) = https(&authority, None).await;
    let (proxy, mut asked, _proxy) = proxy(RIGHT).await;
    let way = through(&proxy, trusting(&authority));
    assert_eq!(outcome(&way, &endpoint_at(&url)).await.http_status(), Some(200));
    assert!(asked.recv().await.unwrap().starts_with("CONNECT 127.0.0.1:"));
    let plain = endpoint_at("http://never-looked-up.invalid/hook");
    assert_eq!(outcome(&way, &plain).await.http_status(), Some(200));
    let line = asked.recv().await.unwrap();
    assert_eq!(line, "POST http://never-looked-up.invalid/hook HTTP/1.1");
    for url in ["http://10.0.0.1/", "https://169.254.169.254/", "http://localhost:1/"] {
        let way = Egress { addresses: AddressPolicy::default(), ..way.clone() };
        let outcome = outcome(&way, &endpoint_at(url)).await;
        assert!(matches!(outcome, Outcome::Forbidden(_)), "{url}: {outcome:?}");
    }
    assert!(asked.try_recv().is_err(), "the proxy was not even asked");
}

#[tokio::test]
async fn what_a_proxy_does_is_no_endpoints_failure() {
    install_tls();
    let (url, _asked, _proxy) = proxy(WRONG).await;
    let way = through(&url, egress());
    let refused = attempt(&way, &endpoint_at("https://a.example/")).await.unwrap_err();
    assert!(refused.to_string().contains("asks for other credentials"), "{refused}");
    let forwarded = outcome(&way, &endpoint_at("http://a.example/")).await;
    assert!(matches!(&forwarded, Outcome::Forbidden(why) if why.contains("407")), "{forwarded:?}");

    let (listener, url) = listen("http").await;
    drop(listener);
    for target in ["https://a.example/", "http://a.example/"] {
        let away = attempt(&through(&url, egress()), &endpoint_at(target)).await.unwrap_err();
        assert!(away.to_string().contains("cannot be reached"), "{away}");
        assert!(!away.to_string().contains("password"), "{away}");
    }
    let (url, _asked, _server) =
        answering(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n".into()).await;
    let own = outcome(&egress(), &endpoint_at(&url)).await;
    assert_eq!(own.http_status(), Some(407), "without a proxy it is a status like others");
}

#[test]
fn settings_that_are_none() {
    install_tls();
    for bad in ["", "proxy:3128", "socks5://proxy:1080", "http://", "ftp://user:hush@proxy"] {
        let way = Egress { proxy: Some(Secret::new(bad)), ..egress() };
        let error = Sender::new(&way).err().expect(bad).to_string();
        assert!(error.starts_with("the egress proxy is invalid"), "{bad}: {error}");
        assert!(!error.contains("hush"));
    }
    for bad in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let way = Egress { authorities: Some(bad.into()), ..egress() };
        assert!(Sender::new(&way).is_err(), "{bad:?}");
    }
}
