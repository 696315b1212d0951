//! What happens, at a glance: of the whole fleet, or of a tenant.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use hookfleet_domain::{TenantId, Timestamp};

use crate::Console;
use crate::answers::{DeadLetter, EndpointCounts, Page, Stats, System};
use crate::api::Refusal;
use crate::chart::Chart;
use crate::fields::{Query, with_query};
use crate::filters;
use crate::page::{Section, Shell, render};
use crate::signed_in::SignedIn;

pub fn routes() -> Router<Arc<Console>> {
    Router::new().route("/", get(home)).route("/tenants/{tenant}", get(of_tenant))
}

/// How far back it goes.
struct Range {
    name: &'static str,
    text: &'static str,
    step: &'static str,
    length: Duration,
}

const RANGES: [Range; 4] = [
    Range { name: "hour", text: "Hour", step: "minute", length: Duration::from_mins(59) },
    Range { name: "day", text: "Day", step: "minute", length: Duration::from_mins(24 * 60 - 20) },
    Range { name: "week", text: "Week", step: "hour", length: Duration::from_hours(7 * 24 - 1) },
    Range { name: "month", text: "Month", step: "hour", length: Duration::from_hours(30 * 24 - 1) },
];

impl Range {
    fn find(name: &str) -> &'static Self {
        let [first, ..] = &RANGES;
        RANGES.iter().find(|range| range.name == name).unwrap_or(first)
    }
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    shell: Shell,
    range: &'static Range,
    ranges: &'static [Range],
    stats: Stats,
    chart: Chart,
    failing: Vec<EndpointCounts>,
    slowest: Vec<EndpointCounts>,
    letters: Vec<DeadLetter>,
    letters_path: String,
    /// How much waits in the whole fleet, and how many dead letters there are, for operators.
    waiting: Option<(u64, u64)>,
}

/// Where broker or store do not answer, the rest is shown without them.
const SYSTEM_WAIT_MAX: Duration = Duration::from_secs(1);

async fn waiting(caller: &SignedIn) -> Option<(u64, u64)> {
    let system = caller.api.get::<System>("/v1/system");
    let system = tokio::time::timeout(SYSTEM_WAIT_MAX, system).await.ok()?.ok()?;
    Some(system.waiting())
}

async fn home(
    State(console): State<Arc<Console>>,
    caller: SignedIn,
    Query(query): Query,
) -> Result<Response, Refusal> {
    let shell = caller.shell(Section::Overview, "Overview");
    let tenant = caller.tenant.clone();
    page(&caller, shell, tenant.as_ref(), (query.get("range"), console.clock.now())).await
}

async fn of_tenant(
    State(console): State<Arc<Console>>,
    caller: SignedIn,
    Path(tenant): Path<TenantId>,
    Query(query): Query,
) -> Result<Response, Refusal> {
    let shell = caller.tenant_shell(Section::Overview, &tenant, "Overview");
    page(&caller, shell, Some(&tenant), (query.get("range"), console.clock.now())).await
}

async fn page(
    caller: &SignedIn,
    shell: Shell,
    tenant: Option<&TenantId>,
    (range, now): (&str, Timestamp),
) -> Result<Response, Refusal> {
    let range = Range::find(range);
    let base = tenant.map_or("/v1".to_owned(), |tenant| format!("/v1/tenants/{tenant}"));
    let since = now.before(range.length).to_string();
    let path = with_query(&format!("{base}/stats"), &[("step", range.step), ("since", &since)]);
    let stats: Stats = caller.api.get(&path).await?;
    let worst = |which| format!("{base}/stats/endpoints?limit=5&worst={which}");
    let failing: Page<EndpointCounts> = caller.api.get(&worst("failing")).await?;
    let slowest: Page<EndpointCounts> = caller.api.get(&worst("slowest")).await?;
    let own = [("tenant", tenant.map_or("", TenantId::as_str)), ("limit", "5")];
    let letters: Page<DeadLetter> = caller.api.get(&with_query("/v1/dead-letters", &own)).await?;
    let waiting = if tenant.is_none() { waiting(caller).await } else { None };
    Ok(render(&OverviewPage {
        shell,
        waiting,
        range,
        ranges: &RANGES,
        chart: Chart::new(&stats.items, stats.until),
        stats,
        failing: failing.items,
        slowest: slowest.items,
        letters: letters.items,
        letters_path: with_query("/dead-letters", own.get(..1).unwrap_or_default()),
    }))
}
