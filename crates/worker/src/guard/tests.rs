//! Bad targets, each tried twice: registered, and sent to past the registration.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use hookfleet_domain::{AttemptNumber, EndpointPatch, EndpointPolicy, EndpointUrl, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::clients::Egress;
use crate::endpoints::Target;
use crate::request::tests::{endpoint, event, now};
use crate::send::Sender;

/// No URL that an endpoint may have: no attempt can be made, not even with a stored one.
const NO_ENDPOINT: [&str; 22] = [
    "https://user@1.1.1.1/",
    "https://user:password@example.com/",
    "https://example.com@127.0.0.1/",
    "https://127.0.0.1:80@example.com/",
    "https://:password@example.com/",
    "https://example.com:0/",
    "https://example.com:65536/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1%eth0]/",
    "https://[::1/",
    "https://127.0.0.256/",
    "https://0x100000000/",
    "https://1.2.3.4.5/",
    "https://127.0.0.1%00.example.com/",
    "https://exam ple.com/",
    "https://",
    "//127.0.0.1/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "ftp://127.0.0.1/",
    "unix:/var/run/docker.sock",
    "https://example.com/#@127.0.0.1/",
];

/// The URL itself shows where it leads, however that is spelled.
const LITERALS: [&str; 78] = [
    // Loopback in every spelling.
    "http://127.0.0.1:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://127.255.255.254:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f000001:PORT/",
    "http://0x7F.0.0.1:PORT/",
    "http://0x7f.0x0.0x0.0x1:PORT/",
    "http://017700000001:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://0177.0.0.01:PORT/",
    "http://00000177.0.0.1:PORT/",
    "http://127.0.0x0.1:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http://１２７.０.０.１:PORT/",
    "http://①②⑦.⓪.⓪.①:PORT/",
    "http://127。0。0。1:PORT/",
    "http:\\\\127.0.0.1:PORT\\",
    "http:127.0.0.1:PORT/",
    "http:////127.0.0.1:PORT/",
    "ht\ntp://127.0.\t0.1:PORT/",
    " http://127.0.0.1:PORT/ ",
    "HTTP://127.0.0.1:PORT/",
    "https://127.0.0.1:PORT/",
    "http://localhost:PORT/",
    "http://LOCALHOST:PORT/",
    "http://localhost.:PORT/",
    "http://ⓛocalhost:PORT/",
    "http://tenant.localhost:PORT/",
    "http://tenant.localhost.:PORT/",
    "http://[::1]:PORT/",
    "http://[0:0:0:0:0:0:0:1]:PORT/",
    "http://[0000::0001]:PORT/",
    // This host.
    "http://0.0.0.0:PORT/",
    "http://0:PORT/",
    "http://0x0:PORT/",
    "http://0.1.2.3/",
    "http://[::]:PORT/",
    // Private, shared, link-local with the clouds' metadata.
    "http://10.0.0.1/",
    "http://10.255.255.255/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.0.1/",
    "http://3232235777/",
    "http://100.64.0.1/",
    "http://100.100.100.200/latest/meta-data/",
    "http://100.127.255.255/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.169.254./latest/meta-data/",
    "http://2852039166/latest/meta-data/",
    "http://0xa9fea9fe/latest/meta-data/",
    "http://0251.0376.0251.0376/latest/meta-data/",
    "http://169.254.43518/latest/meta-data/",
    "http://169.254.170.2/v2/credentials/",
    "http://192.0.0.192/opc/v2/instance/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://[fec0::1]/",
    // Assignments, benchmarks, documentation, relays, multicast, reserved, broadcast.
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://192.88.99.1/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
    "http://[100::1]/",
    // IPv4 inside IPv6: mapped, compatible, translated, NAT64, 6to4, Teredo.
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:a9fe:a9fe]/latest/meta-data/",
    "http://[::127.0.0.1]:PORT/",
    "http://[::ffff:0:127.0.0.1]:PORT/",
    "http://[64:ff9b::169.254.169.254]/",
    "http://[2002:7f00:1::]:PORT/",
    "http://[2001:0:7f00:1::1]:PORT/",
];

