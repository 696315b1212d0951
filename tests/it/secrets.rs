//! Secrets: rotated with a grace, tried out, seen once and nowhere else.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use base64::Engine;
use e2e::client::{items, text};
use e2e::fleet::{Fleet, Folder, free_port};
use e2e::receiver::Receiver;
use e2e::{SOON, eventually};
use serde_json::json;
use tokio::process::{Child, Command};

use crate::BINARY;

crate::on_both_backends!(
    a_rotated_secret_signs_beside_the_old_one,
    a_public_key_verifies_and_v1_stays,
    a_test_answers_with_the_attempt,
    a_client_certificate_is_taken_and_given_back,
);

async fn a_rotated_secret_signs_beside_the_old_one(fleet: Fleet) {
    let receiver = Receiver::answering(200).await;
    let endpoint = fleet.client.endpoint(&json!({"url": receiver.url})).await;
    let path = format!("/v1/tenants/acme/endpoints/{}", text(&endpoint, "id"));
    let rotate = format!("{path}/rotate-secret");
    let old = text(&endpoint, "secret");

    let (status, problem) = fleet.client.post(&rotate, &json!({"grace": "31d"})).await;
    assert_eq!(status, 422, "{problem}");
    let (status, rotated) = fleet.client.post(&rotate, &json!({"grace": "1h"})).await;
    assert_eq!(status, 200, "{rotated}");
    let new = text(&rotated, "secret");
    assert_ne!(new, old);
    assert!(rotated["previous_secret_until"].is_string());
    let (_, shown) = fleet.client.get(&path).await;
    assert_eq!(shown.get("secret"), None, "once");

    let attempt = fleet.client.post(&format!("{path}/test"), &json!({})).await.1;
    assert_eq!(attempt["status"], "success", "{attempt}");
    let request = receiver.wait_for(1, SOON).await.remove(0);
    let signatures = request.header("webhook-signature").unwrap();
    assert_eq!(signatures.split(' ').count(), 2, "{signatures}");
    assert!(request.verifies(&new) && request.verifies(&old));

    let given = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let (_, rotated) = fleet.client.post(&rotate, &json!({"secret": given, "grace": "0s"})).await;
    assert_eq!(rotated.get("secret"), None, "a given secret is not repeated");
    fleet.client.post(&format!("{path}/test"), &json!({})).await;
    let request = receiver.wait_for(2, SOON).await.remove(1);
    assert!(request.verifies(given) && !request.verifies(&new), "the old one is over");
}

async fn a_public_key_verifies_and_v1_stays(fleet: Fleet) {
    let receiver = Receiver::answering(200).await;
    let fields = json!({"url": receiver.url, "signature": {"type": "standard_v1a"}});
    let endpoint = fleet.client.endpoint(&fields).await;
    let path = format!("/v1/tenants/acme/endpoints/{}", text(&endpoint, "id"));
    let (secret, public) = (text(&endpoint, "secret"), text(&endpoint, "public_key"));
    assert!(secret.starts_with("whsec_") && !secret.contains("whsk_"), "that one is ours alone");
    fleet.client.post(&format!("{path}/test"), &json!({})).await;
    let request = receiver.wait_for(1, SOON).await.remove(0);
    assert!(request.verifies(&secret) && request.verifies_v1a(&public));

    let rotate = format!("{path}/rotate-secret");
    let (_, rotated) = fleet.client.post(&rotate, &json!({"grace": "1h"})).await;
    let (newer_secret, newer_public) = (text(&rotated, "secret"), text(&rotated, "public_key"));
    assert_ne!(newer_public, public);
    let (_, shown) = fleet.client.get(&path).await;
    assert_eq!((shown.get("secret"), text(&shown, "public_key")), (None, newer_public.clone()));
    fleet.client.post(&format!("{path}/test"), &json!({})).await;
    let request = receiver.wait_for(2, SOON).await.remove(1);
    let entries = request.header("webhook-signature").unwrap().split(' ');
    let versions: Vec<_> = entries.map(|entry| entry.split_once(',').unwrap().0).collect();
    assert_eq!(versions, ["v1a", "v1a", "v1", "v1"], "the last one is a v1");
    assert!(request.verifies(&secret) && request.verifies(&newer_secret));
    assert!(request.verifies_v1a(&public) && request.verifies_v1a(&newer_public));

    // One that begins without it gets it, and loses it again.
    let plain = fleet.client.endpoint(&json!({"url": receiver.url})).await;
    let path = format!("/v1/tenants/acme/endpoints/{}", text(&plain, "id"));
    assert_eq!(plain["public_key"], json!(null));
    for (signature, has_key) in [("standard_v1a", true), ("standard", false)] {
        let change = json!({"signature": {"type": signature}});
        let (status, changed) = fleet.client.patch(&path, &change).await;
        assert_eq!((status, changed["public_key"].is_string()), (200, has_key), "{changed}");
    }
}

