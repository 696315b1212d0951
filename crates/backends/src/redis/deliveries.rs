//! The gate, the record, and what became of events.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryFutureExt;
use futures_util::future::{try_join, try_join_all};
use hookfleet_domain::{
    BREAKER_HEAD_START, BREAKER_HORIZON, BREAKER_OPEN_MAX, BREAKER_OPEN_MIN, BREAKER_OPENS_AFTER,
    BREAKER_STAGGER, EndpointId, Event, EventId, Generation, TenantId, Timestamp, WorkerId, limits,
};
use hookfleet_store::{
    DeliveryStore, Entry, EventStatus, Passage, Progress, Recorded, Settlement, Stage, StoreError,
    WaitReason,
};
use redis::AsyncCommands;

use super::scripts::{GATE, RECORD, RESTAGE};
use super::{RedisStore, corrupt, keys, millis, store_error};

/// A worker that gave no sign of life for so long is taken for gone.
const LIFE_SIGN_TTL: Duration = Duration::from_secs(4);
/// A delivery leased elsewhere is looked at again after this: its worker may have died meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
const DEAD_KEPT: Duration = Duration::from_hours(168);
const ATTEMPTS_KEPT: Duration = Duration::from_hours(30 * 24);
const HEALTH_KEPT: Duration = Duration::from_hours(90 * 24);

/// What the gate's script said.
enum Answer {
    Go,
    Skip,
    Leased { owner: String, until: Timestamp },
    Held { until: Timestamp, reason: WaitReason },
}

impl RedisStore {
    async fn gate(&self, entry: &Entry, now: Timestamp, gone: &str) -> Result<Answer, StoreError> {
        let key = keys::delivery(&entry.endpoint, &entry.event);
        let ttl = entry.lease_until.since(now) + self.status_ttl;
        let mut gate = GATE.key(&key);
        gate.key(keys::health(&entry.endpoint));
        gate.arg(now.unix_ms()).arg(entry.generation.get()).arg(entry.attempt.get());
        gate.arg(entry.owner.as_str()).arg(entry.lease_until.unix_ms()).arg(gone).arg(millis(ttl));
        gate.arg(entry.patient_until.map_or(0, Timestamp::unix_ms));
        gate.arg(entry.rate.map_or(0, |rate| rate.interval().as_micros().max(1)));
        gate.arg(millis(BREAKER_STAGGER)).arg(millis(BREAKER_HORIZON)).arg(millis(HEALTH_KEPT));
        gate.arg(millis(BREAKER_HEAD_START));
        let answer = gate.invoke_async(&mut self.connection()).await;
        let answer: Vec<String> = answer.map_err(|error| store_error(&error))?;
        let answer: Vec<&str> = answer.iter().map(String::as_str).collect();
        match answer.as_slice() {
            ["go"] => Ok(Answer::Go),
            ["skip"] => Ok(Answer::Skip),
            [held, owner, until] => {
                let until = until.parse().map_err(|error| corrupt(&key, error))?;
                let until = Timestamp::from_unix_ms(until);
                Ok(match *held {
                    "wait" => Answer::Leased { owner: (*owner).to_owned(), until },
                    "breaker" => Answer::Held { until, reason: WaitReason::Breaker },
                    "rate" => Answer::Held { until, reason: WaitReason::Rate },
                    _ => return Err(corrupt(&key, "the gate's answer is unknown")),
                })
            }
            _ => Err(corrupt(&key, "the gate's answer is unknown")),
        }
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
                let until = until.min(now.after(LOOK_AGAIN));
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
        restage.arg(generation.get()).arg(stage.label()).arg(millis(DEAD_KEPT)).arg(which);
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
        if self.kept(stage) <= self.status_ttl {
            return Ok(());
        }
        let mut pipe = redis::pipe();
        for key in [keys::event(event), keys::event_endpoints(event)] {
            // `GT`: never shortened.
            pipe.cmd("PEXPIRE").arg(key).arg(millis(self.kept(stage)));
            pipe.arg("GT").ignore();
        }
        self.ask_all(&pipe).await
    }

