//! What endpoints that hang do to the others.

use serde_json::json;

use hookfleet_domain::Rate;

use super::load::kind;
use super::receiver::Arrived;
use super::report::Isolation;
use super::{ARRIVAL_WAIT_MAX, Bench, until};
use crate::failure::Failure;
use crate::output;

/// Endpoints, each for events of a type of its own; every tenth one hangs.
const ENDPOINTS: u64 = 100;
const EVERY: u64 = 10;
const TENANT: &str = "-mixed";

impl Bench {
    /// At each of the rates that were asked for.
    pub async fn isolations(&self) -> Result<Vec<Isolation>, Failure> {
        let mut measured = Vec::new();
        for rate in &self.arguments.isolation {
            measured.push(self.isolation(*rate).await?);
        }
        Ok(measured)
    }

    /// Publishes at this rate, first without the tenth that goes to endpoints that hang, then with it.
    async fn isolation(&self, rate: Rate) -> Result<Isolation, Failure> {
        let endpoint = |n| {
            let url = if hangs(n) { self.receiver.hanging_url() } else { self.receiver.url() };
            json!({"url": url, "events": [kind(n)], "timeout": "30s"})
        };
        self.create(TENANT, (0..ENDPOINTS).map(endpoint)).await?;
        let alone = self.mixed(rate, |n| !hangs(n)).await?;
        let beside = self.mixed(rate, |_| true).await?;
        self.remove(TENANT).await?;
        Ok(Isolation::new(rate, [&alone, &beside]))
    }

    /// Publishes those that are wanted, and waits for the healthy ones.
    async fn mixed(&self, rate: Rate, wanted: impl Fn(u64) -> bool) -> Result<Arrived, Failure> {
        let (duration, epoch) = (self.arguments.isolation_duration.0, self.receiver.epoch());
        output::tell(&format!(
            "isolation at {rate}, {}",
            if wanted(0) { "with a tenth that hangs" } else { "healthy alone" }
        ));
        let kind = |n| wanted(n).then(|| kind(n % ENDPOINTS));
        let published = self.load(TENANT).kinds_at_rate(rate, duration, epoch, kind).await?;
        let published = published.len() as u64;
        let hanging = if wanted(0) { published.div_ceil(EVERY) } else { 0 };
        until(published - hanging, ARRIVAL_WAIT_MAX, async || Ok(self.receiver.count())).await?;
        Ok(self.receiver.forget())
    }
}

fn hangs(n: u64) -> bool {
    n.is_multiple_of(EVERY)
}
