//! Publishers who want to know what the endpoints said: `Prefer: wait=SECONDS` (RFC 7240, 4.3).

use std::collections::HashMap;
use std::time::Duration;

use axum::http::HeaderMap;
use hookfleet_domain::{AttemptRecord, EndpointId, EventId, TenantId, limits};
use hookfleet_store::{EventStatus, Progress, Stage};
use tokio::time::{Instant, sleep};

use crate::Api;
use crate::events::DeliveryView;
use crate::problem::Problem;

/// How often it is looked, at first and at last.
const LOOK_EVERY: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(200)];

/// How long the caller would wait; none: it would not. More than
/// [`limits::OUTCOME_WAIT_MAX`] is taken for that.
pub fn asked(headers: &HeaderMap) -> Option<Duration> {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = preferences.flat_map(|value| value.split([',', ';']));
    let seconds = preferences.find_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        let is_wait = name.trim().eq_ignore_ascii_case("wait");
        is_wait.then(|| value.trim().trim_matches('"').parse::<u32>().ok()).flatten()
    })?;
    Some(Duration::from_secs(seconds.into()).min(limits::OUTCOME_WAIT_MAX))
}

/// The event's deliveries, each with its last attempt, once every first attempt was made or the time
/// is over.
pub async fn outcomes(
    api: &Api,
    (tenant, id): (&TenantId, &EventId),
    wait: Duration,
) -> Result<Vec<DeliveryView>, Problem> {
    let end = Instant::now() + wait;
    let [mut pause, longest] = LOOK_EVERY;
    let status = loop {
        let status = api.store.event_status(tenant, id).await?;
        if status.as_ref().is_some_and(is_attempted) || Instant::now() + pause > end {
            break status;
        }
        sleep(pause).await;
        pause = (pause * 2).min(longest);
    };
    let deliveries = status.map(|status| status.deliveries).unwrap_or_default();
    let mut attempts = last_attempts(api, id, &deliveries).await?;
    let view = |progress: Progress| {
        let last_attempt = attempts.remove(&progress.endpoint);
        DeliveryView::from(progress).with_attempt(last_attempt)
    };
    Ok(deliveries.into_iter().map(view).collect())
}

fn is_attempted(status: &EventStatus) -> bool {
    let is_pending = |progress: &Progress| progress.stage == Stage::Pending;
    status.fanned_out && !status.deliveries.iter().any(is_pending)
}

async fn last_attempts(
    api: &Api,
    id: &EventId,
    deliveries: &[Progress],
) -> Result<HashMap<EndpointId, AttemptRecord>, Problem> {
    let mut attempts = HashMap::new();
    for Progress { endpoint, .. } in deliveries {
        let log = api.store.attempts(endpoint, limits::ATTEMPTS_KEPT_MAX).await?;
        if let Some(made) = log.into_iter().find(|made| made.event_id == *id) {
            attempts.insert(endpoint.clone(), made);
        }
    }
    Ok(attempts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(prefer: &str, expected: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert("prefer", prefer.parse().unwrap());
        assert_eq!(asked(&headers), expected.map(Duration::from_secs), "{prefer}");
    }

    #[test]
    fn preferences() {
        check("wait=30", Some(30));
        check("respond-async, Wait = \"5\"", Some(5));
        check("wait=99999", Some(limits::OUTCOME_WAIT_MAX.as_secs()));
        check("respond-async", None);
        check("wait=soon", None);
        assert_eq!(asked(&HeaderMap::new()), None);
    }
}
