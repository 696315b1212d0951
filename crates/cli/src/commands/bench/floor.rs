//! What the machine allows: a bare client, the same receiver, nothing between them.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::process::Usage;
use super::receiver::Receiver;
use super::report::Floor;
use crate::args::BenchArgs;
use crate::failure::Failure;

/// Sends requests, so many at once, for as long as other phases take.
pub async fn run(receiver: &Receiver, arguments: &BenchArgs) -> Result<Floor, Failure> {
    let client = reqwest::Client::builder().no_proxy().build().map_err(Failure::failed)?;
    let (begun, usage) = (Instant::now(), Usage::of(&[]));
    let end = begun + arguments.duration.0;
    let body = bytes::Bytes::from("x".repeat(arguments.body_bytes));
    let mut tasks = JoinSet::new();
    for n in 0..arguments.in_flight {
        let (client, url, body) = (client.clone(), receiver.url(), body.clone());
        tasks.spawn(async move { send(&client, &url, (n, body), end).await });
    }
    let mut times = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        times.extend(ended.map_err(Failure::failed)?.map_err(Failure::failed)?);
    }
    let cpu = usage.until_now(&[], times.len() as u64);
    Ok(Floor::new(&times, begun.elapsed(), cpu))
}

async fn send(
    client: &reqwest::Client,
    url: &str,
    (n, body): (usize, bytes::Bytes),
    end: Instant,
) -> Result<Vec<Duration>, reqwest::Error> {
    let mut times = Vec::new();
    while Instant::now() < end {
        let begun = Instant::now();
        let id = format!("{n}-{}", times.len());
        let request = client.post(url).header("webhook-id", id).body(body.clone());
        request.send().await?.bytes().await?;
        times.push(begun.elapsed());
    }
    Ok(times)
}
