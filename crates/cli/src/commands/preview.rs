//! `hookfleet endpoint preview`

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::endpoint::{body, given};
use super::event::read_data;
use crate::args::{EndpointFields, OutputFormat, PreviewArgs};
use crate::client::Client;
use crate::failure::Failure;
use crate::output;

/// Shows the request.
pub async fn show(client: &Client, arguments: PreviewArgs) -> Result<(), Failure> {
    let PreviewArgs { tenant, id, event, fields, event_type, data } = arguments;
    let path = format!("/v1/tenants/{}/endpoints", tenant.tenant);
    let request = if let Some(id) = id {
        client.get(&format!("{path}/{id}/preview"), &given([("event", event)])).await?
    } else {
        let body = preview_body(*fields, event_type, data)?;
        client.publish(&format!("{path}/preview"), body, &[]).await?
    };
    print(client, &request)
}

/// A request as it goes over the wire.
fn print(client: &Client, request: &Value) -> Result<(), Failure> {
    if client.output == OutputFormat::Json {
        return output::answer(client.output, request);
    }
    let text = |value: &Value, name: &str| {
        value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    output::line(&format!("{} {}", text(request, "method"), text(request, "url")))?;
    for header in request.get("headers").and_then(Value::as_array).into_iter().flatten() {
        output::line(&format!("{}: {}", text(header, "name"), text(header, "value")))?;
    }
    output::line(&format!("\n{}", text(request, "body")))
}

/// What a preview is asked for with; `data` goes out byte for byte as it came in.
#[derive(Serialize)]
struct PreviewBody {
    #[serde(flatten)]
    fields: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<SampleEvent>,
}

#[derive(Serialize)]
struct SampleEvent {
    #[serde(rename = "type")]
    event_type: String,
    data: Box<RawValue>,
}

fn preview_body(
    fields: EndpointFields,
    event_type: Option<String>,
    data: Option<String>,
) -> Result<String, Failure> {
    let event = match (event_type, data) {
        (Some(event_type), Some(data)) => Some(SampleEvent { event_type, data: read_data(&data)? }),
        (None, _) | (_, None) => None,
    };
    let preview = PreviewBody { fields: body(fields)?, event };
    serde_json::to_string(&preview).map_err(Failure::failed)
}
