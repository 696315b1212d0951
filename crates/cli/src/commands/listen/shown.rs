//! How a request and its answer are shown.

use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use super::Request;
use super::forward::Forwarded;
use crate::args::OutputFormat;
use crate::failure::Failure;
use crate::output::{self, Paint};

/// A request, whether its signature verifies, and what became of it.
pub struct Shown<'a> {
    pub request: &'a Request,
    pub signature: &'a str,
    pub forwarded: Option<&'a Forwarded>,
}

impl Shown<'_> {
    /// Prints it, as one JSON object or for people; no status: its sender did not wait for it.
    pub fn print(&self, format: OutputFormat, answered: Option<StatusCode>) -> Result<(), Failure> {
        match format {
            OutputFormat::Json => output::line(&self.json(answered).to_string()),
            OutputFormat::Text => output::line(&self.text(answered)),
        }
    }

    fn json(&self, answered: Option<StatusCode>) -> Value {
        let Request { method, uri, headers, body } = self.request;
        let mut shown = json!({
            "method": method.as_str(),
            "path": uri.to_string(),
            "headers": fields(headers),
            "body": String::from_utf8_lossy(body),
            "signature": self.signature,
            "answered": answered.map(|status| status.as_u16()),
        });
        if let (Some(forwarded), Some(shown)) = (self.forwarded, shown.as_object_mut()) {
            shown.insert("forwarded".to_owned(), forwarded_json(forwarded));
        }
        shown
    }

    fn text(&self, answered: Option<StatusCode>) -> String {
        let Request { method, uri, headers, body } = self.request;
        let title = output::harmless(&format!("{method} {uri}"));
        let mut lines = vec![output::on_stdout(&title, Paint::Head)];
        lines.extend(indented(headers, body));
        if let Some(Forwarded { url, took, answer }) = self.forwarded {
            lines.push(format!("  forwarded to {url}, {} ms", took.as_millis()));
            match answer {
                Ok(answer) => lines.extend(
                    indented(&answer.headers, &answer.body).map(|line| format!("  {line}")),
                ),
                Err(why) => lines.push(format!("    no answer: {why}; is your program running?")),
            }
        }
        let signature = match self.signature {
            "valid" => output::on_stdout("valid", Paint::Good),
            invalid if invalid.starts_with("INVALID") => output::on_stdout(invalid, Paint::Bad),
            other => other.to_owned(),
        };
        let answered = match answered {
            Some(status) if status.is_success() => output::on_stdout(status.as_str(), Paint::Good),
            Some(status) => output::on_stdout(status.as_str(), Paint::Bad),
            None => output::on_stdout("too late, its sender is gone", Paint::Bad),
        };
        lines.push(format!("  signature: {signature}; answered {answered}\n"));
        lines.join("\n")
    }
}

fn forwarded_json(Forwarded { url, took, answer }: &Forwarded) -> Value {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match answer {
        Ok(answer) => json!({
            "url": url,
            "duration_ms": duration_ms,
            "status": answer.status.as_u16(),
            "headers": fields(&answer.headers),
            "body": String::from_utf8_lossy(&answer.body),
        }),
        Err(why) => json!({"url": url, "duration_ms": duration_ms, "error": why}),
    }
}

fn fields(headers: &HeaderMap) -> Map<String, Value> {
    texts(headers).map(|(name, value)| (name, value.into())).collect()
}

fn indented(headers: &HeaderMap, body: &[u8]) -> impl Iterator<Item = String> {
    let lines = texts(headers).map(|(name, value)| format!("{name}: {value}"));
    let body = String::from_utf8_lossy(body).into_owned();
    let lines = lines.chain(std::iter::once(body).filter(|body| !body.is_empty()));
    lines.map(|line| format!("  {}", output::harmless(&line)))
}

fn texts(headers: &HeaderMap) -> impl Iterator<Item = (String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers.iter().map(move |(name, value)| (name.to_string(), text(value.as_bytes())))
}
