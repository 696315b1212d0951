//! The gate, the record, and what became of events.

use std::collections::HashMap;

use async_trait::async_trait;
use futures_util::future::{try_join, try_join_all};
use hookfleet_domain::{
    BREAKER_OPENS_AFTER, EndpointId, Event, EventId, Generation, TenantId, Timestamp, WorkerId,
};
use hookfleet_store::{
    DeliveryStore, Entry, EventStatus, Passage, Progress, Recorded, Settlement, Stage, StoreError,
    WaitReason, kept,
};
use redis::AsyncCommands;

use super::batches::{Entering, Remembering, Settling};
use super::scripts::RESTAGE;
use super::{RedisStore, corrupt, keys, millis, store_error};

/// Endpoints in one call: Lua passes on a few thousand values at most.
const FIELDS_MAX: usize = 1000;
/// Before an endpoint's id: the name of a field of an event that is for it.
const TO: &str = "to:";

/// What the gate's script said.
enum Answer {
    Go,
    Skip,
    Leased { owner: String, until: Timestamp },
    Held { until: Timestamp, reason: WaitReason },
}

impl RedisStore {
    async fn gate(&self, entry: &Entry, now: Timestamp, gone: &str) -> Result<Answer, StoreError> {
        let ttl = entry.lease_until.since(now) + self.status_ttl;
        let entering = Entering { entry: entry.clone(), now, gone: gone.to_owned(), ttl };
        let [what, owner, until] = self.batches.enter(entering).await?;
        let until = until.parse().map(Timestamp::from_unix_ms);
        let key = || keys::delivery(&entry.endpoint, &entry.event);
        let until = || until.map_err(|error| corrupt(&key(), error));
        Ok(match what.as_str() {
            "go" => Answer::Go,
            "skip" => Answer::Skip,
            "wait" => Answer::Leased { owner, until: until()? },
            "breaker" => Answer::Held { until: until()?, reason: WaitReason::Breaker },
            "rate" => Answer::Held { until: until()?, reason: WaitReason::Rate },
            _ => return Err(corrupt(&key(), "the gate's answer is unknown")),
        })
    }

    async fn pass(&self, entry: &Entry, now: Timestamp) -> Result<Passage, StoreError> {
        let mut answer = self.gate(entry, now, "").await?;
        if let Answer::Leased { owner, .. } = &answer
            && !self.is_alive(owner).await?
        {
            answer = self.gate(entry, now, &owner.clone()).await?;
        }
        Ok(match answer {
            Answer::Go => Passage::Go,
            Answer::Skip => Passage::Skip,
            Answer::Held { until, reason } => Passage::Wait { until, reason },
            Answer::Leased { until, .. } => {
                let until = until.min(now.after(kept::LOOK_AGAIN));
                Passage::Wait { until, reason: WaitReason::Leased }
            }
        })
    }

    async fn is_alive(&self, owner: &str) -> Result<bool, StoreError> {
        let Ok(owner) = owner.parse::<WorkerId>() else {
            return Ok(false);
        };
        let alive = self.connection().exists(keys::worker(&owner)).await;
        alive.map_err(|error| store_error(&error))
    }

    async fn restage(
        &self,
        (event, endpoint): (&EventId, &EndpointId),
        generation: Generation,
        (stage, which): (Stage, &str),
    ) -> Result<(), StoreError> {
        let mut restage = RESTAGE.key(keys::delivery(endpoint, event));
        restage.arg(generation.get()).arg(stage.label()).arg(millis(kept::DEAD)).arg(which);
        let restaged = restage.invoke_async::<()>(&mut self.connection()).await;
        restaged.map_err(|error| store_error(&error))
    }

    async fn progress(
        &self,
        event: &EventId,
        endpoint: EndpointId,
    ) -> Result<Progress, StoreError> {
        let fields = self.connection().hgetall(keys::delivery(&endpoint, event)).await;
        let fields: HashMap<String, String> = fields.map_err(|error| store_error(&error))?;
        let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        let updated_at = field("t").parse().ok().map(Timestamp::from_unix_ms);
        Ok(Progress {
            endpoint,
            stage: Stage::from_label(field("s")).unwrap_or(Stage::Pending),
            attempts: field("a").parse().unwrap_or(0),
            http_status: field("h").parse().ok(),
            generation: Generation::new(field("g").parse().unwrap_or(0)),
            updated_at,
        })
    }

    /// An event must be remembered for as long as its deliveries are. Most are delivered at once,
    /// and cost no round trip here.
    async fn keep_event(&self, event: &EventId, stage: Stage) -> Result<(), StoreError> {
        if kept::delivery(stage, self.status_ttl) <= self.status_ttl {
            return Ok(());
        }
        // `GT`: never shortened.
        let mut keep = redis::cmd("PEXPIRE");
        keep.arg(keys::event(event)).arg(millis(kept::delivery(stage, self.status_ttl))).arg("GT");
        self.ask::<i64>(&keep).await.map(drop)
    }
}

