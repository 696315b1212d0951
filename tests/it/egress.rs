//! The way out: a proxy that is away costs time, and no attempt.

use e2e::client::{items, text};
use e2e::fleet::{Fleet, free_port};
use e2e::{SOON, eventually};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::BINARY;

#[tokio::test]
async fn deliveries_wait_for_the_proxy() {
    let (fleet, proxy) = (Fleet::alone(BINARY), format!("127.0.0.1:{}", free_port()));
    let listen = fleet.client.url.trim_start_matches("http://").to_owned();
    let way = format!("http://user:password@{proxy}");
    let server = fleet.spawn(&["serve", "--listen", &listen, "--egress-proxy", &way]);
    server.ready().await;
    let fields = json!({
        "url": "http://known-to-the-proxy.invalid/hook", "timeout": "1s", "retry": {"schedule": []}
    });
    let endpoint = text(&fleet.client.endpoint(&fields).await, "id");
    fleet.client.event(&json!(1)).await;
    eventually("the delivery is put off", SOON, || async {
        (server.metric("hookfleet_deferrals_total").await > 0.0).then_some(())
    })
    .await;

    let listener = TcpListener::bind(&proxy).await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut bytes = vec![0; 8192];
    let read = stream.read(&mut bytes).await.unwrap();
    let head = String::from_utf8_lossy(&bytes[..read]).to_lowercase();
    assert!(head.starts_with("post http://known-to-the-proxy.invalid/hook http/1.1"), "{head}");
    assert!(head.contains("proxy-authorization: basic dxnlcjpwyxnzd29yza=="), "{head}");
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();

    let path = format!("/v1/tenants/acme/endpoints/{endpoint}");
    let attempts = eventually("the attempt is recorded", SOON, || async {
        let (_, attempts) = fleet.client.get(&format!("{path}/attempts")).await;
        (!items(&attempts).is_empty()).then_some(attempts)
    })
    .await;
    assert_eq!(items(&attempts).len(), 1);
    assert_eq!(
        (&items(&attempts)[0]["status"], &items(&attempts)[0]["attempt"]),
        (&json!("success"), &json!(1))
    );
    assert_eq!(fleet.client.get(&path).await.1["failures"], 0);
}
