//! Publishing: one by one, in batches, at a rate.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use hookfleet_domain::Rate;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::receiver::DUE;
use super::samples::per_second;
use crate::client::{Body, Client};
use crate::failure::Failure;

/// Events in a batch, and batches that are under way at once.
const BATCH: u64 = 500;
const BATCHES_AT_ONCE: usize = 4;
/// The type of events that are all of the same.
const ANY: &str = "bench.event";

/// Publishes to one tenant.
pub struct Load {
    client: Arc<Client>,
    path: String,
    body_bytes: usize,
    /// The types over which events in batches are spread; none: all are of the same.
    kinds: Option<u64>,
}

impl Load {
    pub fn new(client: Arc<Client>, path: String, body_bytes: usize) -> Self {
        Self { client, path, body_bytes, kinds: None }
    }

    /// The same, spread over so many types of event.
    #[must_use]
    pub fn over(self, kinds: u64) -> Self {
        Self { kinds: Some(kinds), ..self }
    }

    /// Each publisher waits for an answer before it sends the next event: how long answers took.
    pub async fn one_by_one(
        &self,
        publishers: usize,
        duration: Duration,
    ) -> Result<Vec<Duration>, Failure> {
        let end = Instant::now() + duration;
        let mut tasks = JoinSet::new();
        for _ in 0..publishers {
            let (client, path, event) =
                (Arc::clone(&self.client), self.path.clone(), self.event(0));
            tasks.spawn(async move {
                let mut answers = Vec::new();
                while Instant::now() < end {
                    let begun = Instant::now();
                    client.publish(&path, event.clone(), &[]).await?;
                    answers.push(begun.elapsed());
                }
                Ok::<_, Failure>(answers)
            });
        }
        let mut answers = Vec::new();
        while let Some(ended) = tasks.join_next().await {
            answers.extend(ended.map_err(Failure::failed)??);
        }
        Ok(answers)
    }

    /// Batches for so long: events a second.
    pub async fn batches(&self, duration: Duration) -> Result<f64, Failure> {
        let begun = Instant::now();
        let batches = stream::repeat_with(|| self.batch(0, BATCH));
        let batches = batches.take_while(|_| async { begun.elapsed() < duration });
        let sent: Vec<()> = batches.buffer_unordered(BATCHES_AT_ONCE).try_collect().await?;
        Ok(per_second(sent.len() as u64 * BATCH, begun.elapsed()))
    }

    /// So many events, as fast as they are taken in.
    pub async fn publish(&self, events: u64) -> Result<(), Failure> {
        let starts = (0..events).step_by(usize::try_from(BATCH).unwrap_or(1));
        let batches =
            stream::iter(starts.map(|start| self.batch(start, BATCH.min(events - start))));
        batches.buffer_unordered(BATCHES_AT_ONCE).try_collect().await
    }

    /// Events at their times, whatever the server makes of it: how late the bench itself was with
    /// each. Each carries its time, so that one which had to wait before it was published is counted
    /// as late as it is.
    pub async fn at_rate(
        &self,
        rate: Rate,
        duration: Duration,
        epoch: Instant,
    ) -> Result<Vec<Duration>, Failure> {
        self.kinds_at_rate(rate, duration, epoch, |_| Some(ANY.to_owned())).await
    }

    /// The same, the n-th of the type that `kind` says; of none, none is published at its time.
    pub async fn kinds_at_rate(
        &self,
        rate: Rate,
        duration: Duration,
        epoch: Instant,
        kind: impl Fn(u64) -> Option<String>,
    ) -> Result<Vec<Duration>, Failure> {
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for (after, n) in schedule(rate, duration).zip(0..) {
            let Some(kind) = kind(n) else {
                continue;
            };
            let due = begun + after;
            sleep_until(due).await;
            let due_us = u64::try_from((due - epoch).as_micros()).unwrap_or(u64::MAX);
            let event = event(&kind, self.body_bytes, due_us);
            let (client, path) = (Arc::clone(&self.client), self.path.clone());
            tasks.spawn(async move {
                let late = due.elapsed();
                client.publish(&path, event, &[]).await.map(|_| late)
            });
        }
        let mut late = Vec::new();
        while let Some(ended) = tasks.join_next().await {
            late.push(ended.map_err(Failure::failed)??);
        }
        Ok(late)
    }

    async fn batch(&self, start: u64, events: u64) -> Result<(), Failure> {
        let lines: String = (start..start + events).map(|n| self.event(n) + "\n").collect();
        let body = Body { content_type: "application/x-ndjson", bytes: lines.into() };
        let answers = self.client.post_text(&format!("{}/batch", self.path), body).await?;
        let refused = answers.lines().find(|line| line.contains("\"error\""));
        refused.map_or(Ok(()), |line| Err(Failure::failed(line)))
    }

    fn event(&self, n: u64) -> String {
        let kind = self.kinds.map_or_else(|| ANY.to_owned(), |kinds| kind(n % kinds));
        event(&kind, self.body_bytes, 0)
    }
}

/// The type of events that the n-th endpoint of some wants, and no other.
pub fn kind(n: u64) -> String {
    format!("bench.kind-{n}")
}

fn event(kind: &str, body_bytes: usize, due_us: u64) -> String {
    format!(r#"{{"type":"{kind}","data":{}}}"#, data(body_bytes, due_us))
}

/// When each event is due, counted from the beginning.
fn schedule(rate: Rate, duration: Duration) -> impl Iterator<Item = Duration> {
    (0..).map(move |n| rate.nth(n)).take_while(move |after| *after < duration)
}

/// An event's data: so many bytes, or as few as tell when it is due.
fn data(bytes: usize, due_us: u64) -> String {
    let (start, end) = (format!(r#"{{{DUE}{due_us},"padding":""#), r#""}"#);
    let padding = "x".repeat(bytes.saturating_sub(start.len() + end.len()));
    start + &padding + end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_due_at_even_distances() {
        let due = |rate: &str, ms| {
            let due = schedule(rate.parse().unwrap(), Duration::from_millis(ms));
            due.map(|after| after.as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(due("500/s", 10), [0, 2, 4, 6, 8]);
        assert_eq!(due("2/m", 30_001), [0, 30_000]);
        assert_eq!(due("1/s", 0), []);
    }

    #[test]
    fn data_has_the_size_that_was_asked_for() {
        for due_us in [0, 7, 12_345_678] {
            let data = data(1024, due_us);
            assert_eq!(data.len(), 1024);
            let parsed: serde_json::Value = serde_json::from_str(&data).unwrap();
            assert_eq!(parsed["due_us"], due_us);
        }
        assert_eq!(data(1, 5), r#"{"due_us":5,"padding":""}"#);
    }
}
