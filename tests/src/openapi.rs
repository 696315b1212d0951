//! The OpenAPI document, as a list of calls.

use serde_json::Value;

use crate::client::Client;

/// One way to call an operation.
#[derive(Debug, Clone)]
pub struct Call {
    /// The operation's id.
    pub operation: String,
    /// Of the request, in capitals.
    pub method: String,
    /// With its parameters in braces.
    pub path: String,
    /// One of the operation's examples; none: it takes no body.
    pub example: Option<Value>,
    /// The statuses that it may answer.
    pub statuses: Vec<u16>,
}

impl Call {
    /// The path with these names in it.
    #[track_caller]
    pub fn path_with(&self, names: &[(&str, &str)]) -> String {
        let mut path = self.path.clone();
        for (name, value) in names {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        assert!(!path.contains('{'), "{path}: what is it to be called with?");
        path
    }

    /// The body's text; empty if there is none.
    pub fn body(&self) -> String {
        self.example.as_ref().map(Value::to_string).unwrap_or_default()
    }
}

/// Every operation of the document that a server shows, with each of its examples. Those that delete
/// come last.
pub async fn calls(client: &Client) -> Vec<Call> {
    let (status, document) = client.get("/openapi.json").await;
    assert_eq!(status, 200);
    let mut calls = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let statuses = operation["responses"].as_object().unwrap().keys();
            let call = Call {
                operation: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase(),
                path: path.clone(),
                example: None,
                statuses: statuses.map(|status| status.parse().unwrap()).collect(),
            };
            if operation.get("requestBody").is_none() {
                calls.push(call);
                continue;
            }
            let examples = examples(operation);
            assert!(!examples.is_empty(), "{} has no example", call.operation);
            let with = |example| Call { example: Some(example), ..call.clone() };
            calls.extend(examples.into_iter().map(with));
        }
    }
    calls.sort_by_key(|call| call.method == "DELETE");
    calls
}

fn examples(operation: &Value) -> Vec<Value> {
    let content = &operation["requestBody"]["content"]["application/json"];
    let several = content["examples"].as_object().into_iter().flat_map(|named| named.values());
    let mut examples: Vec<Value> = several.map(|example| example["value"].clone()).collect();
    examples.extend(content.get("example").cloned());
    examples
}
