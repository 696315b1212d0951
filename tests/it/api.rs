//! The HTTP API: what it takes, and what it refuses.

use e2e::client::{items, text};
use e2e::fleet::Fleet;
use e2e::receiver::Receiver;
use e2e::{SOON, eventually};
use futures_util::future::join_all;
use serde_json::{Value, json};

crate::on_both_backends!(
    bad_input_is_refused_and_changes_nothing,
    one_key_is_one_event,
    one_bad_line_refuses_itself_alone,
    a_change_may_be_meant_for_one_revision_alone,
    a_resend_that_is_asked_for_twice_with_one_key_goes_out_once,
    a_publisher_may_wait_for_the_answers,
    what_is_created_twice_with_one_key_is_created_once,
    an_endpoint_from_creation_to_deletion
);

/// A body that is refused: where, with which status, and what the answer says.
type Refusal = (&'static str, &'static str, u16, &'static str);

const EVENTS: &str = "/v1/tenants/acme/events";
const ENDPOINTS: &str = "/v1/tenants/acme/endpoints";

const REFUSED: [Refusal; 16] = [
    (EVENTS, "{", 400, "invalid JSON"),
    (EVENTS, r#"{"type":"a.b"}"#, 422, "missing field `data`"),
    (EVENTS, r#"{"type":"a.b","data":1,"x":1}"#, 422, "unknown field `x`"),
    (EVENTS, r#"{"type":"a..b","data":1}"#, 422, "event type \"a..b\" is invalid"),
    (EVENTS, r#"{"type":5,"data":1}"#, 422, "invalid type"),
    (EVENTS, r#"{"type":"a.b","data":1,"timestamp":"now"}"#, 422, "time \"now\""),
    ("/v1/nothing", "{}", 404, "nothing at /v1/nothing"),
    (ENDPOINTS, "{}", 422, "url is missing"),
    (ENDPOINTS, r#"{"url":"ftp://a.example"}"#, 422, "scheme"),
    (ENDPOINTS, r#"{"url":"https://a.example","profile":"x"}"#, 422, "unknown variant"),
    (ENDPOINTS, r#"{"url":"https://a.example","timeout":"5"}"#, 422, "duration"),
    (ENDPOINTS, r#"{"url":"https://a.example","secret":"short"}"#, 409, "whsec_"),
    (ENDPOINTS, r#"{"url":"http://127.0.0.1:1/","profile":"entro"}"#, 409, "not reachable"),
    (ENDPOINTS, r#"{"url":"http://0xa9fea9fe/"}"#, 403, "169.254.169.254 is not public"),
    ("/v1/tenants/a.b/events", r#"{"type":"a.b","data":1}"#, 404, "tenant \"a.b\" is invalid"),
    ("/v1/dead-letters/replay", "{}", 422, "missing field `filter`"),
];

async fn check_refusal(fleet: &Fleet, (path, body, status, why): (&str, &str, u16, &str)) {
    let request = fleet.client.request(reqwest::Method::POST, path);
    let request = request.header("content-type", "application/json").body(body.to_owned());
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status().as_u16(), status, "{path} {body:.80}");
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert!(text(&problem, "detail").contains(why), "{problem}");
}

async fn bad_input_is_refused_and_changes_nothing(fleet: Fleet) {
    for refusal in REFUSED {
        check_refusal(&fleet, refusal).await;
    }
    let deep = format!(r#"{{"type":"a.b","data":{}{}}}"#, "[".repeat(500), "]".repeat(500));
    check_refusal(&fleet, (EVENTS, &deep, 422, "500 levels deep")).await;
    let large = format!(r#"{{"type":"a.b","data":"{}"}}"#, "x".repeat(2 * 1024 * 1024));
    check_refusal(&fleet, (EVENTS, &large, 413, "")).await;
    let (_, list) = fleet.client.get(ENDPOINTS).await;
    assert_eq!(items(&list), Vec::<Value>::new(), "nothing was stored");
    assert_eq!(fleet.client.get("/v1/tenants/acme/events/none").await.0, 404);
    let anonymous = reqwest::get(format!("{}{ENDPOINTS}", fleet.client.url)).await.unwrap();
    assert_eq!(anonymous.status(), 401);
    let live = reqwest::get(format!("{}/healthz", fleet.client.url)).await.unwrap();
    assert_eq!(live.status(), 200);
}

async fn one_key_is_one_event(fleet: Fleet) {
    let receiver = Receiver::answering(200).await;
    fleet.client.endpoint(&json!({"url": receiver.url})).await;
    let publish = || async {
        let request = fleet.client.request(reqwest::Method::POST, "/v1/tenants/acme/events");
        let request = request.header("content-type", "application/json");
        let request = request.header("idempotency-key", "key-1");
        fleet.client.send(request.body(r#"{"type":"a.b","data":1}"#)).await
    };
    let answers = join_all((0..20).map(|_| publish())).await;
    let first = answers.iter().filter(|(status, _)| *status == 202).count();
    assert_eq!(first, 1, "{answers:?}");
    let again = answers.iter().filter(|(status, body)| *status == 200 && body["duplicate"] == true);
    assert_eq!(again.count(), 19);
    let id = text(&answers[0].1, "id");
    assert!(answers.iter().all(|(_, body)| body["id"] == id));
    let path = format!("/v1/tenants/acme/events/{id}");
    eventually("it is delivered", SOON, || async {
        let (_, event) = fleet.client.get(&path).await;
        (event["deliveries"][0]["status"] == "delivered").then_some(())
    })
    .await;
    assert_eq!(receiver.requests().len(), 1);
}

async fn one_bad_line_refuses_itself_alone(fleet: Fleet) {
    let body = concat!(
        r#"{"type":"a.b","data":1,"idempotency_key":"k"}"#,
        "\n{\n",
        r#"{"type":"a.b","data":2,"idempotency_key":"k"}"#,
        "\n",
        r#"{"type":"a.b"}"#,
        "\n"
    );
    let answers = fleet.client.batch_lines(body).await;
    assert_eq!(answers[1]["error"]["status"], 400);
    assert_eq!(answers[3]["error"]["status"], 422);
    assert_eq!(answers[0]["id"], answers[2]["id"]);
    let array = json!([{"type": "a.b", "data": 1}]);
    let (status, answers) = fleet.client.post("/v1/tenants/acme/events/batch", &array).await;
    assert_eq!((status, &answers[0]["duplicate"]), (200, &json!(false)));
}

async fn what_is_created_twice_with_one_key_is_created_once(fleet: Fleet) {
    let create = async |path: &str, body: &str, key: &str| {
        let request = fleet.client.request(reqwest::Method::POST, path);
        let request = request.header("content-type", "application/json");
        fleet.client.send(request.header("idempotency-key", key).body(body.to_owned())).await
    };
    let tokens = "/v1/tenants/acme/tokens";
    for (path, body, shown_once, id) in [
        (ENDPOINTS, r#"{"url":"http://127.0.0.1:1/"}"#, "secret", "id"),
        (tokens, "{}", "token", "id"),
        ("/v1/dead-letters/discard", r#"{"filter":{"tenant":"acme"}}"#, "", "job_id"),
    ] {
        let (status, first) = create(path, body, "key-1").await;
        assert!(status == 201 || status == 202, "{path}: {first}");
        let (status, again) = create(path, body, "key-1").await;
        assert_eq!((status, &again[id]), (200, &first[id]), "{path}");
        assert_eq!(again.get(shown_once), None, "{path}: what is shown once is not shown again");
        let (_, other) = create(path, body, "key-2").await;
        assert_ne!(other[id], first[id], "{path}");
        assert_eq!(create(path, body, "two words").await.0, 422, "{path}");
    }
    assert_eq!(items(&fleet.client.get(ENDPOINTS).await.1).len(), 2);
    assert_eq!(items(&fleet.client.get(tokens).await.1).len(), 2);
}

async fn a_resend_that_is_asked_for_twice_with_one_key_goes_out_once(fleet: Fleet) {
    let receiver = Receiver::answering(200).await;
    fleet.client.endpoint(&json!({"url": receiver.url})).await;
    let (first, second) =
        (fleet.client.event(&json!(1)).await, fleet.client.event(&json!(2)).await);
    receiver.wait_for(2, SOON).await;
    let resend = async |id: &str| {
        let path = format!("/v1/tenants/acme/events/{id}/resend");
        let request = fleet.client.request(reqwest::Method::POST, &path);
        fleet.client.send(request.header("idempotency-key", "key-1")).await
    };
    let (status, asked) = resend(&first).await;
    assert_eq!(status, 202, "{asked}");
    assert_eq!(resend(&first).await, (200, asked));
    assert_eq!(resend(&second).await.0, 409, "the key is taken");
    receiver.wait_for(3, SOON).await;
    // Whatever else was asked for would come before this one.
    fleet.client.event(&json!(3)).await;
    assert_eq!(receiver.wait_for(4, SOON).await.len(), 4);
}

async fn a_publisher_may_wait_for_the_answers(fleet: Fleet) {
    let failing = Receiver::answering(503).await;
    let working = Receiver::answering(200).await;
    for receiver in [&failing, &working] {
        fleet.client.endpoint(&json!({"url": receiver.url, "retry": {"schedule": ["1h"]}})).await;
    }
    let publish = ["event", "publish", "--tenant", "acme", "--type", "a.b", "--data", "1"];
    let wait = ["--wait", "30", "--output", "json"];
    let (code, out, errors) = fleet.run(&[&publish[..], &wait].concat()).await;
    assert_eq!(code, 0, "{errors}");
    let published: Value = serde_json::from_str(&out).unwrap();
    let mut met: Vec<_> = published["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|to| (text(to, "status"), to["last_attempt"].clone()))
        .collect();
    met.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert_eq!((met[0].0.as_str(), met[1].0.as_str()), ("delivered", "retrying"));
    assert_eq!(met[0].1["response_body"], "ok");
    assert_eq!(met[1].1["http_status"], 503);

    let event = json!({"type": "a.b", "data": 1});
    let request = fleet.client.request(reqwest::Method::POST, "/v1/tenants/nobody/events");
    let request = request.header("content-type", "application/json").header("prefer", "wait=30");
    let answer = request.body(event.to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.headers()["preference-applied"], "wait");
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(answer["deliveries"], json!([]), "nobody is waited for");
}

async fn a_change_may_be_meant_for_one_revision_alone(fleet: Fleet) {
    let endpoint = fleet.client.endpoint(&json!({"url": "http://127.0.0.1:1/"})).await;
    let path = format!("{ENDPOINTS}/{}", text(&endpoint, "id"));
    let answer = fleet.client.request(reqwest::Method::GET, &path).send().await.unwrap();
    let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
    let change = async |name: &str, tag: &str| {
        let request = fleet.client.request(reqwest::Method::PATCH, &path);
        let request = request.header("content-type", "application/json").header("if-match", tag);
        fleet.client.send(request.body(json!({"name": name}).to_string())).await
    };
    assert_eq!(change("first", &tag).await.0, 200);
    let (status, problem) = change("second", &tag).await;
    assert_eq!(status, 412, "{problem}");
    let delete = fleet.client.request(reqwest::Method::DELETE, &path).header("if-match", &tag);
    assert_eq!(fleet.client.send(delete).await.0, 412);
    let (_, now) = fleet.client.get(&path).await;
    assert_eq!(now["name"], "first");
    assert_eq!(change("third", "*").await.0, 200);
}

async fn an_endpoint_from_creation_to_deletion(fleet: Fleet) {
    let (old, new) = (Receiver::answering(200).await, Receiver::answering(200).await);
    let fields = json!({"url": old.url, "events": ["test.*"], "project": "site"});
    let created = fleet.client.endpoint(&fields).await;
    let path = format!("/v1/tenants/acme/endpoints/{}", text(&created, "id"));
    let (_, shown) = fleet.client.get(&path).await;
    assert_eq!(shown.get("secret"), None, "shown once");
    assert_eq!(shown["has_secret"], true);

    // An event of no project is not the project's; a change takes effect within a second.
    fleet.client.event(&json!(1)).await;
    let (status, changed) =
        fleet.client.patch(&path, &json!({"project": null, "url": new.url})).await;
    assert_eq!((status, &changed["project"]), (200, &Value::Null));
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    fleet.client.event(&json!(2)).await;
    new.wait_for(1, SOON).await;
    assert!(old.requests().is_empty());

    let (status, _) = fleet.client.get("/v1/tenants/other/endpoints").await;
    assert_eq!(status, 200);
    let other = format!("/v1/tenants/other/endpoints/{}", text(&created, "id"));
    assert_eq!(fleet.client.get(&other).await.0, 404, "another tenant's");
    assert_eq!(fleet.client.delete(&path).await.0, 204);
    assert_eq!(fleet.client.get(&path).await.0, 404);
}
