//! Endpoints: create, list, show, change, delete.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hookfleet_domain::{
    Draft, Endpoint, EndpointHealth, EndpointId, EndpointPatch, EventId, EventType, ProjectId,
    Rotation, Secret, Signature, TenantId, limits,
};
use hookfleet_signing::Key;
use hookfleet_store::Written;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::Api;
use crate::attempts::attempt;
use crate::endpoint_view::EndpointView;
use crate::entity_tag::{EntityTag, IfMatch};
use crate::extract::{Fields, Json, Limit, MaybeJson, Names, page};
use crate::once::{Once, Turn};
use crate::problem::Problem;

/// Tries at a change that others overtake.
const TRIES_MAX: u32 = 5;
const TEST_TYPE: &str = "webhook.test";
const TEST_DATA: &str = r#"{"test":true}"#;

/// An endpoint, with the tag of its revision (RFC 9110, 8.8.3).
pub struct Tagged(EntityTag, EndpointView);

impl IntoResponse for Tagged {
    fn into_response(self) -> Response {
        let Self(tag, view) = self;
        ([(header::ETAG, tag.to_string())], Answer(view)).into_response()
    }
}

/// `POST /v1/tenants/{tenant}/endpoints`: 201, or 200 if its idempotency key created it before.
pub async fn create(
    State(api): State<Arc<Api>>,
    Names(tenant): Names<TenantId>,
    headers: HeaderMap,
    Json(patch): Json<EndpointPatch>,
) -> Result<(StatusCode, Tagged), Problem> {
    let random = random()?;
    let mut generated = None;
    let generate = |signature: &Signature| generated.insert(new_secret(signature, &random)).clone();
    let endpoint = patch.create(tenant.clone(), api.clock.now(), api.policy, generate)?;
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
            let view = EndpointView::new(endpoint, EndpointHealth::default());
            Ok((StatusCode::CREATED, Tagged(tag, view.with_secret(generated.as_ref()))))
        }
    }
}

fn random() -> Result<[u8; 32], Problem> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|_| Problem::unavailable("no randomness"))?;
    Ok(random)
}

fn new_secret(signature: &Signature, random: &[u8; 32]) -> Secret {
    match signature {
        Signature::Standard => Secret::new(Key::standard_text(random)),
        Signature::None | Signature::Hex { .. } | Signature::Sha256 { .. } => {
            Secret::new(hex::encode(random))
        }
    }
}