/// Only the answer shows where the name leads.
const NAMES: [(&str, &[&str]); 12] = [
    ("loopback.example", &["127.0.0.1"]),
    ("loopback6.example", &["::1"]),
    ("any.example", &["0.0.0.0"]),
    ("private.example", &["10.0.0.1"]),
    ("metadata.google.internal", &["169.254.169.254"]),
    ("mapped.example", &["::ffff:10.0.0.1"]),
    ("nat64.example", &["64:ff9b::7f00:1"]),
    ("unique-local.example", &["fd00:ec2::254"]),
    ("bad-comes-last.example", &["1.1.1.1", "2606:4700::1111", "127.0.0.1"]),
    ("bad-comes-first.example", &["127.0.0.1", "1.1.1.1"]),
    ("127.0.0.1.nip.example", &["127.0.0.1"]),
    ("dotted.example.", &["127.0.0.1"]),
];

/// Answers what it is told: the first answer first, the last one for ever.
#[derive(Default)]
struct Scripted(Mutex<HashMap<String, VecDeque<Vec<SocketAddr>>>>);

impl Scripted {
    fn answering(name: &str, answers: &[&[&str]]) -> Arc<Self> {
        let addresses = |answer: &&[&str]| {
            answer.iter().map(|ip| SocketAddr::new(ip.parse::<IpAddr>().unwrap(), 0)).collect()
        };
        let answers = answers.iter().map(addresses).collect();
        Arc::new(Self(Mutex::new(HashMap::from([(name.to_owned(), answers)]))))
    }
}

impl Resolve for Scripted {
    fn resolve(&self, name: Name) -> Resolving {
        let mut answers = self.0.lock().unwrap();
        let answers =
            answers.get_mut(name.as_str()).expect("only names of the table are asked for");
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        let addresses: Addrs = Box::new(answer.unwrap().into_iter());
        Box::pin(async move { Ok(addresses) })
    }
}

/// Counts those who connect, answers each and hangs up.
struct Listener {
    port: u16,
    callers: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl Listener {
    async fn answering(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, callers) = (listener.local_addr().unwrap().port(), Arc::default());
        let mut server = JoinSet::new();
        let counted = Arc::<AtomicUsize>::clone(&callers);
        server.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut request = [0; 4096];
                drop(stream.read(&mut request).await);
                drop(stream.write_all(answer.as_bytes()).await);
            }
        });
        Self { port, callers, _server: server }
    }

    fn callers(&self) -> usize {
        self.callers.load(Ordering::SeqCst)
    }
}

