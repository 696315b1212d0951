//! The gate, the record, and what became of events.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use futures_util::future::try_join_all;
use hookfleet_domain::{
    BREAKER_OPENS_AFTER, EndpointId, Event, EventId, EventType, Generation, ProjectId, TenantId,
    Timestamp, WorkerId,
};
use hookfleet_store::{
    Beginning, DeliveryStore, Entry, EventStatus, Page, PageRequest, Passage, Planned, Progress,
    Recorded, Settlement, Stage, StoreError, WaitReason, kept,
};
use redis::{AsyncCommands, FromRedisValue, Value};

use super::batches::{Begin, Entering, Remembering, Settling};
use super::scripts::RESTAGE;
use super::{RedisStore, corrupt, keys, millis, store_error};

/// Endpoints in one call: Lua passes on a few thousand values at most.
const FIELDS_MAX: usize = 1000;
/// The field of an event with what [`about`] says of it.
const ABOUT: &str = "about";
/// The field that says that all endpoints are there.
const FANNED_OUT: &str = "all";
/// Before an endpoint's id: the name of a field of an event that is for it.
const TO: &str = "to:";

/// What the gate's script said.
enum Answer {
    Go,
    Skip,
    Leased { owner: WorkerId, until: Timestamp },
    Held { until: Timestamp, reason: WaitReason },
}

impl Answer {
    fn read(value: &Value) -> Option<Self> {
        if let Value::BulkString(text) = value {
            return Self::parse(str::from_utf8(text).ok()?);
        }
        bool::from_redis_value_ref(value).ok().map(|go| if go { Self::Go } else { Self::Skip })
    }

    fn parse(text: &str) -> Option<Self> {
        let until = |text: &str| text.parse().ok().map(Timestamp::from_unix_ms);
        let held = |text, reason| Some(Self::Held { until: until(text)?, reason });
        let mut words = text.split(' ');
        match (words.next()?, words.next(), words.next()) {
            ("wait", Some(owner), Some(text)) => {
                Some(Self::Leased { owner: owner.parse().ok()?, until: until(text)? })
            }
            ("breaker", Some(text), None) => held(text, WaitReason::Breaker),
            ("rate", Some(text), None) => held(text, WaitReason::Rate),
            _ => None,
        }
    }
}

impl RedisStore {
    async fn gate(
        &self,
        entry: &Entry,
        now: Timestamp,
        gone: Option<WorkerId>,
    ) -> Result<Answer, StoreError> {
        let ttl = entry.lease_until.since(now) + self.status_ttl;
        let entering = Entering { entry: entry.clone(), now, gone, ttl };
        let answer = self.batches.enter(entering).await?;
        Answer::read(&answer).ok_or_else(|| {
            let key = keys::delivery(&entry.endpoint, &entry.event);
            corrupt(&key, format!("the gate answered {answer:?}"))
        })
    }

    async fn is_alive(&self, owner: &WorkerId) -> Result<bool, StoreError> {
        let alive = self.connection().exists(keys::worker(owner)).await;
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

    /// What is known of an event: about what it is, for whom, each once and in order, and whether those are
    /// all of them.
    async fn known(
        &self,
        id: &EventId,
    ) -> Result<Option<(About, Vec<EndpointId>, bool)>, StoreError> {
        let key = keys::event(id);
        let mut pipe = redis::pipe();
        pipe.hgetall(&key).get(keys::begun(id));
        let known = pipe.query_async(&mut self.connection()).await;
        let (fields, begun): (HashMap<String, String>, Option<String>) =
            known.map_err(|error| store_error(&error))?;
        let begun = begun.as_deref().and_then(read_begun);
        let fanned_out = begun.is_some() || fields.contains_key(FANNED_OUT);
        let (about_it, to) = begun.unzip();
        let Some(about) = about_it.or(fields.get(ABOUT).map(String::as_str)) else {
            return Ok(None);
        };
        let Some(about) = About::parse(about) else {
            return Err(corrupt(&key, format!("it is about {about:?}")));
        };
        let ids = fields.keys().filter_map(|name| name.strip_prefix(TO));
        let ids = ids.chain(to.into_iter().flatten()).map(str::parse);
        let ids: BTreeSet<EndpointId> =
            ids.collect::<Result<_, _>>().map_err(|error| corrupt(&key, error))?;
        Ok(Some((about, ids.into_iter().collect(), fanned_out)))
    }

    async fn progress(
        &self,
        event: &EventId,
        endpoint: EndpointId,
    ) -> Result<Progress, StoreError> {
        let key = keys::delivery(&endpoint, event);
        let known = self.connection().get(&key).await;
        let known: Option<String> = known.map_err(|error| store_error(&error))?;
        let Some(known) = known else {
            return Ok(Progress {
                endpoint,
                stage: Stage::Pending,
                attempts: 0,
                http_status: None,
                generation: Generation::new(0),
                updated_at: None,
            });
        };
        progress(endpoint, &known).ok_or_else(|| corrupt(&key, format!("it is {known:?}")))
    }

    /// An event must be remembered for as long as its deliveries are. Most are delivered at once, and
    /// do not ask for it.
    async fn keep_event(&self, event: &EventId, stage: Stage) -> Result<(), StoreError> {
        // `GT`: never shortened.
        let ttl = millis(kept::delivery(stage, self.status_ttl));
        let mut pipe = redis::pipe();
        for key in [keys::event(event), keys::begun(event)] {
            pipe.cmd("PEXPIRE").arg(key).arg(ttl).arg("GT").ignore();
        }
        let kept = pipe.query_async::<()>(&mut self.connection()).await;
        kept.map_err(|error| store_error(&error))
    }
}

/// What is remembered of an event, in one field: none of it has a space.
struct About {
    tenant: TenantId,
    event_type: EventType,
    timestamp: Timestamp,
    accepted_at: Timestamp,
    project: Option<ProjectId>,
}

fn about(event: &Event) -> String {
    let Event { tenant, event_type, timestamp, accepted_at, project, .. } = event;
    let (timestamp, accepted_at) = (timestamp.unix_ms(), accepted_at.unix_ms());
    let project = project.as_ref().map_or("", ProjectId::as_str);
    format!("{tenant} {event_type} {timestamp} {accepted_at} {project}")
}

impl About {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let mut word = || words.next();
        let time = |word: &str| word.parse().ok().map(Timestamp::from_unix_ms);
        Some(Self {
            tenant: word()?.parse().ok()?,
            event_type: word()?.parse().ok()?,
            timestamp: time(word()?)?,
            accepted_at: time(word()?)?,
            project: Some(word()?)
                .filter(|name| !name.is_empty())
                .map(str::parse)
                .transpose()
                .ok()?,
        })
    }
}

