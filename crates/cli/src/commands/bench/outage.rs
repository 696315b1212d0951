//! What an endpoint that is down costs the queue.

use std::num::NonZeroU32;
use std::time::Duration;

use hookfleet_domain::Rate;
use serde_json::json;

use super::report::Outage;
use super::{Bench, until};
use crate::failure::Failure;
use crate::output;

const TENANT: &str = "-outage";
const RATE: Rate = Rate::per_second(NonZeroU32::new(100).unwrap());
/// The longest time that a breaker stays open, and some more.
const RECOVERY_WAIT_MAX: Duration = Duration::from_mins(12);
/// A message is published for each.
const PUT_OFF: [&str; 2] = ["hookfleet_retries_scheduled_total", "hookfleet_deferrals_total"];

impl Bench {
    /// Publishes to an endpoint that is down, until it is up again and has got everything.
    pub async fn outage(&self) -> Result<Option<Outage>, Failure> {
        let Some(duration) = self.arguments.outage else {
            return Ok(None);
        };
        output::tell(&format!("an endpoint is down for {} s at {RATE}", duration.0.as_secs()));
        self.receiver.set_down(true);
        let mut schedule = vec!["5s", "30s", "2m", "5m"];
        schedule.resize(30, "10m");
        let retry = json!({"schedule": schedule});
        self.create(TENANT, [json!({"url": self.receiver.failing_url(), "retry": retry})]).await?;
        let before = self.put_off().await?;
        let epoch = self.receiver.epoch();
        let published = self.load(TENANT).at_rate(RATE, duration.0, epoch).await?;
        let deliveries = published.len() as u64;
        self.receiver.set_down(false);
        output::tell(&format!("it is up again, {deliveries} deliveries are due"));
        until(deliveries, RECOVERY_WAIT_MAX, async || Ok(self.receiver.count())).await?;
        let put_off = self.put_off().await?.saturating_sub(before);
        let arrived = self.receiver.forget();
        self.remove(TENANT).await?;
        Ok(Some(Outage::new(deliveries, &arrived, put_off)))
    }

    /// How often a worker has put a delivery off, with an attempt or without.
    pub async fn put_off(&self) -> Result<u64, Failure> {
        let Some(url) = self.arguments.metrics.clone() else {
            return Err(Failure::usage("--outage and --waiting need --metrics"));
        };
        let client = reqwest::Client::builder().no_proxy().build().map_err(Failure::failed)?;
        let page = client.get(url).send().await.and_then(reqwest::Response::error_for_status);
        let page = page.map_err(Failure::failed)?.text().await.map_err(Failure::failed)?;
        Ok(sum(&page, &PUT_OFF))
    }
}

/// The sum of counters on a page of metrics, over their labels.
fn sum(page: &str, names: &[&str]) -> u64 {
    let value = |line: &str| {
        let (metric, value) = line.rsplit_once(' ')?;
        let name = metric.split('{').next()?;
        names.contains(&name).then(|| value.parse::<u64>().ok()).flatten()
    };
    page.lines().filter_map(value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_summed_over_their_labels() {
        let page =
            "# HELP a_total x\na_total{b=\"c d\"} 2\na_total{b=\"e\"} 3\naa_total 7\nf_total 4\n";
        assert_eq!(sum(page, &["a_total", "f_total"]), 9);
    }
}