/// `POST /v1/tenants/{tenant}/endpoints/{endpoint}/rotate-secret`: a generated secret is in this
/// answer and in no later one.
pub async fn rotate_secret(
    State(api): State<Arc<Api>>,
    Names((tenant, id)): Names<(TenantId, EndpointId)>,
    expected: IfMatch,
    MaybeJson(rotation): MaybeJson<Rotation>,
) -> Result<Tagged, Problem> {
    let random = random()?;
    let mut generated = None;
    let generate = |signature: &Signature| generated.insert(new_secret(signature, &random)).clone();
    let endpoint = find(&api, &tenant, &id).await?;
    expected.check(endpoint.revision)?;
    let rotated = rotation.apply(endpoint, api.clock.now(), generate)?;
    check_secret(&rotated)?;
    match api.store.replace_endpoint(&rotated).await? {
        Written::Yes => {
            let Tagged(tag, view) = view(&api, rotated).await?;
            Ok(Tagged(tag, view.with_secret(generated.as_ref())))
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

/// `POST /v1/tenants/{tenant}/endpoints/{endpoint}/test`: sends a `webhook.test` now, and answers
/// with the attempt. Nothing follows from it, and nothing is counted.
pub async fn test(
    State(api): State<Arc<Api>>,
    Names((tenant, id)): Names<(TenantId, EndpointId)>,
) -> Result<Answer<Value>, Problem> {
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
    Ok(Answer(attempt(&api.prober.test(&endpoint, &event).await)))
}

/// What only this layer can check: the secret's form, and whether anybody answers.
async fn check(api: &Api, endpoint: &Endpoint) -> Result<(), Problem> {
    check_secret(endpoint)?;
    // One that is switched off may be gone, or that is why.
    if endpoint.settings.check_reachable && endpoint.active {
        let unreachable =
            |why| Problem::unprocessable(format!("the endpoint is not reachable: {why}"));
        api.prober.probe(endpoint).await.map_err(unreachable)?;
    }
    Ok(())
}

fn check_secret(endpoint: &Endpoint) -> Result<(), Problem> {
    if let (Some(secret), Signature::Standard) = (&endpoint.secret, &endpoint.settings.signature) {
        Key::standard(secret.expose()).map_err(Problem::unprocessable)?;
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    project: Option<ProjectId>,
    active: Option<bool>,
    event_type: Option<EventType>,
    limit: Option<Limit>,
    cursor: Option<EndpointId>,
}

impl ListQuery {
    fn matches(&self, endpoint: &Endpoint) -> bool {
        let wants = |event_type: &EventType| {
            endpoint.events.is_empty()
                || endpoint.events.iter().any(|wanted| wanted.matches(event_type))
        };
        (self.project.is_none() || self.project == endpoint.project)
            && self.active.is_none_or(|active| active == endpoint.active)
            && self.event_type.as_ref().is_none_or(wants)
            && self.cursor.as_ref().is_none_or(|cursor| endpoint.id > *cursor)
    }
}

/// `GET /v1/tenants/{tenant}/endpoints`
pub async fn list(
    State(api): State<Arc<Api>>,
    Names(tenant): Names<TenantId>,
    Fields(query): Fields<ListQuery>,
) -> Result<Answer<Value>, Problem> {
    let page = page(query.limit, None);
    let mut endpoints = api.store.endpoints(&tenant).await?;
    endpoints.retain(|endpoint| query.matches(endpoint));
    let more = endpoints.len() > page.limit;
    endpoints.truncate(page.limit);
    let ids: Vec<EndpointId> = endpoints.iter().map(|endpoint| endpoint.id.clone()).collect();
    let health = api.store.endpoint_health(&ids).await?;
    let items = endpoints.into_iter().zip(health);
    let items: Vec<_> =
        items.map(|(endpoint, health)| EndpointView::new(endpoint, health)).collect();
    let next_cursor = ids.last().filter(|_| more);
    Ok(Answer(json!({"items": items, "next_cursor": next_cursor})))
}

/// `GET /v1/tenants/{tenant}/endpoints/{endpoint}`
pub async fn show(
    State(api): State<Arc<Api>>,
    Names((tenant, id)): Names<(TenantId, EndpointId)>,
) -> Result<Tagged, Problem> {
    let endpoint = find(&api, &tenant, &id).await?;
    view(&api, endpoint).await
}

/// `PATCH /v1/tenants/{tenant}/endpoints/{endpoint}`
pub async fn change(
    State(api): State<Arc<Api>>,
    Names((tenant, id)): Names<(TenantId, EndpointId)>,
    expected: IfMatch,
    Json(patch): Json<EndpointPatch>,
) -> Result<Tagged, Problem> {
    for _ in 0..TRIES_MAX {
        let endpoint = find(&api, &tenant, &id).await?;
        expected.check(endpoint.revision)?;
        let changed = patch.clone().apply(endpoint, api.clock.now(), api.policy)?;
        check(&api, &changed).await?;
        match api.store.replace_endpoint(&changed).await? {
            Written::Yes => return view(&api, changed).await,
            Written::Conflict => {}
            Written::Missing | Written::Full => return Err(missing(&id)),
        }
    }
    Err(changed_meanwhile())
}

/// `DELETE /v1/tenants/{tenant}/endpoints/{endpoint}`
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
    Ok(Tagged(tag, EndpointView::new(endpoint, health)))
}

fn missing(id: &EndpointId) -> Problem {
    Problem::not_found(format!("the tenant has no endpoint {id}"))
}