/// As `cli` does when it begins.
pub(crate) fn install_tls() {
    drop(rustls::crypto::ring::default_provider().install_default());
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

fn register(url: &str, policy: &EndpointPolicy) -> Result<(), String> {
    let patch = serde_json::json!({ "url": url, "secret": "s", "profile": "penr" });
    let patch: EndpointPatch = serde_json::from_value(patch).unwrap();
    let made = patch.create("acme".parse().unwrap(), now(), policy, |_| unreachable!());
    made.map(drop).map_err(|error| error.to_string())
}

/// Changes an endpoint that is there already.
fn change(url: &str, policy: &EndpointPolicy) -> Result<(), String> {
    let patch: EndpointPatch = serde_json::from_value(serde_json::json!({ "url": url })).unwrap();
    let changed = patch.apply(endpoint(r#"{"url":"https://a.example/"}"#), now(), policy);
    changed.map(drop).map_err(|error| error.to_string())
}

/// Sends to this URL as to one that was stored before anybody checked it.
async fn send(sender: &Sender, url: &str) -> Outcome {
    let mut endpoint = endpoint(r#"{"url":"https://a.example/","timeout":"5s"}"#);
    endpoint.url = url.parse::<EndpointUrl>().unwrap();
    let target = Target::new(endpoint);
    sender.attempt(&target, &event("{}"), (AttemptNumber::FIRST, now())).await.unwrap().outcome
}

fn reaching(addresses: AddressPolicy) -> Egress {
    Egress { addresses, ..Egress::default() }
}

fn strict() -> EndpointPolicy {
    EndpointPolicy { allow_http: true, ..EndpointPolicy::default() }
}

#[test]
fn what_is_no_endpoint_cannot_even_be_read() {
    for url in NO_ENDPOINT {
        assert!(url.parse::<EndpointUrl>().is_err(), "{url}");
        let why = register(url, &strict()).unwrap_err();
        assert!(why.starts_with("url "), "{url}: {why}");
        assert_eq!(change(url, &strict()), Err(why));
    }
}

#[tokio::test]
async fn a_target_that_shows_is_refused_twice() {
    install_tls();
    let listener = Listener::answering(OK.to_owned()).await;
    let sender = Sender::new(&Egress::default()).unwrap();
    for url in LITERALS {
        let url = url.replace("PORT", &listener.port.to_string());
        for why in [register(&url, &strict()), change(&url, &strict())] {
            let why = why.expect_err(&url);
            assert!(why.contains("is not public"), "{url}: {why}");
        }
        let outcome = send(&sender, &url).await;
        assert!(matches!(outcome, Outcome::Forbidden(_)), "{url}: {outcome:?}");
    }
    assert_eq!(listener.callers(), 0);

    let open = AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let policy = EndpointPolicy { addresses: open.clone(), ..strict() };
    let (url, sender) =
        (format!("http://0x7f.1:{}/", listener.port), Sender::new(&reaching(open)).unwrap());
    assert_eq!(register(&url, &policy), Ok(()));
    assert_eq!(send(&sender, &url).await.http_status(), Some(200), "the operator allowed it");
    assert_eq!(listener.callers(), 1);
}

#[tokio::test]
async fn a_name_is_refused_for_where_it_leads() {
    install_tls();
    let listener = Listener::answering(OK.to_owned()).await;
    for (name, answer) in NAMES {
        let url = format!("http://{name}:{}/", listener.port);
        assert_eq!(register(&url, &strict()), Ok(()), "a name shows nothing");
        let resolver = Scripted::answering(name, &[answer]);
        let sender = Sender::resolving(&Egress::default(), resolver).unwrap();
        let outcome = send(&sender, &url).await;
        assert!(matches!(outcome, Outcome::Forbidden(_)), "{name}: {outcome:?}");
    }
    assert_eq!(listener.callers(), 0);
}

/// The address that was checked is the one that is connected to: there is no second look-up.
#[tokio::test]
async fn an_answer_that_changes_gains_nothing() {
    install_tls();
    let listener = Listener::answering(OK.to_owned()).await;
    let url = format!("http://rebinds.example:{}/", listener.port);
    let allowed = || AddressPolicy::new(vec!["127.0.0.2/32".parse().unwrap()]);

    // It answers what may be reached when it is first asked, and ever after what may not.
    let resolver = Scripted::answering("rebinds.example", &[&["127.0.0.2"], &["127.0.0.1"]]);
    let sender = Sender::resolving(&reaching(allowed()), resolver).unwrap();
    let first = send(&sender, &url).await;
    assert!(matches!(first, Outcome::Unreachable(_)), "nobody listens at 127.0.0.2: {first:?}");
    let second = send(&sender, &url).await;
    assert!(matches!(second, Outcome::Forbidden(_)), "{second:?}");
    assert_eq!(listener.callers(), 0);

    // And one that changes for the better is heard.
    let resolver = Scripted::answering("rebinds.example", &[&["10.0.0.1"], &["127.0.0.1"]]);
    let policy = AddressPolicy::new(vec!["127.0.0.1/32".parse().unwrap()]);
    let sender = Sender::resolving(&reaching(policy), resolver).unwrap();
    assert!(matches!(send(&sender, &url).await, Outcome::Forbidden(_)));
    assert_eq!(send(&sender, &url).await.http_status(), Some(200));
}

#[tokio::test]
async fn no_redirect_is_followed() {
    install_tls();
    let inside = Listener::answering(OK.to_owned()).await;
    let policy = AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let sender = Sender::new(&reaching(policy)).unwrap();
    for status in [301, 302, 303, 307, 308] {
        let location = format!("http://127.0.0.1:{}/", inside.port);
        let answer = format!(
            "HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\
             connection: close\r\n\r\n"
        );
        let outside = Listener::answering(answer).await;
        let outcome = send(&sender, &format!("http://127.0.0.1:{}/", outside.port)).await;
        assert_eq!(outcome.http_status(), Some(status));
    }
    assert_eq!(inside.callers(), 0);
}
