//! What endpoints that hang do to the others.

use serde_json::json;

use hookfleet_domain::Rate;

use super::report::Isolation;
use super::{ARRIVAL_WAIT_MAX, Bench, until};
use crate::failure::Failure;
use crate::output;

/// Endpoints, each for events of a type of its own; every tenth one hangs.
const ENDPOINTS: u64 = 100;
const EVERY: u64 = 10;
const TENANT: &str = "-mixed";

impl Bench {
    /// Publishes at this rate, first without the tenth that goes to endpoints that hang, then with it.
    pub async fn isolation(&self, rate: Rate) -> Result<Isolation, Failure> {
        for n in 0..ENDPOINTS {
            let url = if hangs(n) { self.receiver.hanging_url() } else { self.receiver.url() };
            let fields = json!({"url": url, "events": [kind(n)], "timeout": "30s"});
            self.create(TENANT, &fields).await?;
        }
        let duration = self.arguments.isolation_duration.0;
        let load = self.load(TENANT);
        let mut runs = Vec::new();
        for beside_hanging in [false, true] {
            let what = if beside_hanging { "with a tenth that hangs" } else { "healthy alone" };
            output::tell(&format!("isolation at {rate}, {what}"));
            let kind = |n: u64| (beside_hanging || !hangs(n)).then(|| kind(n));
            let healthy = |published: u64| {
                if beside_hanging { published - published.div_ceil(EVERY) } else { published }
            };
            // What the machine does at first is not what it does later.
            let epoch = self.receiver.epoch();
            let published = load.kinds_at_rate(rate, duration, epoch, kind).await?.len() as u64;
            until(healthy(published), ARRIVAL_WAIT_MAX, || self.receiver.count()).await?;
            runs.push(self.receiver.forget());
        }
        self.remove().await?;
        match runs.as_slice() {
            [alone, beside] => Ok(Isolation::new(rate, [alone, beside])),
            _ => Err(Failure::failed("two runs were to be made")),
        }
    }
}

fn hangs(n: u64) -> bool {
    n.is_multiple_of(EVERY)
}

fn kind(n: u64) -> String {
    format!("bench.kind-{}", n % ENDPOINTS)
}
