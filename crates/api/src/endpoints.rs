//! Endpoints: create, list, show, change, delete.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hookfleet_domain::{
    Draft, Endpoint, EndpointHealth, EndpointId, EndpointPatch, EventId, EventType, IdempotencyKey,
    ProjectId, Rotation, Signature, TenantId, limits,
};
use hookfleet_signing::StandardKeys;
use hookfleet_store::{EndpointFilter, Written};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::openapi::{AllOfBuilder, ObjectBuilder, Ref, RefOr, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::Api;
use crate::attempts::AttemptView;
use crate::endpoint_view::EndpointView;
use crate::entity_tag::{EntityTag, IfMatch};
use crate::extract::{Fields, Json, Limit, MaybeJson, Names, Page, page};
use crate::once::{Once, Turn};
use crate::problem::Problem;
use crate::random::NewSecret;

/// Tries at a change that others overtake.
const TRIES_MAX: u32 = 5;
/// What an endpoint is tried out with.
pub const TEST_TYPE: &str = "webhook.test";
/// See [`TEST_TYPE`].
pub const TEST_DATA: &str = r#"{"test":true}"#;

/// An endpoint, with the tag of its revision (RFC 9110, 8.8.3).
pub struct Tagged(EntityTag, EndpointView);

impl IntoResponse for Tagged {
    fn into_response(self) -> Response {
        let Self(tag, view) = self;
        ([(header::ETAG, tag.to_string())], Answer(view)).into_response()
    }
}

/// A patch that begins with nothing: it must say the URL.
pub struct NewEndpoint;

impl PartialSchema for NewEndpoint {
    fn schema() -> RefOr<Schema> {
        let url = ObjectBuilder::new().schema_type(Type::Object).required("url");
        AllOfBuilder::new().item(Ref::from_schema_name("EndpointPatch")).item(url).into()
    }
}

impl ToSchema for NewEndpoint {}

/// Register an endpoint
///
/// What is not said is as its profile has it. A generated secret is in this answer and in no later
/// one.
#[utoipa::path(
    post, path = "/endpoints", operation_id = "create_endpoint", tag = "endpoints",
    params(("Idempotency-Key" = IdempotencyKey, Header)),
    request_body(content = NewEndpoint, examples(
        ("a URL is enough" = (value = json!({"url": "https://example.com/hook"}))),
        ("of a project, with settings of its own" = (value = json!({
            "url": "https://example.com/hook", "profile": "content-engine", "name": "CMS",
            "project": "site-1", "events": ["content.*", "import.completed"],
            "auth": {"type": "header", "name": "X-Api-Key", "token": "opensesame"},
            "method": "PUT", "headers": {"X-Team": "content"}, "timeout": "10s",
            "retry": {"schedule": ["5s", "5m", "1h"]}, "rate_limit": "50/s", "max_in_flight": 10
        })))
    )),
    responses(
        (status = 201, description = "It is registered.", body = EndpointView,
            headers(("ETag" = String, description = "For `If-Match`."))),
        (status = 200, description = "Its idempotency key created it before.", body = EndpointView,
            headers(("ETag" = String, description = "For `If-Match`."))),
        (status = 409, description = "Fields that contradict each other, nobody who answers at the \
            URL (where the profile asks for it), or too many endpoints.")
    )
)]
pub async fn create(
    State(api): State<Arc<Api>>,
    Names(tenant): Names<TenantId>,
    headers: HeaderMap,
    Json(patch): Json<EndpointPatch>,
) -> Result<(StatusCode, Tagged), Problem> {
    let mut new_secret = NewSecret::prepare()?;
    let generate = |signature: &Signature| new_secret.make(signature);
    let endpoint = patch.create(tenant.clone(), api.clock.now(), &api.policy, generate)?;
    let endpoint = new_secret.complete(endpoint);
    let once = Once::of(&api, (&tenant, "endpoint"), &headers)?;
    let id = match once.turn(endpoint.id.clone()).await? {
        Turn::First(id) => id,
        Turn::Again(id) => {
            return Ok((StatusCode::OK, view(&api, find(&api, &tenant, &id).await?).await?));
        }
    };
    let endpoint = Endpoint { id, ..endpoint };
    check(&api, &endpoint).await?;
    match api.store.add_endpoint(&endpoint).await? {
        Written::Full => {
            let max = limits::ENDPOINTS_PER_TENANT_MAX;
            let detail = format!("the tenant has {max} endpoints already: delete one first");
            Err(Problem::new(StatusCode::CONFLICT, detail))
        }
        Written::Yes | Written::Conflict | Written::Missing => {
            once.done(&endpoint.id).await?;
            let tag = EntityTag(endpoint.revision);
            let view = EndpointView::new(endpoint, EndpointHealth::default(), api.clock.now());
            Ok((StatusCode::CREATED, Tagged(tag, view.with_secret(new_secret.made()))))
        }
    }
}

