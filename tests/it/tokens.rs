//! Tokens of tenants: what they reach, and what they never touch.

use e2e::client::{items, text};
use e2e::fleet::Fleet;
use e2e::receiver::Receiver;
use e2e::{SOON, eventually};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

crate::on_both_backends!(
    a_token_is_used_and_revoked,
    a_reader_changes_nothing,
    tokens_on_the_command_line,
);

const TOKENS: &str = "/v1/tenants/acme/tokens";

/// Makes a token of `acme`: its text and its id.
async fn token(fleet: &Fleet, fields: &Value) -> (String, String) {
    let (status, token) = fleet.client.post(TOKENS, fields).await;
    assert_eq!(status, 201, "{token}");
    (text(&token, "token"), text(&token, "id"))
}

/// Calls with a token: status and answer.
async fn call(
    fleet: &Fleet,
    token: &str,
    (method, path, body): (&str, &str, &str),
) -> (u16, Value) {
    let method: Method = method.parse().unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.request(method, format!("{}{path}", fleet.client.url)).bearer_auth(token);
    let request = request.header("content-type", "application/json").body(body.to_owned());
    fleet.client.send(request).await
}

const EVENT: &str = r#"{"type":"test.event","data":1}"#;

async fn a_token_is_used_and_revoked(fleet: Fleet) {
    let failing = Receiver::answering(500).await;
    for tenant in ["acme", "other"] {
        let path = format!("/v1/tenants/{tenant}");
        let fields = json!({"url": failing.url, "retry": {"schedule": []}});
        fleet.client.post(&format!("{path}/endpoints"), &fields).await;
        let event: Value = serde_json::from_str(EVENT).unwrap();
        fleet.client.post(&format!("{path}/events"), &event).await;
    }
    fleet.client.dead_letters(2).await;
    let (token, id) = token(&fleet, &json!({"name": "publisher"})).await;
    let (status, _) = call(&fleet, &token, ("POST", "/v1/tenants/acme/events", EVENT)).await;
    assert_eq!(status, 202);
    let discard = ("POST", "/v1/dead-letters/discard", r#"{"filter":{}}"#);
    let (_, job) = call(&fleet, &token, discard).await;
    let path = format!("/v1/jobs/{}", text(&job, "job_id"));
    let done = eventually("the discard ends", SOON, || async {
        let (_, job) = call(&fleet, &token, ("GET", &path, "")).await;
        (job["state"] == "done").then_some(job)
    })
    .await;
    assert_eq!(done["created_by"], format!("token {id}"));
    let (_, left) = fleet.client.get("/v1/dead-letters?tenant=other").await;
    assert_eq!(items(&left).len(), 1, "the other tenant's stays");

    let (_, list) = fleet.client.get(TOKENS).await;
    assert!(items(&list)[0]["last_used_at"].is_string(), "{list}");
    assert!(!list.to_string().contains(&token), "shown once");
    assert_eq!(fleet.client.delete(&format!("{TOKENS}/{id}")).await.0, 204);
    eventually("the token is revoked", SOON, || async {
        let (status, _) = call(&fleet, &token, ("GET", "/v1/tenants/acme/endpoints", "")).await;
        (status == 401).then_some(())
    })
    .await;
}

async fn a_reader_changes_nothing(fleet: Fleet) {
    let (token, _) = token(&fleet, &json!({"access": "read"})).await;
    let (status, _) = call(&fleet, &token, ("GET", "/v1/tenants/acme/endpoints", "")).await;
    assert_eq!(status, 200);
    let (status, problem) = call(&fleet, &token, ("POST", "/v1/tenants/acme/events", EVENT)).await;
    assert_eq!(status, 403, "{problem}");
    let (status, _) = call(&fleet, &token, ("POST", TOKENS, "{}")).await;
    assert_eq!(status, 403, "no token makes a stronger one");
}

/// Neither backend knows of it.
#[tokio::test]
async fn a_token_that_asks_for_too_much_is_told_to_wait() {
    let fleet = Fleet::alone(crate::BINARY);
    let listen = fleet.client.url.trim_start_matches("http://").to_owned();
    let server = fleet.spawn(&["serve", "--listen", &listen, "--token-rate-limit", "2/h"]);
    server.ready().await;
    let (token, _) = token(&fleet, &json!({})).await;
    let mut answers = Vec::new();
    for _ in 0..3 {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.get(format!("{}/v1/tenants/acme/endpoints", fleet.client.url));
        let answer = request.bearer_auth(&token).send().await.unwrap();
        let header = |name: &str| {
            let value = answer.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        let [left, policy, after] = ["ratelimit", "ratelimit-policy", "retry-after"].map(header);
        answers.push((answer.status().as_u16(), left, policy, after.is_some()));
    }
    let told = |left: &str| Some(format!("\"token\";r={left};t=1"));
    let policy = Some("\"token\";q=2;w=3600".to_owned());
    assert_eq!(answers[0], (200, told("1"), policy.clone(), false));
    assert_eq!(answers[1], (200, told("0"), policy, false));
    assert_eq!(answers[2], (429, None, None, true));
    for _ in 0..5 {
        assert_eq!(fleet.client.get(TOKENS).await.0, 200, "the operator is not slowed down");
    }
}

/// One answer to a token: status, what it says, and whether its headers are those of all answers.
async fn shown(http: &reqwest::Client, url: &str, authorization: &str) -> (u16, String) {
    let request = http.get(format!("{url}/v1/tenants/acme/endpoints"));
    let answer = request.header("authorization", authorization).send().await.unwrap();
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ] {
        assert_eq!(answer.headers()[name], value);
    }
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn wrong_tokens_tell_nothing_and_are_limited() {
    let fleet = Fleet::embedded(crate::BINARY).await;
    let [(good, _), (revoked, id)] =
        [token(&fleet, &json!({})).await, token(&fleet, &json!({})).await];
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let shown = async |token: &str| shown(&http, &fleet.client.url, token).await;
    assert_eq!(shown(&format!("Bearer {good}")).await.0, 200);
    assert_eq!(fleet.client.delete(&format!("{TOKENS}/{id}")).await.0, 204);

    let unknown = shown("Bearer tok_unknown").await;
    assert_eq!(unknown.0, 401);
    for other in [&format!("Bearer {revoked}"), &good, "Basic YTpi", "Bearer ", "", "Bearer é"] {
        assert_eq!(shown(other).await, unknown, "{other}");
    }
    let address = "/v1/tenants/acme/endpoints?token=";
    let by_query = http.get(format!("{}{address}{good}", fleet.client.url)).send().await.unwrap();
    assert_eq!(by_query.status(), 401, "a token in a URL is none");

    let guesses =
        (0..300).map(|n| http.get(format!("{}{address}", fleet.client.url)).bearer_auth(n));
    join_all(guesses.map(reqwest::RequestBuilder::send)).await;
    assert_eq!(shown("Bearer another-guess").await.0, 429);
    let (status, _) = shown(&format!("Bearer {good}")).await;
    assert_eq!(status, 200, "who was here before is not refused for others");
    assert_eq!(fleet.client.get(TOKENS).await.0, 200);
}

async fn tokens_on_the_command_line(fleet: Fleet) {
    let create = ["token", "create", "--tenant", "acme", "--name", "ci", "--output", "json"];
    let (code, out, errors) = fleet.run(&create).await;
    assert_eq!(code, 0, "{errors}");
    let made: Value = serde_json::from_str(&out).unwrap();
    let token = text(&made, "token");
    let list = ["endpoint", "list", "--tenant", "acme", "--token", &token];
    assert_eq!(fleet.run(&list).await.0, 0);
    let other = ["endpoint", "list", "--tenant", "other", "--token", &token];
    assert_eq!(fleet.run(&other).await.0, 4);
    let revoke = ["token", "revoke", "--tenant", "acme", &text(&made, "id")];
    assert_eq!(fleet.run(&revoke).await.0, 0);
    assert_eq!(fleet.run(&revoke).await.0, 3);
    let (_, out, _) = fleet.run(&["token", "list", "--tenant", "acme", "--output", "json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["items"], json!([]));
}
