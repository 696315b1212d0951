//! Calls to the HTTP API.

use serde_json::{Value, json};

use crate::fleet::ADMIN_TOKEN;
use crate::{SOON, eventually};

/// An API.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its URL.
    pub url: String,
    http: reqwest::Client,
}

impl Client {
    /// The API at this URL.
    pub fn new(url: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { url: url.to_owned(), http }
    }

    /// A request with the admin token.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(ADMIN_TOKEN)
    }

    /// Sends, and answers status and JSON.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        let value =
            if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
        (status, value)
    }

    /// GET.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.send(self.request(reqwest::Method::GET, path)).await
    }

    /// POST.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send_json(reqwest::Method::POST, path, body).await
    }

    /// PATCH.
    pub async fn patch(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send_json(reqwest::Method::PATCH, path, body).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> (u16, Value) {
        self.send(self.request(reqwest::Method::DELETE, path)).await
    }

    async fn send_json(&self, method: reqwest::Method, path: &str, body: &Value) -> (u16, Value) {
        let request = self.request(method, path).header("content-type", "application/json");
        self.send(request.body(body.to_string())).await
    }

    /// Registers an endpoint, and answers it.
    pub async fn endpoint(&self, fields: &Value) -> Value {
        let (status, endpoint) = self.post("/v1/tenants/acme/endpoints", fields).await;
        assert_eq!(status, 201, "{endpoint}");
        endpoint
    }

    /// Publishes an event of type `test.event`, and answers its id.
    pub async fn event(&self, data: &Value) -> String {
        let event = json!({"type": "test.event", "data": data});
        let (status, published) = self.post("/v1/tenants/acme/events", &event).await;
        assert_eq!(status, 202, "{published}");
        text(&published, "id")
    }

    /// Publishes many events in one batch, and answers their ids.
    pub async fn batch(&self, events: &[Value]) -> Vec<String> {
        let lines: Vec<String> = events
            .iter()
            .map(|data| json!({"type": "test.event", "data": data}).to_string())
            .collect();
        let answers = self.batch_lines(&lines.join("\n")).await;
        answers.iter().map(|answer| text(answer, "id")).collect()
    }

    /// Publishes lines as they are, and answers their answers.
    pub async fn batch_lines(&self, lines: &str) -> Vec<Value> {
        let request = self.request(reqwest::Method::POST, "/v1/tenants/acme/events/batch");
        let answer = request.body(lines.to_owned()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
        let answers = answer.text().await.unwrap();
        answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until so many dead letters are listed, and answers them.
    pub async fn dead_letters(&self, count: usize) -> Vec<Value> {
        eventually(&format!("{count} dead letters"), SOON, || async {
            let (_, list) = self.get("/v1/dead-letters?limit=200").await;
            let letters = items(&list);
            (letters.len() == count).then_some(letters)
        })
        .await
    }

    /// Asks for a pass over the dead letters, and waits for its end.
    pub async fn pass(&self, verb: &str, body: &Value) -> Value {
        let (status, asked) = self.post(&format!("/v1/dead-letters/{verb}"), body).await;
        assert_eq!(status, 202, "{asked}");
        let path = format!("/v1/jobs/{}", text(&asked, "job_id"));
        eventually("the job ends", crate::IN_A_WHILE, || async {
            let (_, job) = self.get(&path).await;
            assert_ne!(job.get("state"), Some(&json!("failed")), "{job}");
            (job.get("state") == Some(&json!("done"))).then_some(job)
        })
        .await
    }
}

/// A field that is a text.
#[track_caller]
pub fn text(value: &Value, field: &str) -> String {
    match value.get(field).and_then(Value::as_str) {
        Some(text) => text.to_owned(),
        None => panic!("no text {field:?} in {value}"),
    }
}

/// The items of a list.
pub fn items(list: &Value) -> Vec<Value> {
    list.get("items").and_then(Value::as_array).cloned().unwrap_or_default()
}
