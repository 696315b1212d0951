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

/// Publishes to one tenant.
pub struct Load {
    client: Arc<Client>,
    path: String,
    body_bytes: usize,
}

impl Load {
    pub fn new(client: Arc<Client>, path: String, body_bytes: usize) -> Self {
        Self { client, path, body_bytes }
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
        let batches = stream::repeat_with(|| self.batch(BATCH));
        let batches = batches.take_while(|_| async { begun.elapsed() < duration });
        let sent: Vec<()> = batches.buffer_unordered(BATCHES_AT_ONCE).try_collect().await?;
        Ok(per_second(sent.len() as u64 * BATCH, begun.elapsed()))
    }

    /// So many events, as fast as they are taken in.
    pub async fn publish(&self, events: u64) -> Result<(), Failure> {
        let starts = (0..events).step_by(usize::try_from(BATCH).unwrap_or(1));
        let batches = stream::iter(starts.map(|start| self.batch(BATCH.min(events - start))));
        batches.buffer_unordered(BATCHES_AT_ONCE).try_collect().await
    }

    /// Events at their times, whatever the server makes of it: how many. Each carries its time, so
    /// that one which had to wait before it was published is counted as late as it is.
    pub async fn at_rate(
        &self,
        rate: Rate,
        duration: Duration,
        epoch: Instant,
    ) -> Result<u64, Failure> {
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        let due = (0..).map(|n| begun + rate.nth(n)).take_while(|due| *due < begun + duration);
        for due in due {
            sleep_until(due).await;
            let due_us = u64::try_from((due - epoch).as_micros()).unwrap_or(u64::MAX);
            let (client, path, event) =
                (Arc::clone(&self.client), self.path.clone(), self.event(due_us));
            tasks.spawn(async move { client.publish(&path, event, &[]).await.map(drop) });
        }
        let mut published = 0;
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(Failure::failed)??;
            published += 1;
        }
        Ok(published)
    }

    async fn batch(&self, events: u64) -> Result<(), Failure> {
        let lines: String = (0..events).map(|_| self.event(0) + "\n").collect();
        let body = Body { content_type: "application/x-ndjson", bytes: lines.into() };
        let answers = self.client.post_text(&format!("{}/batch", self.path), body).await?;
        let refused = answers.lines().find(|line| line.contains("\"error\""));
        refused.map_or(Ok(()), |line| Err(Failure::failed(line)))
    }

    fn event(&self, due_us: u64) -> String {
        let padding = "x".repeat(self.body_bytes.saturating_sub(40));
        format!(r#"{{"type":"bench.event","data":{{{DUE}{due_us},"padding":"{padding}"}}}}"#)
    }
}
