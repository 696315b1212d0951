//! Programs as products print them for their users take our deliveries: Express, Flask, PHP, plain Node.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use e2e::fleet::{Fleet, free_port};
use e2e::{SOON, eventually, is_at_hand};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

crate::on_both_backends!(express, flask, php, node);

const PROFILES: [&str; 6] =
    ["standard", "entri", "penr", "content-engine", "auto-blogger", "entro"];

/// Where `tests/receivers/install.sh` puts what it installs.
fn installed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/receivers").join(name)
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("receivers").join(name)
}

async fn express(fleet: Fleet) {
    let ready = installed("express").join(".stamp").exists();
    accepts(&fleet, ready, |_| {
        let mut command = Command::new("node");
        command.arg("server.mjs").current_dir(installed("express"));
        command
    })
    .await;
}

async fn flask(fleet: Fleet) {
    let ready = installed("flask").join(".stamp").exists();
    accepts(&fleet, ready, |_| {
        let mut command = Command::new(installed("flask/bin/python"));
        command.arg(source("flask/app.py"));
        command
    })
    .await;
}

async fn php(fleet: Fleet) {
    accepts(&fleet, is_at_hand("php", "--version").await, |port| {
        let mut command = Command::new("php");
        command.arg("-S").arg(format!("127.0.0.1:{port}")).arg(source("php/index.php"));
        command
    })
    .await;
}

async fn node(fleet: Fleet) {
    accepts(&fleet, is_at_hand("node", "--version").await, |_| {
        let mut command = Command::new("node");
        command.arg(source("node/server.mjs"));
        command
    })
    .await;
}

/// With every profile: a delivery is accepted, and one with another secret is refused. A program that
/// could not be installed is not tried; `make test` installs what it can.
async fn accepts(fleet: &Fleet, ready: bool, program: impl Fn(u16) -> Command) {
    if !ready {
        eprintln!("the receiver is not installed, and not tried: tests/receivers/install.sh");
        return;
    }
    for profile in PROFILES {
        let secret = format!("whsec_{}", BASE64.encode([7; 32]));
        let port = free_port();
        let _running = started(program(port), (port, profile, &secret)).await;
        for (secret, status, expected) in
            [(secret, "delivered", 200), (format!("whsec_{}", BASE64.encode([8; 32])), "dead", 401)]
        {
            let made = delivered(fleet, (port, profile, &secret)).await;
            let met = (&made["status"], &made["last_attempt"]["http_status"]);
            assert_eq!(met, (&json!(status), &json!(expected)), "{profile}: {made}");
        }
    }
}

async fn started(program: Command, (port, profile, secret): (u16, &str, &str)) -> Child {
    let mut program = program;
    program.env("PORT", port.to_string()).env("PROFILE", profile).env("SECRET", secret);
    program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let running = program.spawn().unwrap();
    eventually("the receiver listens", SOON, || async {
        TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop)
    })
    .await;
    running
}

/// Publishes an event to an endpoint of its own, and answers with its delivery.
async fn delivered(fleet: &Fleet, (port, profile, secret): (u16, &str, &str)) -> Value {
    let auth = json!({"type": "header", "token": secret});
    let mut fields = json!({
        "url": format!("http://127.0.0.1:{port}/hook"), "profile": profile,
        "require_https": false, "retry": {"schedule": []},
    });
    let (key, value) = if profile == "entro" { ("auth", auth) } else { ("secret", json!(secret)) };
    fields[key] = value;
    let tenant =
        format!("/v1/tenants/t{port}-{profile}-{}", &secret[6..10].replace(['+', '/'], "_"));
    let (status, endpoint) = fleet.client.post(&format!("{tenant}/endpoints"), &fields).await;
    assert_eq!(status, 201, "{endpoint}");
    let event = json!({"type": "content.published", "data": {"post": {"title": "Käse, naïve"}}});
    let request = fleet.client.request(reqwest::Method::POST, &format!("{tenant}/events"));
    let request = request.header("content-type", "application/json").header("prefer", "wait=30");
    let (status, published) = fleet.client.send(request.body(event.to_string())).await;
    assert_eq!(status, 202, "{published}");
    published["deliveries"][0].clone()
}
