//! How long events take at a steady rate, and what memory those take that wait.

use std::num::NonZeroU32;

use hookfleet_domain::Rate;
use serde_json::json;
use tokio::time::Instant;

use super::process::Usage;
use super::report::{Latency, Waiting};
use super::{ARRIVAL_WAIT_MAX, Bench, until};
use crate::failure::Failure;
use crate::output;

impl Bench {
    /// At the rate that was asked for, and at half of what can be delivered at most.
    pub async fn latencies(&self, deliveries_per_s_max: f64) -> Result<Vec<Latency>, Failure> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is positive, and far below 2^32"
        )]
        let half = (deliveries_per_s_max / 2.0) as u32;
        let half = Rate::per_second(NonZeroU32::new(half).unwrap_or(NonZeroU32::MIN));
        Ok(vec![self.latency(self.arguments.rate).await?, self.latency(half).await?])
    }

    async fn latency(&self, rate: Rate) -> Result<Latency, Failure> {
        output::tell(&format!("publishing and delivering at {rate}"));
        let usage = Usage::of(&self.arguments.processes);
        let (duration, epoch) = (self.arguments.duration.0, self.receiver.epoch());
        let late = self.load("").at_rate(rate, duration, epoch).await?;
        let published = late.len() as u64;
        let arrived = self.arrived(published).await?;
        let cpu = usage.until_now(&self.arguments.processes, published);
        Ok(Latency::new(rate, &arrived, &late, cpu))
    }

    /// Deliveries that wait: the first ones have failed, the others find the breaker open.
    pub async fn waiting(&self) -> Result<Option<Waiting>, Failure> {
        let deliveries = self.arguments.waiting;
        if deliveries == 0 {
            return Ok(None);
        }
        output::tell(&format!("filling up with {deliveries} deliveries that wait"));
        let url = self.receiver.refusing_url();
        let retry = json!({"schedule": ["12h"]});
        self.create("-waiting", [json!({"url": url, "max_in_flight": 1000, "retry": retry})])
            .await?;
        let (begun, before) = (Instant::now(), self.put_off().await?);
        self.load("-waiting").publish(deliveries).await?;
        let put_off = async || Ok(self.put_off().await?.saturating_sub(before));
        until(deliveries, ARRIVAL_WAIT_MAX, put_off).await?;
        Ok(Some(Waiting::new(deliveries, begun.elapsed(), &self.arguments.processes)))
    }
}