/// Put another secret in its place
///
/// Takes `If-Match` with an `ETag`, so that nobody's change is overwritten.
///
/// For the time of grace, deliveries are signed with both, where the signature has room for two. A
/// generated secret is in this answer and in no later one.
#[utoipa::path(
    post, path = "/endpoints/{endpoint}/rotate-secret", operation_id = "rotate_secret",
    tag = "endpoints",
    request_body(content = Rotation, examples(
        ("a generated one" = (value = json!({}))),
        ("one of your own, the old one for another hour" = (value = json!({
            "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "grace": "1h"
        })))
    )),
    responses(
        (status = 200, description = "It is rotated.", body = EndpointView,
            headers(("ETag" = String, description = "For `If-Match`."))),
        (status = 409, description = "It does not sign, its signature asks for another form of \
            secret, or others change it at the same time."),
        (status = 412, description = "`If-Match` asks for another revision.")
    )
)]
pub async fn rotate_secret(
    State(api): State<Arc<Api>>,
    Names((tenant, id)): Names<(TenantId, EndpointId)>,
    expected: IfMatch,
    MaybeJson(rotation): MaybeJson<Rotation>,
) -> Result<Tagged, Problem> {
    let mut new_secret = NewSecret::prepare()?;
    let endpoint = find(&api, &tenant, &id).await?;
    expected.check(endpoint.revision)?;
    let rotated =
        rotation.apply(endpoint, api.clock.now(), |signature| new_secret.make(signature))?;
    let rotated = new_secret.complete(rotated);
    check_secret(&rotated)?;
    match api.store.replace_endpoint(&rotated).await? {
        Written::Yes => {
            let Tagged(tag, view) = view(&api, rotated).await?;
            Ok(Tagged(tag, view.with_secret(new_secret.made())))
        }
        // Tried again, it would be rotated twice: whose secret is it now?
        Written::Conflict => Err(changed_meanwhile()),
        Written::Missing | Written::Full => Err(missing(&id)),
    }
}

fn changed_meanwhile() -> Problem {
    let detail = "others change this endpoint at the same time: try again";
    Problem::new(StatusCode::CONFLICT, detail)
}

/// Try an endpoint out
///
/// Sends a signed `webhook.test` now, and answers with the attempt. Nothing follows from it, and
/// nothing is counted.
#[utoipa::path(
    post, path = "/endpoints/{endpoint}/test", operation_id = "test_endpoint", tag = "endpoints",
    responses((status = 200, description = "The attempt, whatever it met.", body = AttemptView))
)]
pub async fn test(
    State(api): State<Arc<Api>>,
    Names((tenant, id)): Names<(TenantId, EndpointId)>,
) -> Result<Answer<AttemptView>, Problem> {
    let endpoint = find(&api, &tenant, &id).await?;
    let now = api.clock.now();
    let draft = Draft {
        tenant,
        event_type: TEST_TYPE.parse().map_err(Problem::unprocessable)?,
        project: endpoint.project.clone(),
        timestamp: Some(now),
        idempotency_key: None,
        trace: None,
        data: Arc::from(
            RawValue::from_string(TEST_DATA.to_owned()).map_err(Problem::unprocessable)?,
        ),
    };
    let event = draft.accept(EventId::generate(now), now);
    Ok(Answer(api.prober.test(&endpoint, &event).await.into()))
}

/// What only this layer can check: the secret's form, and whether anybody answers.
async fn check(api: &Api, endpoint: &Endpoint) -> Result<(), Problem> {
    check_secret(endpoint)?;
    if endpoint.client_certificate.is_some() {
        let unusable =
            |why| Problem::new(StatusCode::CONFLICT, format!("client_certificate {why}"));
        api.prober.check_certificate(endpoint).map_err(unusable)?;
    }
    // One that is switched off may be gone, or that is why.
    if endpoint.settings.check_reachable && endpoint.active {
        let unreachable = |why| {
            let detail = format!("the endpoint is not reachable: {why}");
            Problem::new(StatusCode::CONFLICT, detail)
        };
        api.prober.probe(endpoint).await.map_err(unreachable)?;
    }
    Ok(())
}

/// Is the secret of the form that the signature asks for?
pub fn check_secret(endpoint: &Endpoint) -> Result<(), Problem> {
    if let Some(secret) = &endpoint.secret
        && endpoint.settings.signature.is_standard()
    {
        let conflict = |error| Problem::new(StatusCode::CONFLICT, error);
        StandardKeys::read(secret.expose()).map_err(conflict)?;
    }
    Ok(())
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    project: Option<ProjectId>,
    active: Option<bool>,
    /// That want events of this type.
    event_type: Option<EventType>,
    /// Whose name, URL or id holds this text, in any case.
    #[param(max_length = 200)]
    search: Option<String>,
    limit: Option<Limit>,
    cursor: Option<EndpointId>,
}