    /// A retry must be remembered for as long as it can wait.
    fn kept(&self, stage: Stage) -> Duration {
        match stage {
            Stage::Dead | Stage::Discarded => DEAD_KEPT,
            Stage::Retrying => limits::RETRY_WAIT_MAX * 2 + self.status_ttl,
            Stage::Pending | Stage::Delivered => self.status_ttl,
        }
    }
}

#[async_trait]
impl DeliveryStore for RedisStore {
    async fn remember_event(
        &self,
        event: &Event,
        endpoints: Option<&[EndpointId]>,
    ) -> Result<(), StoreError> {
        let key = keys::event(&event.id);
        let ttl = i64::try_from(millis(self.status_ttl)).unwrap_or(i64::MAX);
        let mut fields = vec![
            ("tenant", event.tenant.to_string()),
            ("type", event.event_type.to_string()),
            ("timestamp", event.timestamp.unix_ms().to_string()),
            ("accepted_at", event.accepted_at.unix_ms().to_string()),
        ];
        fields.extend(event.project.as_ref().map(|project| ("project", project.to_string())));
        fields.extend(endpoints.map(|_| ("fanned_out", "1".to_owned())));
        let mut pipe = redis::pipe();
        // At once, so that nothing stays behind without an expiry.
        pipe.atomic();
        pipe.hset_multiple(&key, &fields).ignore().pexpire(&key, ttl).ignore();
        if let Some(endpoints) = endpoints.filter(|endpoints| !endpoints.is_empty()) {
            let ids: Vec<&str> = endpoints.iter().map(EndpointId::as_str).collect();
            let to = keys::event_endpoints(&event.id);
            pipe.sadd(&to, ids).ignore().pexpire(&to, ttl).ignore();
        }
        self.ask_all(&pipe).await
    }

    async fn event_status(
        &self,
        tenant: &TenantId,
        id: &EventId,
    ) -> Result<Option<EventStatus>, StoreError> {
        let key = keys::event(id);
        let mut pipe = redis::pipe();
        pipe.hgetall(&key).smembers(keys::event_endpoints(id));
        let (fields, endpoints): (HashMap<String, String>, Vec<String>) =
            self.ask_all(&pipe).await?;
        if fields.get("tenant").map(String::as_str) != Some(tenant.as_str()) {
            return Ok(None);
        }
        let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        let time = |name: &str| {
            field(name).parse().map(Timestamp::from_unix_ms).map_err(|error| corrupt(&key, error))
        };
        let ids = endpoints.iter().map(|id| id.parse::<EndpointId>());
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
        let Settlement { event, endpoint, generation, attempt, stage, now } = settlement;
        let key = keys::delivery(endpoint, &event.id);
        let line = attempt.map(serde_json::to_string).transpose();
        let line = line.map_err(|error| corrupt(&key, error))?;
        let summary = attempt.map(|attempt| &attempt.summary);
        let status = summary.and_then(|summary| summary.http_status);
        let mut record = RECORD.key(&key);
        record.key(keys::health(endpoint)).key(keys::attempts(endpoint));
        record.arg(now.unix_ms()).arg(generation.get());
        record.arg(summary.map_or(0, |summary| summary.attempt.get())).arg(stage.label());
        record.arg(u8::from(attempt.is_some_and(|attempt| attempt.success)));
        record.arg(status.map_or_else(String::new, |status| status.to_string()));
        record.arg(line.unwrap_or_default()).arg(limits::ATTEMPTS_KEPT_MAX);
        record.arg(millis(self.kept(*stage))).arg(millis(ATTEMPTS_KEPT)).arg(millis(HEALTH_KEPT));
        record.arg(BREAKER_OPENS_AFTER).arg(millis(BREAKER_OPEN_MIN)).arg(millis(BREAKER_OPEN_MAX));
        let mut connection = self.connection();
        let recorded = record.invoke_async(&mut connection);
        let recorded = recorded.map_err(|error| store_error(&error));
        let ((first, failure_count), ()) =
            try_join(recorded, self.keep_event(&event.id, *stage)).await?;
        Ok(Recorded { first, failure_count })
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
        let given = self.connection().pset_ex(key, 1, millis(LIFE_SIGN_TTL)).await;
        given.map_err(|error| store_error(&error))
    }
}
