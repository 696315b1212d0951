//! Counts over time, and the endpoints that fail most or take longest.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use hookfleet_domain::{EndpointId, TenantId, Timestamp};
use hookfleet_store::{EndpointCount, Step, Tally, Worst};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Api;
use crate::extract::{Fields, Names, Page};
use crate::problem::Problem;

/// How far back it goes unless it is said.
const MINUTES: i64 = 60;
const HOURS: i64 = 7 * 24;
/// Endpoints that are told of unless it is said, and at most.
const WORST: usize = 10;
const WORST_MAX: usize = 50;

/// What happened in one minute, or in one hour.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Counts)]
pub struct CountsView {
    /// When it begins.
    at: Timestamp,
    /// Events that a worker took up for the first time.
    events: u64,
    /// Attempts that succeeded.
    delivered: u64,
    /// Attempts that failed.
    failed: u64,
    /// Deliveries and messages that were given up.
    dead_letters: u64,
    /// How long an attempt took; none: there was none.
    average_ms: Option<u64>,
}

impl CountsView {
    fn new(at: Timestamp, tally: &Tally) -> Self {
        let Tally { events, delivered, failed, dead_letters, .. } = *tally;
        Self { at, events, delivered, failed, dead_letters, average_ms: tally.average_ms() }
    }
}

/// What happened over time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Stats)]
pub struct StatsView {
    /// How long one of `items` is.
    step: Step,
    until: Timestamp,
    /// All of them together, from when the first one begins.
    total: CountsView,
    /// One after the other, none left out.
    items: Vec<CountsView>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FleetQuery {
    /// Of this tenant; else of the whole fleet.
    tenant: Option<TenantId>,
    /// `minute`, which is kept for a day, unless it is said; `hour` is kept for 30 days.
    step: Option<Step>,
    /// From when on; else an hour ago, or a week where `step` is `hour`. Nothing is older than what is kept.
    since: Option<Timestamp>,
    /// Until when; else now.
    until: Option<Timestamp>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TenantQuery {
    /// `minute`, which is kept for a day, unless it is said; `hour` is kept for 30 days.
    step: Option<Step>,
    /// From when on; else an hour ago, or a week where `step` is `hour`. Nothing is older than what is kept.
    since: Option<Timestamp>,
    /// Until when; else now.
    until: Option<Timestamp>,
}

/// Counts over time, of the whole fleet or of a tenant
///
/// For charts: workers add what they counted every 5 s, and one that is killed loses that.
#[utoipa::path(
    get, path = "/stats", operation_id = "show_stats", tag = "stats", params(FleetQuery),
    responses((status = 200, description = "Minute by minute, or hour by hour.", body = StatsView))
)]
pub async fn of_fleet(
    State(api): State<Arc<Api>>,
    Fields(query): Fields<FleetQuery>,
) -> Result<Answer<StatsView>, Problem> {
    let FleetQuery { tenant, step, since, until } = query;
    read(&api, tenant.as_ref(), TenantQuery { step, since, until }).await
}

/// Counts over time, of a tenant
///
/// For charts: workers add what they counted every 5 s, and one that is killed loses that.
#[utoipa::path(
    get, path = "/stats", operation_id = "show_tenant_stats", tag = "stats", params(TenantQuery),
    responses((status = 200, description = "Minute by minute, or hour by hour.", body = StatsView))
)]
pub async fn of_tenant(
    State(api): State<Arc<Api>>,
    Names(tenant): Names<TenantId>,
    Fields(query): Fields<TenantQuery>,
) -> Result<Answer<StatsView>, Problem> {
    read(&api, Some(&tenant), query).await
}

async fn read(
    api: &Api,
    tenant: Option<&TenantId>,
    query: TenantQuery,
) -> Result<Answer<StatsView>, Problem> {
    let (step, now) = (query.step.unwrap_or_default(), api.clock.now());
    let (since, until) = span(step, (query.since, query.until), now);
    let counted = api.store.tallies(tenant, step, (since, until)).await?;
    let (mut counted, mut total) = (counted.into_iter().peekable(), Tally::default());
    let mut items = Vec::new();
    let mut at = since;
    while at < until {
        let tally = counted.next_if(|bucket| bucket.at <= at).map(|bucket| bucket.tally);
        let tally = tally.unwrap_or_default();
        total.add(&tally);
        items.push(CountsView::new(at, &tally));
        at = Timestamp::from_unix_ms(at.unix_ms() + step.ms());
    }
    Ok(Answer(StatsView { step, until, total: CountsView::new(since, &total), items }))
}

/// The buckets from the one that `since` is in; never more than are kept.
fn span(
    step: Step,
    (since, until): (Option<Timestamp>, Option<Timestamp>),
    now: Timestamp,
) -> (Timestamp, Timestamp) {
    let usual = match step {
        Step::Minute => MINUTES,
        Step::Hour => HOURS,
    };
    let until = until.map_or(now, |until| until.min(now));
    let usual = || Timestamp::from_unix_ms(until.unix_ms() - (usual - 1) * step.ms());
    let since = since.unwrap_or_else(usual).max(now.before(step.kept()));
    (step.begin(since), until)
}

