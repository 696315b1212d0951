//! The command line.

use std::process::Stdio;

use e2e::SOON;
use e2e::client::text;
use e2e::fleet::{Fleet, free_port};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

use crate::BINARY;

crate::on_both_backends!(from_endpoint_to_a_verified_delivery, a_file_of_events, exit_codes);

fn parse(stdout: &str) -> Value {
    serde_json::from_str(stdout).unwrap()
}

async fn from_endpoint_to_a_verified_delivery(fleet: Fleet) {
    let port = free_port().to_string();
    let to = format!("http://127.0.0.1:{port}/hook");
    let create = ["endpoint", "create", "--to", &to, "--tenant", "acme", "--output", "json"];
    let (code, out, errors) = fleet.run(&create).await;
    assert_eq!(code, 0, "{errors}");
    let endpoint = parse(&out);
    let secret = text(&endpoint, "secret");

    let listen = ["listen", "--port", &port, "--secret", &secret, "--output", "json"];
    let mut listener = fleet.command(&listen).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(listener.stdout.take().unwrap()).lines();
    let publish =
        ["event", "publish", "--tenant", "acme", "--type", "a.b", "--data", r#"{"x": 1}"#];
    e2e::eventually("it listens", SOON, || async {
        tokio::net::TcpStream::connect(format!("127.0.0.1:{port}")).await.ok().map(drop)
    })
    .await;
    let (code, out, errors) = fleet.run(&[&publish[..], &["--output", "json"]].concat()).await;
    assert_eq!(code, 0, "{errors}");
    let line = timeout(SOON, lines.next_line()).await.unwrap().unwrap().unwrap();
    let received = parse(&line);
    assert_eq!(received["signature"], "valid", "{received}");
    assert_eq!(received["headers"]["webhook-id"], parse(&out)["id"]);
    assert!(received["body"].as_str().unwrap().ends_with(r#""data":{"x": 1}}"#));

    let id = text(&parse(&out), "id");
    let (_, shown, _) =
        fleet.run(&["event", "show", &id, "--tenant", "acme", "--output", "json"]).await;
    assert_eq!(parse(&shown)["type"], "a.b");
    let endpoint = text(&endpoint, "id");
    let attempts = ["endpoint", "attempts", &endpoint, "--tenant", "acme", "--output", "json"];
    let (_, log, _) = fleet.run(&attempts).await;
    assert_eq!(parse(&log)["items"][0]["status"], "success");
}

async fn a_file_of_events(fleet: Fleet) {
    let file = std::env::temp_dir().join(format!("hookfleet-events-{}", std::process::id()));
    let good = r#"{"type":"a.b","data":1}"#;
    std::fs::write(&file, format!("{good}\n{good}\nnonsense\n{good}\n")).unwrap();
    let path = file.to_str().unwrap();
    let publish = ["event", "publish", "--tenant", "acme", "--ndjson", path, "--output", "json"];
    let (code, out, errors) = fleet.run(&publish).await;
    std::fs::remove_file(&file).unwrap();
    assert_eq!(code, 1, "a line was refused");
    assert_eq!(parse(&out), json!({"accepted": 3, "duplicates": 0, "refused": 1}));
    assert!(errors.contains("line 3: invalid JSON"), "{errors}");
}

async fn exit_codes(fleet: Fleet) {
    let check = async |arguments: &[&str], expected: i32| {
        let (code, out, errors) = fleet.run(arguments).await;
        assert_eq!(code, expected, "{arguments:?}: {out} {errors}");
        if expected != 0 {
            assert_eq!(out, "", "results alone go to stdout");
        }
    };
    check(&["endpoint", "list"], 0).await;
    check(&["endpoint", "create", "--to", "ftp://a.example"], 2).await;
    check(&["event", "publish", "--type", "a.b", "--data", "{"], 2).await;
    check(&["dead", "discard"], 2).await;
    check(&["no-such-command"], 2).await;
    check(&["endpoint", "show", "ep_none"], 3).await;
    check(&["endpoint", "list", "--token", "wrong"], 4).await;
    check(&["endpoint", "list", "--url", "http://127.0.0.1:1"], 5).await;
}

#[tokio::test]
async fn doctor_tells_what_is_missing_and_what_is_well() {
    let mut fleet = Fleet::new(BINARY).await;
    let (code, out, _) = fleet.run(&["doctor"]).await;
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("WRONG  queue hookfleet.dead"), "{out}");
    fleet.start_worker(&[]).await;
    let (code, out, errors) = fleet.run(&["doctor"]).await;
    assert_eq!(code, 0, "{out}{errors}");
    assert!(out.contains("ok     queue hookfleet.delay.19"), "{out}");
}
