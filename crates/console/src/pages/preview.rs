//! The request that an endpoint would be sent, as its form says it.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hookfleet_domain::TenantId;
use serde_json::json;
use serde_json::value::RawValue;

use super::endpoint_form::patch;
use crate::Console;
use crate::answers::Preview;
use crate::api::{Ask, Refusal};
use crate::fields::{Fields, Form, Query};
use crate::json::pretty_text;
use crate::page::{Section, Shell, render};
use crate::signed_in::SignedIn;

pub fn routes() -> Router<Arc<Console>> {
    Router::new().route("/tenants/{tenant}/preview", post(show))
}

/// The request, or why there would be none.
#[derive(Template)]
#[template(path = "preview.html")]
pub struct Request {
    preview: Option<Preview>,
    body: String,
    error: String,
}

impl Request {
    /// What the API said.
    pub fn of(answer: Result<Preview, Refusal>) -> Self {
        match answer {
            Ok(preview) => {
                let body = pretty_text(&preview.body);
                Self { preview: Some(preview), body, error: String::new() }
            }
            Err(refusal) => Self { preview: None, body: String::new(), error: refusal.detail },
        }
    }
}

#[derive(Template)]
#[template(path = "preview_page.html")]
struct PreviewPage {
    shell: Shell,
    request: Request,
}

/// A part of the form's page, or a page of its own. That a form is not yet what it should be is no
/// error of the page that shows it.
async fn show(
    caller: SignedIn,
    Path(tenant): Path<TenantId>,
    Query(query): Query,
    Form(form): Form,
) -> Response {
    let request = match preview(&caller, &tenant, &form).await {
        Err(refusal) if refusal.status == StatusCode::UNAUTHORIZED => {
            return refusal.into_response();
        }
        answer => Request::of(answer),
    };
    if query.ticked("part") {
        return render(&request);
    }
    let shell = caller.tenant_shell(Section::Endpoints, &tenant, "Preview");
    render(&PreviewPage { shell, request })
}

async fn preview(caller: &SignedIn, tenant: &TenantId, form: &Fields) -> Result<Preview, Refusal> {
    // Tokens are masked in any case: one that the form does not know is none.
    let unknown = form.get("auth_token").is_empty() && !matches!(form.get("auth"), "" | "none");
    let mut form = form.clone();
    if unknown {
        form.set("auth_token", "unchanged");
    }
    let path = format!("/v1/tenants/{tenant}/endpoints/preview");
    let asked = Ask::new(Method::POST, &path).text(body(&form)?);
    Ok(caller.api.ask::<Preview>(asked).await?.value)
}

/// The endpoint and the event, whose data stays as it was typed in.
fn body(form: &Fields) -> Result<String, Refusal> {
    let sample = form.some("sample").unwrap_or("{}");
    let data: &RawValue = serde_json::from_str(sample).map_err(|error| Refusal {
        status: StatusCode::BAD_REQUEST,
        detail: format!("the data of the preview is no JSON: {error}"),
    })?;
    let event_type = json!(form.some("sample_type").unwrap_or("content.published"));
    let endpoint = patch(form, None).to_string();
    let fields = endpoint.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let (fields, data) = (fields.unwrap_or_default(), data.get());
    let comma = if fields.is_empty() { "" } else { "," };
    Ok(format!("{{{fields}{comma}\"event\":{{\"type\":{event_type},\"data\":{data}}}}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_stays_as_it_was_typed_in() {
        let fields = |of: &[(&'static str, &str)]| {
            Fields::of(of.iter().map(|(name, value)| (*name, (*value).to_owned())))
        };
        let form = fields(&[("url", "https://a"), ("sample", "{\"n\": 1.10}")]);
        assert_eq!(
            body(&form).unwrap(),
            r#"{"url":"https://a","event":{"type":"content.published","data":{"n": 1.10}}}"#
        );
        let empty = r#"{"event":{"type":"a.b","data":{}}}"#;
        assert_eq!(body(&fields(&[("sample_type", "a.b")])).unwrap(), empty);
        assert!(body(&fields(&[("sample", "{")])).is_err());
    }
}