#[async_trait]
impl DeliveryStore for RedisStore {
    async fn remember_event(
        &self,
        event: &Event,
        endpoints: Option<&[EndpointId]>,
    ) -> Result<(), StoreError> {
        let mut fields = vec![
            ("tenant".to_owned(), event.tenant.to_string()),
            ("type".to_owned(), event.event_type.to_string()),
            ("timestamp".to_owned(), event.timestamp.unix_ms().to_string()),
            ("accepted_at".to_owned(), event.accepted_at.unix_ms().to_string()),
        ];
        let project = event.project.as_ref();
        fields.extend(project.map(|project| ("project".to_owned(), project.to_string())));
        fields.extend(endpoints.map(|_| ("fanned_out".to_owned(), "1".to_owned())));
        let to = |id: &EndpointId| (format!("{TO}{id}"), String::new());
        // What stands first says that all are there, and is written last.
        let mut chunks = endpoints.unwrap_or_default().chunks(FIELDS_MAX);
        fields.extend(chunks.next().unwrap_or_default().iter().map(to));
        let rest = chunks.map(|chunk| chunk.iter().map(to).collect());
        for fields in rest.chain(std::iter::once(fields)) {
            let key = keys::event(&event.id);
            self.batches.remember(Remembering { key, fields, ttl: self.status_ttl }).await?;
        }
        Ok(())
    }

    async fn event_status(
        &self,
        tenant: &TenantId,
        id: &EventId,
    ) -> Result<Option<EventStatus>, StoreError> {
        let key = keys::event(id);
        let fields = self.connection().hgetall(&key).await;
        let fields: HashMap<String, String> = fields.map_err(|error| store_error(&error))?;
        if fields.get("tenant").map(String::as_str) != Some(tenant.as_str()) {
            return Ok(None);
        }
        let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        let time = |name: &str| {
            field(name).parse().map(Timestamp::from_unix_ms).map_err(|error| corrupt(&key, error))
        };
        let ids = fields.keys().filter_map(|name| name.strip_prefix(TO));
        let ids = ids.map(str::parse::<EndpointId>);
        let mut ids: Vec<_> =
            ids.collect::<Result<_, _>>().map_err(|error| corrupt(&key, error))?;
        ids.sort();
        let deliveries = try_join_all(ids.into_iter().map(|to| self.progress(id, to))).await?;
        Ok(Some(EventStatus {
            id: id.clone(),
            tenant: tenant.clone(),
            event_type: field("type").parse().map_err(|error| corrupt(&key, error))?,
            project: fields.get("project").and_then(|project| project.parse().ok()),
            timestamp: time("timestamp")?,
            accepted_at: time("accepted_at")?,
            fanned_out: fields.contains_key("fanned_out"),
            deliveries,
        }))
    }

    async fn enter(&self, entries: &[Entry], now: Timestamp) -> Result<Vec<Passage>, StoreError> {
        // The connection is multiplexed: calls made at once share a round trip.
        try_join_all(entries.iter().map(|entry| self.pass(entry, now))).await
    }

    async fn record(&self, settlement: &Settlement<'_>) -> Result<Recorded, StoreError> {
        let Settlement { event, endpoint, generation, attempt, stage, now } = *settlement;
        let delivery = keys::delivery(endpoint, &event.id);
        let line = attempt.map(serde_json::to_string).transpose();
        let summary = attempt.map(|attempt| &attempt.summary);
        let settling = Settling {
            endpoint: endpoint.clone(),
            line: line.map_err(|error| corrupt(&delivery, error))?,
            delivery,
            now,
            generation: generation.get(),
            attempt: summary.map_or(0, |summary| summary.attempt.get()),
            stage: stage.label(),
            success: attempt.is_some_and(|attempt| attempt.success),
            http_status: summary.and_then(|summary| summary.http_status),
            ttl: kept::delivery(stage, self.status_ttl),
        };
        let recorded = self.batches.settle(settling);
        let (recorded, ()) = try_join(recorded, self.keep_event(&event.id, stage)).await?;
        let failed = recorded.first && attempt.is_some_and(|attempt| !attempt.success);
        if failed && recorded.failure_count >= BREAKER_OPENS_AFTER {
            self.list_broken(endpoint, now).await;
        }
        Ok(recorded)
    }

    async fn broken_endpoints(
        &self,
        max: usize,
    ) -> Result<Vec<(EndpointId, Timestamp)>, StoreError> {
        self.broken(max).await
    }

    async fn reopen(
        &self,
        event: &EventId,
        endpoint: &EndpointId,
        generation: Generation,
    ) -> Result<(), StoreError> {
        self.restage((event, endpoint), generation, (Stage::Pending, "new")).await
    }

    async fn discard(
        &self,
        event: &EventId,
        endpoint: &EndpointId,
        generation: Generation,
    ) -> Result<(), StoreError> {
        self.restage((event, endpoint), generation, (Stage::Discarded, "any")).await
    }

    async fn still_alive(&self, worker: &WorkerId) -> Result<(), StoreError> {
        let key = keys::worker(worker);
        let given = self.connection().pset_ex(key, 1, millis(kept::LIFE_SIGN_TTL)).await;
        given.map_err(|error| store_error(&error))
    }
}
