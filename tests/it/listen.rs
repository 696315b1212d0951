//! `hookfleet listen --forward`: from a delivery to a developer's own program, and back.

use std::process::Stdio;

use e2e::client::text;
use e2e::fleet::{Fleet, free_port};
use e2e::receiver::{Answer, Receiver};
use e2e::{SOON, eventually};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

use crate::BINARY;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A relay; it is killed when it is dropped.
struct Relay {
    port: u16,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Relay {
    async fn to(fleet: &Fleet, url: &str) -> Self {
        let port = free_port();
        let number = port.to_string();
        let listen = ["listen", "--port", &number, "--secret", SECRET, "--forward", url];
        let mut command = fleet.command(&[&listen[..], &["--output", "json"]].concat());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        eventually("it listens", SOON, || async {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop)
        })
        .await;
        Self { port, lines, _child: child }
    }

    async fn shown(&mut self) -> Value {
        let line = timeout(SOON, self.lines.next_line()).await.unwrap().unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

/// An endpoint at the relay gets an event; answers the attempt.
async fn attempt(fleet: &Fleet, relay: &Relay, secret: &str) -> Value {
    let url = format!("http://127.0.0.1:{}/hook?a=1", relay.port);
    let fields = json!({"url": url, "secret": secret, "retry": {"schedule": []}});
    let (status, endpoint) = fleet.client.post("/v1/tenants/acme/endpoints", &fields).await;
    assert_eq!(status, 201, "{endpoint}");
    let test = format!("/v1/tenants/acme/endpoints/{}/test", text(&endpoint, "id"));
    fleet.client.post(&test, &json!({})).await.1
}

#[tokio::test]
async fn a_delivery_goes_on_and_the_answer_comes_back() {
    let fleet = Fleet::embedded(BINARY).await;
    let program = Receiver::new(|_| Answer {
        headers: "x-mine: käse\r\nconnection: keep-alive\r\n".to_owned(),
        ..Answer::from(418)
    })
    .await;
    let mut relay = Relay::to(&fleet, &program.url).await;

    let made = attempt(&fleet, &relay, SECRET).await;
    assert_eq!((&made["http_status"], &made["response_body"]), (&json!(418), &json!("ok")));
    let shown = relay.shown().await;
    assert_eq!((&shown["signature"], &shown["answered"]), (&json!("valid"), &json!(418)));
    let forwarded = &shown["forwarded"];
    assert_eq!(forwarded["url"], format!("{}/hook?a=1", program.url));
    assert_eq!((&forwarded["status"], &forwarded["body"]), (&json!(418), &json!("ok")));
    assert_eq!(forwarded["headers"], json!({"x-mine": "käse"}));
    let request = program.requests().remove(0);
    assert_eq!(request.line(), "POST /hook?a=1 HTTP/1.1");
    assert!(request.verifies(SECRET), "byte for byte: {}", request.head);
    assert_eq!(request.header("host"), program.url.strip_prefix("http://"));

    let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    attempt(&fleet, &relay, other).await;
    let shown = relay.shown().await;
    assert!(text(&shown, "signature").starts_with("INVALID"), "{shown}");
    assert_eq!(program.requests().len(), 2, "the program sees it, and must refuse it itself");
}

#[tokio::test]
async fn a_program_that_does_not_answer_is_shown_as_such() {
    let fleet = Fleet::embedded(BINARY).await;
    let mut relay = Relay::to(&fleet, &format!("http://127.0.0.1:{}", free_port())).await;
    let made = attempt(&fleet, &relay, SECRET).await;
    assert_eq!((&made["http_status"], &made["status"]), (&json!(502), &json!("failure")));
    let shown = relay.shown().await;
    assert!(text(&shown["forwarded"], "error").contains("refused"), "{shown}");

    let slow = Receiver::new(|_| Answer { after: 4 * SOON, ..Answer::from(200) }).await;
    let mut relay = Relay::to(&fleet, &slow.url).await;
    let url = format!("http://127.0.0.1:{}/hook", relay.port);
    let fields = json!({"url": url, "secret": SECRET, "timeout": "1s"});
    let (_, endpoint) = fleet.client.post("/v1/tenants/acme/endpoints", &fields).await;
    let test = format!("/v1/tenants/acme/endpoints/{}/test", text(&endpoint, "id"));
    fleet.client.post(&test, &json!({})).await;
    let shown = relay.shown().await;
    assert_eq!(shown["answered"], Value::Null, "its sender did not wait: {shown}");

    let (code, _, errors) = fleet.run(&["listen", "--forward", "ftp://a.example"]).await;
    assert_eq!(code, 2, "{errors}");
}