async fn a_test_answers_with_the_attempt(fleet: Fleet) {
    let receiver = Receiver::answering(503).await;
    let fields = json!({"url": receiver.url, "active": false, "events": ["other.*"]});
    let endpoint = text(&fleet.client.endpoint(&fields).await, "id");
    let path = format!("/v1/tenants/acme/endpoints/{endpoint}");
    let (status, attempt) = fleet.client.post(&format!("{path}/test"), &json!({})).await;
    assert_eq!(status, 200);
    let expected = (&json!("failure"), &json!(503), &json!("webhook.test"), &json!("ok"));
    let made = (
        &attempt["status"],
        &attempt["http_status"],
        &attempt["event_type"],
        &attempt["response_body"],
    );
    assert_eq!(made, expected);
    let request = receiver.wait_for(1, SOON).await.remove(0);
    assert!(request.text().contains("webhook.test"));
    let (_, shown) = fleet.client.get(&path).await;
    assert_eq!(shown["failureCount"], 0, "a test is not counted");
    let (_, attempts) = fleet.client.get(&format!("{path}/attempts")).await;
    assert!(items(&attempts).is_empty());

    let test = ["endpoint", "test", "--tenant", "acme", &endpoint, "--output", "json"];
    let (code, out, _) = fleet.run(&test).await;
    assert_eq!(code, 1, "{out}");
    let rotate = ["endpoint", "rotate-secret", "--tenant", "acme", &endpoint];
    let (code, out, errors) = fleet.run(&rotate).await;
    assert_eq!(code, 0, "{errors}");
    assert!(out.contains("secret: whsec_"), "{out}");
    assert_eq!(fleet.client.post("/v1/tenants/acme/endpoints/ep_no/test", &json!({})).await.0, 404);
}

/// A self-signed certificate and its key, as PEM.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["client.example".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

async fn a_client_certificate_is_taken_and_given_back(fleet: Fleet) {
    let ((certificate, key), (_, other)) = (certificate(), certificate());
    let endpoints = "/v1/tenants/acme/endpoints";
    let pair = |key: &str| json!({"certificate": certificate, "key": key});
    let fields = json!({"url": "https://a.example", "client_certificate": pair(&other)});
    let (status, problem) = fleet.client.post(endpoints, &fields).await;
    assert_eq!(status, 409, "{problem}");
    assert!(text(&problem, "detail").contains("its own private key"), "{problem}");

    let fields = json!({"url": "https://a.example", "client_certificate": pair(&key)});
    let endpoint = fleet.client.endpoint(&fields).await;
    assert_eq!(endpoint["has_client_certificate"], true);
    assert!(!endpoint.to_string().contains("BEGIN"), "not even in the first answer");
    let path = format!("{endpoints}/{}", text(&endpoint, "id"));
    for (patch, expected) in [
        (json!({"name": "stays"}), true),
        (json!({"client_certificate": null}), false),
        (json!({"client_certificate": pair(&key)}), true),
    ] {
        let (status, changed) = fleet.client.patch(&path, &patch).await;
        assert_eq!((status, &changed["has_client_certificate"]), (200, &json!(expected)));
    }
}

#[tokio::test]
async fn they_lie_nowhere_in_redis() {
    let fleet = Fleet::new(BINARY).await;
    let (needles, mut heaps) = lived_through(&fleet).await;
    let mut redis = fleet.services().unwrap().redis().await;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut redis).await.unwrap();
    assert!(!keys.is_empty());
    for key in keys {
        let dump: Vec<u8> =
            redis::cmd("DUMP").arg(&key).query_async(&mut redis).await.unwrap_or_default();
        heaps.push((key, dump));
    }
    search(&needles, &heaps);
}