/// An endpoint, and what its attempts were.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EndpointCounts)]
pub struct EndpointCountsView {
    tenant: TenantId,
    endpoint_id: EndpointId,
    name: Option<String>,
    url: String,
    active: bool,
    /// Failed attempts since the last success.
    #[serde(rename = "failureCount")]
    failure_count: u64,
    attempts: u64,
    failures: u64,
    average_ms: u64,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FleetWorstQuery {
    /// Of this tenant; else of the whole fleet.
    tenant: Option<TenantId>,
    /// `failing`: those with the most failed attempts; `slowest`: those that take longest on average.
    worst: Option<Worst>,
    /// 10 unless it is said.
    limit: Option<WorstLimit>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TenantWorstQuery {
    /// `failing`: those with the most failed attempts; `slowest`: those that take longest on average.
    worst: Option<Worst>,
    /// 10 unless it is said.
    limit: Option<WorstLimit>,
}

/// How many of the worst.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(try_from = "usize")]
#[schema(value_type = usize, minimum = 1, maximum = 50)]
pub struct WorstLimit(usize);

impl TryFrom<usize> for WorstLimit {
    type Error = String;

    fn try_from(limit: usize) -> Result<Self, String> {
        if (1..=WORST_MAX).contains(&limit) {
            return Ok(Self(limit));
        }
        Err(format!("limit {limit} is out of range: expected 1 to {WORST_MAX}"))
    }
}

/// The worst endpoints of the whole fleet, or of a tenant
///
/// In this hour and the one before. Of the whole fleet, one that was never among the 50 worst of a
/// worker's minute may be missing.
#[utoipa::path(
    get, path = "/stats/endpoints", operation_id = "show_worst_endpoints", tag = "stats",
    params(FleetWorstQuery),
    responses((status = 200, description = "The worst first.", body = Page<EndpointCountsView>))
)]
pub async fn endpoints_of_fleet(
    State(api): State<Arc<Api>>,
    Fields(query): Fields<FleetWorstQuery>,
) -> Result<Answer<Page<EndpointCountsView>>, Problem> {
    let FleetWorstQuery { tenant, worst, limit } = query;
    read_worst(&api, tenant.as_ref(), TenantWorstQuery { worst, limit }).await
}

/// The worst endpoints of a tenant
///
/// In this hour and the one before.
#[utoipa::path(
    get, path = "/stats/endpoints", operation_id = "show_worst_tenant_endpoints", tag = "stats",
    params(TenantWorstQuery),
    responses((status = 200, description = "The worst first.", body = Page<EndpointCountsView>))
)]
pub async fn endpoints_of_tenant(
    State(api): State<Arc<Api>>,
    Names(tenant): Names<TenantId>,
    Fields(query): Fields<TenantWorstQuery>,
) -> Result<Answer<Page<EndpointCountsView>>, Problem> {
    read_worst(&api, Some(&tenant), query).await
}

async fn read_worst(
    api: &Api,
    tenant: Option<&TenantId>,
    query: TenantWorstQuery,
) -> Result<Answer<Page<EndpointCountsView>>, Problem> {
    let max = query.limit.map_or(WORST, |limit| limit.0);
    let which = query.worst.unwrap_or_default();
    let counts = api.store.worst_endpoints(tenant, which, api.clock.now(), max).await?;
    let mut items = Vec::new();
    for EndpointCount { tenant, endpoint, tally } in counts {
        // One that was deleted since is no longer worth looking at.
        let Some(found) = api.store.endpoint(&tenant, &endpoint).await? else {
            continue;
        };
        let health = api.store.endpoint_health(std::slice::from_ref(&endpoint)).await?;
        items.push(EndpointCountsView {
            tenant,
            endpoint_id: endpoint,
            name: found.name,
            url: found.url.to_string(),
            active: found.active,
            failure_count: health.first().map_or(0, |health| health.failure_count),
            attempts: tally.attempts,
            failures: tally.failures,
            average_ms: tally.average_ms(),
        });
    }
    Ok(Page::whole(items.into_iter()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(step: Step, since: Option<&str>, until: Option<&str>, expected: [&str; 2]) {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = time("2026-02-19T14:32:30Z");
        let (begin, end) = span(step, (since.map(time), until.map(time)), now);
        assert_eq!([begin, end], expected.map(time), "{step:?} {since:?} {until:?}");
    }

    #[test]
    fn spans() {
        let now = "2026-02-19T14:32:30Z";
        check(Step::Minute, None, None, ["2026-02-19T13:33:00Z", now]);
        check(Step::Hour, None, None, ["2026-02-12T15:00:00Z", now]);
        check(Step::Minute, Some("2020-01-01T00:00:00Z"), None, ["2026-02-18T14:32:00Z", now]);
        let (since, until) = ("2026-02-19T10:00:30Z", "2026-02-19T10:02:00Z");
        check(Step::Minute, Some(since), Some(until), ["2026-02-19T10:00:00Z", until]);
        let later = "2027-01-01T00:00:00Z";
        check(Step::Hour, Some(since), Some(later), ["2026-02-19T10:00:00Z", now]);
    }
}
