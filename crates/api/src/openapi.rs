//! The OpenAPI document (3.1): gathered from the handlers' own descriptions, completed by what holds
//! for all of them.

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::get;
use hookfleet_domain::{
    DeadLetterId, EndpointId, EventId, IdempotencyKey, JobId, TenantId, TokenId,
};
use utoipa::openapi::link::{Link, LinkBuilder};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, Content, Info, License, OpenApi, OpenApiBuilder, Ref, RefOr, Required, Response,
    ResponseBuilder, Schema,
};

use crate::dead_letters::Cursor;
use crate::extract::Limit;
use crate::problem::Problem;

/// What parameters and refusals refer to.
#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(
    TenantId,
    EndpointId,
    EventId,
    DeadLetterId,
    JobId,
    TokenId,
    IdempotencyKey,
    Cursor,
    Limit,
    Problem
)))]
pub struct Names;

/// What the document begins with.
const ABOUT: &str = "Webhooks that arrive: at least once to every endpoint that subscribed, or in \
    the dead letters with the reason.\n\nA token is sent as `Authorization: Bearer TOKEN`. Errors \
    are problem details (RFC 9457). Lists take `limit` and `cursor`, and answer `items` and \
    `next_cursor`. Times are RFC 3339, UTC.";

/// Path parameters and what they are.
const PATH: [(&str, &str); 6] = [
    ("tenant", "TenantId"),
    ("endpoint", "EndpointId"),
    ("event", "EventId"),
    ("letter", "DeadLetterId"),
    ("job", "JobId"),
    ("token", "TokenId"),
];

/// Request headers and what they do.
const HEADERS: [(&str, &str); 2] = [
    ("Idempotency-Key", "The same key again creates nothing again, and answers with the first id."),
    (
        "Prefer",
        "`wait=30` waits up to so many seconds, at most 50, for the first attempts (RFC 7240).",
    ),
];

/// Operations that do without a body.
const BODY_OPTIONAL: [&str; 3] = ["rotate_secret", "resend_event", "create_console_link"];

/// Refusals of every operation.
const ALWAYS: [(&str, &str); 4] = [
    ("401", "No token, or one that is not known."),
    ("403", "The token does not reach this, or the operator does not allow it."),
    ("429", "Too much at once: come again after `Retry-After` seconds."),
    ("503", "Broker or store is out of reach: come again after `Retry-After` seconds."),
];
/// The refusal of a name.
const MISSING: (&str, &str) = ("404", "There is no such thing.");
/// The refusal of what a body, a query or a header says.
const INPUT: (&str, &str) = ("422", "A value breaks a rule; `detail` names it.");
/// Refusals of bodies.
const BODY: [(&str, &str); 4] = [
    ("400", "The body is not JSON."),
    ("408", "The body did not arrive in time."),
    ("413", "The body is too large."),
    ("415", "Not the `Content-Type` of a JSON body."),
];

/// What an answer's field is good for: operation and status, the operation that takes it, the
/// parameter that it is there, and the field.
const LINKS: [((&str, &str), &str, &str, &str); 7] = [
    (("publish_event", "202"), "show_event", "event", "id"),
    (("publish_event", "202"), "resend_event", "event", "id"),
    (("create_endpoint", "201"), "show_endpoint", "endpoint", "id"),
    (("create_token", "201"), "revoke_token", "token", "id"),
    (("replay_dead_letters", "202"), "show_job", "job", "job_id"),
    (("discard_dead_letters", "202"), "show_job", "job", "job_id"),
    (("recover_endpoint", "202"), "show_job", "job", "job_id"),
];

/// The document of these routes.
pub fn complete(routes: OpenApi) -> OpenApi {
    let mut info = Info::new("Hookfleet", env!("CARGO_PKG_VERSION"));
    info.description = Some(ABOUT.to_owned());
    info.license = Some(License::new(env!("CARGO_PKG_LICENSE")));
    let mut document = OpenApiBuilder::from(routes)
        .info(info)
        .security(Some([SecurityRequirement::new("token", [] as [&str; 0])]))
        .build();
    if let Some(components) = &mut document.components {
        share(components);
    }
    for (path, item) in &mut document.paths.paths {
        let PathItem { get, put, post, delete, patch, .. } = item;
        for operation in [get, put, post, delete, patch].into_iter().flatten() {
            describe_parameters(path, operation);
            describe_responses(path, operation);
            link(path, operation);
        }
    }
    document
}