#[tokio::test]
async fn they_lie_nowhere_in_sqlite() {
    let fleet = Fleet::alone(BINARY);
    let (needles, mut heaps) = lived_through(&fleet).await;
    let files = std::fs::read_dir(fleet.data_folder().unwrap()).unwrap();
    for file in files.map(|file| file.unwrap().path()) {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} is for its owner alone", file.display());
        heaps.push((file.display().to_string(), std::fs::read(&file).unwrap()));
    }
    assert!(heaps.iter().any(|(name, bytes)| name.ends_with("hookfleet.db") && !bytes.is_empty()));
    search(&needles, &heaps);
}

/// Something to be searched: its name and its bytes.
type Heap = (String, Vec<u8>);

/// Secrets are made, used, rotated and restarted with: what they are, then what was logged, and what
/// the API answered after it showed them.
async fn lived_through(fleet: &Fleet) -> (Vec<Vec<u8>>, Vec<Heap>) {
    let (receiver, logs) = (Receiver::answering(200).await, Folder::new());
    let log = logs.path().join("log");
    let mut server = serve(fleet, &log).await;
    let auth = json!({"type": "header", "name": "X-API-Key", "token": "hush-hush-token"});
    let fields = json!({"url": receiver.url, "auth": auth});
    let endpoint = fleet.client.endpoint(&fields).await;
    let (certificate, key) = certificate();
    let pair = json!({"certificate": certificate, "key": key});
    let inactive = json!({"url": "https://a.example", "active": false, "client_certificate": pair});
    fleet.client.endpoint(&inactive).await;
    let path = format!("/v1/tenants/acme/endpoints/{}", text(&endpoint, "id"));
    let (_, token) = fleet.client.post("/v1/tenants/acme/tokens", &json!({})).await;
    let token = text(&token, "token");
    fleet.client.event(&json!(1)).await;
    receiver.wait_for(1, SOON).await;
    let (_, rotated) = fleet.client.post(&format!("{path}/rotate-secret"), &json!({})).await;
    let secrets = [text(&endpoint, "secret"), text(&rotated, "secret")];
    let id = server.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    assert!(server.wait().await.unwrap().success());

    let _server = serve(fleet, &log).await;
    let list = ["endpoint", "list", "--tenant", "acme", "--token", &token, "--output", "json"];
    let (code, mut answers, errors) = fleet.run(&list).await;
    assert_eq!(code, 0, "{errors}");
    for call in [path.clone(), format!("{path}/attempts"), "/v1/tenants/acme/tokens".to_owned()] {
        answers.push_str(&fleet.client.get(&call).await.1.to_string());
    }
    answers.push_str(&fleet.client.post(&format!("{path}/test"), &json!({})).await.1.to_string());
    let bad = json!({"secret": secrets[0], "auth": {"type": "header", "token": token, "x": 1}});
    let (status, refused) = fleet.client.patch(&path, &bad).await;
    assert_eq!(status, 422);
    answers.push_str(&refused.to_string());

    let keys = secrets.iter().map(|secret| {
        let key = secret.strip_prefix("whsec_").unwrap();
        base64::engine::general_purpose::STANDARD.decode(key).unwrap()
    });
    let mut needles: Vec<Vec<u8>> = keys.collect();
    let texts = [&secrets[0][6..], &secrets[1][6..], "hush-hush-token", token.as_str()];
    needles.extend(texts.map(|text| text.as_bytes().to_vec()));
    needles.extend([&certificate, &key].map(|pem| pem.lines().nth(1).unwrap().as_bytes().to_vec()));
    let logged = std::fs::read(&log).unwrap();
    assert!(String::from_utf8_lossy(&logged).contains("delivered in"), "logged at debug level");
    (needles, vec![("the log".to_owned(), logged), ("the API".to_owned(), answers.into_bytes())])
}

/// A server that logs everything.
async fn serve(fleet: &Fleet, log: &Path) -> Child {
    let listen = fleet.client.url.trim_start_matches("http://").to_owned();
    let metrics = format!("127.0.0.1:{}", free_port());
    let arguments = ["serve", "--listen", &listen, "--metrics-listen", &metrics, "--log", "debug"];
    let log = File::options().create(true).append(true).open(log).unwrap();
    let mut command = fleet.command(&arguments);
    let server = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    eventually("the server is ready", SOON, || async {
        let answer = reqwest::get(format!("http://{metrics}/readyz")).await;
        answer.is_ok_and(|answer| answer.status() == 200).then_some(())
    })
    .await;
    server
}

fn search(needles: &[Vec<u8>], heaps: &[Heap]) {
    for (name, bytes) in heaps {
        for needle in needles {
            let found = bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "{name} holds {}", String::from_utf8_lossy(needle));
        }
    }
}