/// What is kept of an event that a worker begins with, as gate.lua describes it.
fn begun(beginning: &Beginning<'_>) -> String {
    let Beginning { event, deliveries, owner, lease_until } = beginning;
    let mut begun = format!("{}\n{owner} {}\n", about(event), lease_until.unix_ms());
    for Planned { endpoint, ready } in *deliveries {
        begun.extend(ready.then_some('+'));
        begun.push_str(endpoint.as_str());
        begun.push(' ');
    }
    begun
}

/// What [`begun`] says: about what the event is, and for whom.
fn read_begun(begun: &str) -> Option<(&str, impl Iterator<Item = &str>)> {
    let mut lines = begun.split('\n');
    let (about, _lease, to) = (lines.next()?, lines.next()?, lines.next()?);
    Some((about, to.split_terminator(' ').map(|to| to.trim_start_matches('+'))))
}

/// Reads what gate.lua describes.
fn progress(endpoint: EndpointId, known: &str) -> Option<Progress> {
    let mut words = known.split(' ');
    let generation = Generation::new(words.next()?.parse().ok()?);
    let attempts = words.next()?.parse().ok()?;
    let stage = Stage::from_label(words.next()?)?;
    // Whose lease it is, until when, and what the rate gave it.
    let at_ms: i64 = words.nth(3)?.parse().ok()?;
    let http_status = words.next()?.parse().ok().filter(|status| *status > 0);
    let updated_at = (at_ms > 0).then(|| Timestamp::from_unix_ms(at_ms));
    Some(Progress { endpoint, stage, attempts, http_status, generation, updated_at })
}

#[async_trait]
impl DeliveryStore for RedisStore {
    async fn remember_event(
        &self,
        event: &Event,
        endpoints: Option<&[EndpointId]>,
    ) -> Result<(), StoreError> {
        let mut fields = vec![(ABOUT.to_owned(), about(event))];
        fields.extend(endpoints.map(|_| (FANNED_OUT.to_owned(), String::new())));
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

    async fn begin(&self, beginning: &Beginning<'_>, _: Timestamp) -> Result<bool, StoreError> {
        let Beginning { event, deliveries, .. } = beginning;
        let (key, value) = (keys::begun(&event.id), begun(beginning));
        if self.batches.begin(Begin { key, value, ttl: self.status_ttl }).await? {
            return Ok(true);
        }
        let endpoints: Vec<_> = deliveries.iter().map(|to| to.endpoint.clone()).collect();
        self.remember_event(event, Some(&endpoints)).await.map(|()| false)
    }

    async fn event_page(
        &self,
        tenant: &TenantId,
        id: &EventId,
        page: &PageRequest,
    ) -> Result<Option<(EventStatus, Option<String>)>, StoreError> {
        let Some((about, mut ids, fanned_out)) = self.known(id).await? else {
            return Ok(None);
        };
        if about.tenant != *tenant {
            return Ok(None);
        }
        ids.retain(|to| page.cursor.as_deref().is_none_or(|cursor| to.as_str() > cursor));
        let Page { items: ids, next_cursor } =
            Page::of_found(ids, page.limit, EndpointId::to_string);
        let deliveries = try_join_all(ids.into_iter().map(|to| self.progress(id, to))).await?;
        let status = EventStatus {
            id: id.clone(),
            tenant: tenant.clone(),
            event_type: about.event_type,
            project: about.project,
            timestamp: about.timestamp,
            accepted_at: about.accepted_at,
            fanned_out,
            deliveries,
        };
        Ok(Some((status, next_cursor)))
    }

    async fn enter(&self, entry: &Entry, now: Timestamp) -> Result<Passage, StoreError> {
        let mut answer = self.gate(entry, now, None).await?;
        if let Answer::Leased { owner, .. } = &answer
            && !self.is_alive(owner).await?
        {
            answer = self.gate(entry, now, Some(owner.clone())).await?;
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
            http_status: summary.and_then(|summary| summary.http_status),
            ttl: kept::delivery(stage, self.status_ttl),
        };
        if kept::delivery(stage, self.status_ttl) > self.status_ttl {
            Box::pin(self.keep_event(&event.id, stage)).await?;
        }
        let recorded = self.batches.settle(settling).await?;
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