/// What operations refer to.
fn share(components: &mut Components) {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    for (status, about) in ALWAYS.iter().chain(&BODY).chain([&INPUT, &MISSING]) {
        components.responses.insert((*status).to_owned(), RefOr::T(refusal(about)));
    }
    for tagged in ["Auth", "Signature"] {
        if let Some(RefOr::T(Schema::OneOf(variants))) = components.schemas.get_mut(tagged) {
            variants.items.iter_mut().for_each(close);
        }
    }
}

/// A field that the variant does not have is refused.
fn close(variant: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::Object(variant)) = variant {
        variant.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    }
}

fn refusal(about: &str) -> Response {
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new().description(about).content("application/problem+json", problem).build()
}

fn describe_parameters(path: &str, operation: &mut Operation) {
    let parameters = operation.parameters.get_or_insert_default();
    for parameter in parameters.iter_mut() {
        if let RefOr::T(parameter) = parameter
            && let Some((_, about)) = HEADERS.iter().find(|(name, _)| *name == parameter.name)
        {
            parameter.description = Some((*about).to_owned());
            parameter.required = Required::False;
        }
    }
    let named: Vec<_> = PATH.iter().filter(|(name, _)| stands_in(path, name)).collect();
    parameters.splice(0..0, named.into_iter().map(path_parameter));
    if let Some(RefOr::T(body)) = &mut operation.request_body
        && operation.operation_id.as_deref().is_some_and(|id| BODY_OPTIONAL.contains(&id))
    {
        body.required = Some(Required::False);
    }
}

fn stands_in(path: &str, name: &str) -> bool {
    path.contains(&format!("{{{name}}}"))
}

fn path_parameter((name, schema): &(&str, &str)) -> RefOr<Parameter> {
    let parameter = ParameterBuilder::new().name(*name).parameter_in(ParameterIn::Path);
    let schema = Ref::from_schema_name(*schema);
    RefOr::T(parameter.schema(Some(schema)).required(Required::True).build())
}

fn describe_responses(path: &str, operation: &mut Operation) {
    let has_body = operation.request_body.is_some();
    let parameters = operation.parameters.iter().flatten();
    let mut inputs = parameters.filter(|parameter| {
        matches!(parameter, RefOr::T(parameter) if parameter.parameter_in != ParameterIn::Path)
    });
    let mut shared = ALWAYS.to_vec();
    if path.contains('{') {
        shared.push(MISSING);
    }
    if has_body || inputs.next().is_some() {
        shared.push(INPUT);
    }
    if has_body {
        shared.extend(BODY);
    }
    let responses = &mut operation.responses.responses;
    for (status, response) in responses.iter_mut() {
        if let RefOr::T(own) = response
            && status.starts_with('4')
        {
            *own = refusal(&own.description);
        }
    }
    for (status, _) in shared {
        let shared = RefOr::Ref(Ref::from_response_name(status));
        responses.entry(status.to_owned()).or_insert(shared);
    }
}

fn link(path: &str, operation: &mut Operation) {
    let id = operation.operation_id.as_deref().unwrap_or_default();
    for ((from, status), to, parameter, field) in LINKS {
        if let Some(RefOr::T(response)) = operation.responses.responses.get_mut(status)
            && from == id
        {
            let link = LinkBuilder::new().operation_id(to);
            let link = link.parameter(parameter, format!("$response.body#/{field}"));
            let of_tenant = stands_in(path, "tenant") && parameter != "job";
            let link =
                if of_tenant { link.parameter("tenant", "$request.path.tenant") } else { link };
            response.links.insert(to.to_owned(), RefOr::<Link>::T(link.build()));
        }
    }
}

/// `GET /openapi.json`, unauthenticated.
pub fn router() -> Router {
    let document = Bytes::from(crate::document().to_json().unwrap_or_default());
    let show = async move || ([(header::CONTENT_TYPE, "application/json")], document.clone());
    Router::new().route("/openapi.json", get(show))
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;

    /// The copy for readers: `UPDATE_EXPECT=1 cargo test` writes it anew.
    #[test]
    fn the_document_that_is_checked_in() {
        let document = crate::document().to_pretty_json().unwrap() + "\n";
        expect_file!["../../../docs/openapi.json"].assert_eq(&document);
    }
}