/// The tenant's endpoints
#[utoipa::path(
    get, path = "/endpoints", operation_id = "list_endpoints", tag = "endpoints", params(ListQuery),
    responses((status = 200, description = "In the order of their ids.", body = Page<EndpointView>))
)]
pub async fn list(
    State(api): State<Arc<Api>>,
    Names(tenant): Names<TenantId>,
    Fields(query): Fields<ListQuery>,
) -> Result<Answer<Page<EndpointView>>, Problem> {
    let ListQuery { project, active, event_type, search, limit, cursor } = query;
    let filter = EndpointFilter { project, active, event_type, search };
    let page = page(limit, cursor.as_ref().map(EndpointId::to_string));
    let found = api.store.endpoint_page(&tenant, &filter, &page).await?;
    let ids: Vec<EndpointId> = found.items.iter().map(|endpoint| endpoint.id.clone()).collect();
    let health = api.store.endpoint_health(&ids).await?;
    let (items, now) = (found.items.into_iter().zip(health), api.clock.now());
    let items = items.map(|(endpoint, health)| EndpointView::new(endpoint, health, now)).collect();
    Ok(Answer(Page { items, next_cursor: found.next_cursor }))
}

/// An endpoint
#[utoipa::path(
    get, path = "/endpoints/{endpoint}", operation_id = "show_endpoint", tag = "endpoints",
    responses((status = 200, description = "The endpoint.", body = EndpointView,
        headers(("ETag" = String, description = "For `If-Match`."))))
)]
pub async fn show(
    State(api): State<Arc<Api>>,
    Names((tenant, id)): Names<(TenantId, EndpointId)>,
) -> Result<Tagged, Problem> {
    let endpoint = find(&api, &tenant, &id).await?;
    view(&api, endpoint).await
}

/// Change an endpoint
///
/// What is not said stays as it is; `null` clears what can be empty (RFC 7396). Another `profile`
/// begins with that profile's settings anew.
///
/// Takes `If-Match` with an `ETag`, so that nobody's change is overwritten.
#[utoipa::path(
    patch, path = "/endpoints/{endpoint}", operation_id = "change_endpoint", tag = "endpoints",
    request_body(content = EndpointPatch, examples(
        ("switch it off" = (value = json!({"active": false}))),
        ("every event of the tenant, without a limit" = (value = json!({
            "active": true, "project": null, "events": [], "rate_limit": null
        })))
    )),
    responses(
        (status = 200, description = "It is changed.", body = EndpointView,
            headers(("ETag" = String, description = "For `If-Match`."))),
        (status = 409, description = "Fields that contradict each other, nobody who answers at the \
            URL (where the profile asks for it), or others who change it at the same time."),
        (status = 412, description = "`If-Match` asks for another revision.")
    )
)]
pub async fn change(
    State(api): State<Arc<Api>>,
    Names((tenant, id)): Names<(TenantId, EndpointId)>,
    expected: IfMatch,
    Json(patch): Json<EndpointPatch>,
) -> Result<Tagged, Problem> {
    let new_secret = NewSecret::prepare()?;
    for _ in 0..TRIES_MAX {
        let endpoint = find(&api, &tenant, &id).await?;
        expected.check(endpoint.revision)?;
        let changed = patch.clone().apply(endpoint, api.clock.now(), &api.policy)?;
        let changed = new_secret.complete(changed);
        check(&api, &changed).await?;
        match api.store.replace_endpoint(&changed).await? {
            Written::Yes => return view(&api, changed).await,
            Written::Conflict => {}
            Written::Missing | Written::Full => return Err(missing(&id)),
        }
    }
    Err(changed_meanwhile())
}

/// Delete an endpoint
///
/// Deliveries that it has yet become dead letters with the reason `endpoint_deleted`.
///
/// Takes `If-Match` with an `ETag`, so that nobody's change is lost.
#[utoipa::path(
    delete, path = "/endpoints/{endpoint}", operation_id = "delete_endpoint", tag = "endpoints",
    responses(
        (status = 204, description = "It is deleted."),
        (status = 412, description = "`If-Match` asks for another revision.")
    )
)]
pub async fn delete(
    State(api): State<Arc<Api>>,
    Names((tenant, id)): Names<(TenantId, EndpointId)>,
    expected: IfMatch,
) -> Result<StatusCode, Problem> {
    expected.check(find(&api, &tenant, &id).await?.revision)?;
    if api.store.remove_endpoint(&tenant, &id).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(missing(&id))
}

/// The endpoint, or a problem that says it is not there.
pub async fn find(api: &Api, tenant: &TenantId, id: &EndpointId) -> Result<Endpoint, Problem> {
    api.store.endpoint(tenant, id).await?.ok_or_else(|| missing(id))
}

async fn view(api: &Api, endpoint: Endpoint) -> Result<Tagged, Problem> {
    let tag = EntityTag(endpoint.revision);
    let health = api.store.endpoint_health(std::slice::from_ref(&endpoint.id)).await?;
    let health = health.first().copied().unwrap_or_default();
    Ok(Tagged(tag, EndpointView::new(endpoint, health, api.clock.now())))
}

fn missing(id: &EndpointId) -> Problem {
    Problem::not_found(format!("the tenant has no endpoint {id}"))
}
