//! What the machine allows: a bare client, the same receiver, nothing between them. And what straight
//! loops over queues have in common.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use hookfleet_signing::{Key, sign_standard};
use redis::aio::MultiplexedConnection;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::process::Usage;
use super::receiver::Receiver;
use super::report::BareClient;
use crate::args::BenchArgs;
use crate::failure::Failure;

const SECRET: [u8; 32] = [7; 32];
/// How long the store keeps what it was told.
const KEPT_MS: u64 = 600_000;

/// Sends requests, so many at once, for as long as other phases take.
pub async fn bare_client(
    receiver: &Receiver,
    arguments: &BenchArgs,
) -> Result<BareClient, Failure> {
    let client = reqwest::Client::builder().no_proxy().build().map_err(Failure::failed)?;
    let (begun, usage) = (Instant::now(), Usage::of(&[]));
    let end = begun + arguments.duration.0;
    let body = Bytes::from("x".repeat(arguments.body_bytes));
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
    Ok(BareClient::new(&times, begun.elapsed(), cpu))
}

async fn send(
    client: &reqwest::Client,
    url: &str,
    (n, body): (usize, Bytes),
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

/// What a straight loop does with a message, for each of so many endpoints: asks the store once, if
/// there is one, signs and sends.
pub struct Deliverer {
    client: reqwest::Client,
    store: Option<MultiplexedConnection>,
    urls: Vec<String>,
    key: [Key; 1],
    at_once: usize,
    /// Its deliveries are no other loop's.
    run: u32,
}

impl Deliverer {
    pub fn new(
        (receiver, fan_out): (&Receiver, u64),
        arguments: &BenchArgs,
        store: Option<MultiplexedConnection>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            client: reqwest::Client::builder().no_proxy().build().map_err(Failure::failed)?,
            store,
            urls: (0..fan_out).map(|n| receiver.url_of(n)).collect(),
            key: [Key::standard(&Key::standard_text(&SECRET)).map_err(Failure::failed)?],
            at_once: arguments.in_flight,
            run: rand::random(),
        })
    }

    /// Delivers the n-th message.
    pub async fn deliver(&self, n: u64, body: Bytes) -> Result<(), Failure> {
        let id = format!("floor-{}-{n}", self.run);
        let requests: Vec<_> =
            self.urls.iter().map(|url| self.request(url, &id, body.clone())).collect();
        stream::iter(requests).buffer_unordered(self.at_once).try_collect().await
    }

    async fn request(&self, url: &str, id: &str, body: Bytes) -> Result<(), Failure> {
        if let Some(mut store) = self.store.clone() {
            let mut note = redis::cmd("SET");
            note.arg(format!("{id} {url}")).arg(1).arg("PX").arg(KEPT_MS);
            note.query_async::<()>(&mut store).await.map_err(Failure::failed)?;
        }
        let signature = sign_standard(&self.key, id, 0, &body);
        let request = self.client.post(url).header("webhook-id", id);
        let request =
            request.header("webhook-timestamp", "0").header("webhook-signature", signature);
        let answer = request.body(body).send().await.map_err(Failure::failed)?;
        answer.bytes().await.map(drop).map_err(Failure::failed)
    }

    /// How many slots of those that requests take a message takes.
    pub fn slots(&self) -> u32 {
        u32::try_from(self.urls.len().min(self.at_once)).unwrap_or(u32::MAX)
    }
}
