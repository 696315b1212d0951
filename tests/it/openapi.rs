//! The OpenAPI document tells the truth: every example works, and a tenant's token goes nowhere on any
//! route that it names.

use std::collections::HashSet;

use e2e::client::{items, text};
use e2e::fleet::Fleet;
use e2e::openapi::{Call, calls};
use e2e::receiver::Receiver;
use e2e::{SOON, eventually};
use reqwest::Method;
use serde_json::{Value, json};

crate::on_both_backends!(every_example_works, a_token_reaches_its_tenant_alone);

/// One of each thing of a tenant.
struct Things {
    tenant: &'static str,
    endpoint: String,
    event: String,
    letter: String,
    job: String,
    token: String,
    /// The text of that token.
    secret: String,
}

impl Things {
    async fn of(fleet: &Fleet, tenant: &'static str) -> Self {
        let failing = Receiver::answering(500).await;
        let path = |rest: &str| format!("/v1/tenants/{tenant}{rest}");
        let post = async |rest: &str, body: Value| {
            let (status, answer) = fleet.client.post(&path(rest), &body).await;
            assert!(matches!(status, 201 | 202), "{rest}: {answer}");
            answer
        };
        let fields = json!({"url": failing.url, "retry": {"schedule": []}});
        let endpoint = text(&post("/endpoints", fields).await, "id");
        let event = text(&post("/events", json!({"type": "a.b", "data": tenant})).await, "id");
        let letters = format!("/v1/dead-letters?tenant={tenant}");
        let letter = eventually("the dead letter", SOON, || async {
            let (_, list) = fleet.client.get(&letters).await;
            items(&list).first().map(|letter| text(letter, "id"))
        })
        .await;
        let recover = format!("/endpoints/{endpoint}/recover");
        let job = text(&post(&recover, json!({"since": "2999-01-01T00:00:00Z"})).await, "job_id");
        let made = post("/tokens", json!({"name": "walker"})).await;
        let (token, secret) = (text(&made, "id"), text(&made, "token"));
        Self { tenant, endpoint, event, letter, job, token, secret }
    }

    fn names(&self) -> [(&str, &str); 6] {
        [
            ("tenant", self.tenant),
            ("endpoint", &self.endpoint),
            ("event", &self.event),
            ("letter", &self.letter),
            ("job", &self.job),
            ("token", &self.token),
        ]
    }

    /// All that is there of it, without what changes by itself.
    async fn seen(&self, fleet: &Fleet) -> Vec<Value> {
        let mut seen = Vec::new();
        for path in
            ["endpoints", "tokens"].map(|kind| format!("/v1/tenants/{}/{kind}", self.tenant))
        {
            let mut things = items(&fleet.client.get(&path).await.1);
            for thing in &mut things {
                thing["last_used_at"] = Value::Null;
            }
            seen.extend(things);
        }
        let event = format!("/v1/tenants/{}/events/{}", self.tenant, self.event);
        seen.push(fleet.client.get(&event).await.1);
        let letters = format!("/v1/dead-letters?tenant={}", self.tenant);
        seen.extend(items(&fleet.client.get(&letters).await.1));
        seen
    }
}

/// Calls with a token: status and answer.
async fn call(fleet: &Fleet, token: &str, call: &Call, path: &str) -> (u16, Value) {
    let method: Method = call.method.parse().unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.request(method, format!("{}{path}", fleet.client.url)).bearer_auth(token);
    let request = request.header("content-type", "application/json").body(call.body());
    fleet.client.send(request).await
}

async fn every_example_works(fleet: Fleet) {
    let acme = Things::of(&fleet, "acme").await;
    let mut operations = HashSet::new();
    for example in calls(&fleet.client).await {
        let path = example.path_with(&acme.names());
        let (status, answer) = call(&fleet, e2e::fleet::ADMIN_TOKEN, &example, &path).await;
        assert!((200..300).contains(&status), "{example:?}: {status} {answer}");
        assert!(example.statuses.contains(&status), "{example:?}: {status} is not documented");
        operations.insert(example.operation);
    }
    assert!(operations.len() >= 22, "{operations:?}");
}

async fn a_token_reaches_its_tenant_alone(fleet: Fleet) {
    let (acme, other) = (Things::of(&fleet, "acme").await, Things::of(&fleet, "other").await);
    let reader = json!({"access": "read"});
    let (_, reader) = fleet.client.post("/v1/tenants/acme/tokens", &reader).await;
    let reader = text(&reader, "token");
    let before = other.seen(&fleet).await;
    for example in calls(&fleet.client).await {
        nothing_of_another(&fleet, &example, (&acme, &other)).await;
        if example.method != "GET" {
            let path = example.path_with(&acme.names());
            let (status, answer) = call(&fleet, &reader, &example, &path).await;
            assert_eq!(status, 403, "a reader changes nothing: {example:?}: {answer}");
        }
    }
    assert_eq!(other.seen(&fleet).await, before, "nothing of the other's has changed");
}

/// However the operation is called, the token of `acme` reaches nothing of the other's.
async fn nothing_of_another(fleet: &Fleet, example: &Call, (acme, other): (&Things, &Things)) {
    let expect = async |path: &str, expected: u16| {
        let (status, answer) = call(fleet, &acme.secret, example, path).await;
        assert_eq!(status, expected, "{path} of {example:?}: {answer}");
        answer
    };
    let path = example.path_with(&other.names());
    if example.path.contains("{tenant}") {
        expect(&path, 403).await;
        // Its own tenant, and the names of the other's things.
        let own = path.replace("/tenants/other", "/tenants/acme");
        if example.path.matches('{').count() > 1 {
            expect(&own, 404).await;
        }
        return;
    }
    if path != example.path {
        expect(&path, 404).await;
        return;
    }
    match example.operation.as_str() {
        "list_dead_letters" => {
            expect("/v1/dead-letters?tenant=other", 403).await;
            let own = expect("/v1/dead-letters", 200).await;
            assert!(!items(&own).is_empty());
            assert!(items(&own).iter().all(|letter| letter["tenant"] == "acme"), "{own}");
        }
        "replay_dead_letters" | "discard_dead_letters" => {
            let filter = |filter: Value| Call {
                example: Some(json!({"filter": filter, "dry_run": true})),
                ..example.clone()
            };
            let theirs = filter(json!({"tenant": "other"}));
            assert_eq!(call(fleet, &acme.secret, &theirs, &path).await.0, 403);
            let by_id = filter(json!({"ids": [other.letter]}));
            let (_, asked) = call(fleet, &acme.secret, &by_id, &path).await;
            assert_eq!(asked["matched"], 0, "{asked}");
        }
        "list_jobs" => {
            let own = expect("/v1/jobs", 200).await;
            assert!(!items(&own).is_empty());
            assert!(items(&own).iter().all(|job| job["tenant"] == "acme"), "{own}");
        }
        "reindex_dead_letters"
        | "show_stats"
        | "show_worst_endpoints"
        | "show_system"
        | "list_tenants" => {
            expect(&path, 403).await;
        }
        unknown => panic!("{unknown} is of no tenant: what may a tenant's token do with it?"),
    }
}
