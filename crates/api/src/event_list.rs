//! Past events: found by type and time, and read out of the archive.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use hookfleet_domain::{Event, EventId, EventType, ProjectId, Subscription, TenantId, Timestamp};
use hookfleet_queue::{FoundEvent, Position, Search, archived};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::Api;
use crate::extract::{Fields, Limit, Names, Page, page};
use crate::problem::Problem;

/// An event as a list shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListedEvent)]
pub struct ListedView {
    id: EventId,
    #[serde(rename = "type")]
    event_type: EventType,
    project: Option<ProjectId>,
    timestamp: Timestamp,
    accepted_at: Timestamp,
    /// How long its data is.
    data_bytes: usize,
}

impl From<FoundEvent> for ListedView {
    fn from(found: FoundEvent) -> Self {
        let FoundEvent { id, event_type, project, timestamp, accepted_at, data_bytes } = found;
        Self { id, event_type, project, timestamp, accepted_at, data_bytes }
    }
}

/// Where a page of events begins: the `next_cursor` of the one before it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub struct EventCursor(Position);

impl TryFrom<String> for EventCursor {
    type Error = hookfleet_queue::search::InvalidPosition;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl PartialSchema for EventCursor {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.pattern(Some("^[0-9]{1,15}_[0-9]{1,18}$")).into()
    }
}

impl ToSchema for EventCursor {}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// Of this type: exact, or `prefix.*`.
    #[serde(rename = "type")]
    wanted: Option<Subscription>,
    /// Accepted at this time or later.
    since: Option<Timestamp>,
    /// Accepted before this time.
    until: Option<Timestamp>,
    limit: Option<Limit>,
    cursor: Option<EventCursor>,
}

/// The tenant's events, newest first
///
/// Those that are in the archive. Each call looks at some 20,000 events at most, of all tenants: a page
/// may be short, or empty, and still tell of a next one. Those of the last moments may be missing.
#[utoipa::path(
    get, path = "/events", operation_id = "list_events", tag = "events", params(EventsQuery),
    responses((status = 200, description = "Without their data.", body = Page<ListedView>))
)]
pub async fn list(
    State(api): State<Arc<Api>>,
    Names(tenant): Names<TenantId>,
    Fields(query): Fields<EventsQuery>,
) -> Result<Answer<Page<ListedView>>, Problem> {
    let until = query.until.unwrap_or_else(|| api.clock.now().after(LATEST));
    let before = query.cursor.map_or(Position::at(until), |EventCursor(position)| position);
    let search = Search {
        tenant,
        wanted: query.wanted,
        since: query.since,
        before,
        limit: page(query.limit, None).limit,
    };
    let found = api.queue.search_archive(&search).await?;
    let items = found.events.into_iter().map(ListedView::from).collect();
    Ok(Answer(Page { items, next_cursor: found.next.map(|next| next.to_string()) }))
}

/// Another machine's clock may be ahead of ours.
const LATEST: std::time::Duration = std::time::Duration::from_mins(1);

/// An event as it was published.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventContent)]
pub struct ContentView {
    id: EventId,
    tenant: TenantId,
    #[serde(rename = "type")]
    event_type: EventType,
    project: Option<ProjectId>,
    timestamp: Timestamp,
    accepted_at: Timestamp,
    /// The characters that were published.
    #[schema(value_type = Value)]
    data: Arc<RawValue>,
}

/// An event's data
///
/// Out of the archive.
#[utoipa::path(
    get, path = "/events/{event}/content", operation_id = "show_event_content", tag = "events",
    responses((status = 200, description = "What was published.", body = ContentView))
)]
pub async fn content(
    State(api): State<Arc<Api>>,
    Names((tenant, id)): Names<(TenantId, EventId)>,
) -> Result<Answer<ContentView>, Problem> {
    let event = find(&api, &tenant, &id).await?;
    let Event { id, tenant, event_type, project, timestamp, accepted_at, data, .. } = event;
    Ok(Answer(ContentView { id, tenant, event_type, project, timestamp, accepted_at, data }))
}

/// The tenant's event, out of the archive.
pub async fn find(api: &Api, tenant: &TenantId, id: &EventId) -> Result<Event, Problem> {
    let found = archived(api.queue.as_ref(), id).await?;
    let missing = || Problem::not_found(format!("event {id} is not in the archive"));
    found.filter(|event| event.tenant == *tenant).ok_or_else(missing)
}
