//! The gate and the record for many callers at once: what they ask while others are answered becomes a
//! call of each script, whichever endpoints it is about, and all of it one write.
//!
//! Nobody waits for company: whoever comes alone is served at once. On a Redis Cluster a call could
//! have the endpoints of one slot only; a script for each endpoint made 10,000 of them cost half as
//! much again as one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hookfleet_domain::{
    BREAKER_HEAD_START, BREAKER_HORIZON, BREAKER_OPEN_MAX, BREAKER_OPEN_MIN, BREAKER_OPENS_AFTER,
    BREAKER_STAGGER, EndpointId, Timestamp, WorkerId, limits,
};
use hookfleet_store::{Entry, Recorded, Stage, StoreError, kept};
use redis::{ErrorKind, FromRedisValue, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use super::link::Link;
use super::scripts::{GATE, RECORD};
use super::{corrupt, keys, millis, store_error};

/// Questions that wait to be asked; past that, callers wait to put theirs.
const WAITING_MAX: usize = 8192;
/// Questions in one write. Larger ones are not cheaper, and all that they answer goes on at once: the
/// store would idle while the worker is busy with it, and the worker while the store is.
const TOGETHER_MAX: usize = 64;
/// What is known of an endpoint expires that much earlier at most, so that it need not be told with
/// each attempt.
const EXPIRY_AGE_MAX: Duration = Duration::from_hours(1);
/// Writes that are under way at once: made up, on their way, answered, read. More would be smaller, and
/// a call costs something for each endpoint in it.
const WRITES: usize = 4;

/// A worker before the gate.
pub struct Entering {
    pub entry: Entry,
    pub now: Timestamp,
    /// An owner of leases that is known to be gone.
    pub gone: Option<WorkerId>,
    pub ttl: Duration,
}

/// What the gate's script said; see there.
pub type Answer = Value;

/// A settled attempt, as the script takes it.
pub struct Settling {
    pub endpoint: EndpointId,
    pub delivery: String,
    pub now: Timestamp,
    pub generation: u32,
    /// 0: none was made.
    pub attempt: u32,
    pub stage: &'static str,
    pub http_status: Option<u16>,
    pub line: Option<String>,
    pub ttl: Duration,
}

/// An event, and whom it is for.
pub struct Remembering {
    pub key: String,
    pub fields: Vec<(String, String)>,
    pub ttl: Duration,
}

/// An event that a worker begins with; what is kept of it is kept once.
pub struct Begin {
    pub key: String,
    pub value: String,
    pub ttl: Duration,
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

enum Question {
    Enter(Entering, Reply<Answer>),
    Settle(Settling, Reply<Recorded>),
    Remember(Remembering, Reply<()>),
    Begin(Begin, Reply<bool>),
}

/// Takes questions; its task ends with the last of its clones.
#[derive(Clone)]
pub struct Batches {
    questions: mpsc::Sender<Question>,
    _task: Arc<JoinSet<()>>,
}

impl Batches {
    pub fn over(link: Link) -> Self {
        let (questions, waiting) = mpsc::channel(WAITING_MAX);
        let mut task = JoinSet::new();
        task.spawn(ask_all(link, waiting));
        Self { questions, _task: Arc::new(task) }
    }

    pub async fn enter(&self, entering: Entering) -> Result<Answer, StoreError> {
        self.ask(|reply| Question::Enter(entering, reply)).await
    }

    pub async fn settle(&self, settling: Settling) -> Result<Recorded, StoreError> {
        self.ask(|reply| Question::Settle(settling, reply)).await
    }

    pub async fn remember(&self, remembering: Remembering) -> Result<(), StoreError> {
        self.ask(|reply| Question::Remember(remembering, reply)).await
    }

    /// Was this kept, now or by an earlier question that was the same?
    pub async fn begin(&self, begin: Begin) -> Result<bool, StoreError> {
        self.ask(|reply| Question::Begin(begin, reply)).await
    }

    async fn ask<T>(&self, question: impl FnOnce(Reply<T>) -> Question) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let gone = || StoreError::Unavailable("the store is closed".to_owned());
        self.questions.reserve().await.map_err(|_| gone())?.send(question(reply));
        answer.await.map_err(|_| gone())?
    }
}

async fn ask_all(link: Link, mut waiting: mpsc::Receiver<Question>) {
    let (writes, mut under_way) = (Arc::new(Semaphore::new(WRITES)), JoinSet::new());
    let mut questions = Vec::with_capacity(TOGETHER_MAX);
    loop {
        // The permit first: what comes meanwhile goes along.
        let Ok(permit) = Arc::clone(&writes).acquire_owned().await else {
            return;
        };
        if waiting.recv_many(&mut questions, TOGETHER_MAX).await == 0 {
            return;
        }
        let (calls, mut link) = (calls(std::mem::take(&mut questions)), link.clone());
        under_way.spawn(async move {
            ask_together(&mut link, calls).await;
            drop(permit);
        });
        while under_way.try_join_next().is_some() {}
    }
}

/// One call of a script, or of none.
enum Call {
    Enter(Vec<(Entering, Reply<Answer>)>),
    Settle(Vec<(Settling, Reply<Recorded>)>),
    Remember(Remembering, Reply<()>),
    Begin(Begin, Reply<bool>),
}

fn calls(questions: Vec<Question>) -> Vec<Call> {
    let (mut entering, mut settling, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for question in questions {
        match question {
            Question::Enter(asked, reply) => entering.push((asked, reply)),
            Question::Settle(asked, reply) => settling.push((asked, reply)),
            Question::Remember(asked, reply) => calls.push(Call::Remember(asked, reply)),
            Question::Begin(asked, reply) => calls.push(Call::Begin(asked, reply)),
        }
    }
    calls.extend((!entering.is_empty()).then_some(Call::Enter(entering)));
    calls.extend((!settling.is_empty()).then_some(Call::Settle(settling)));
    calls
}

/// The endpoints of a call; a script knows each by its number, from 1.
#[derive(Default)]
struct Numbered<'a> {
    numbers: HashMap<&'a EndpointId, usize>,
    in_order: Vec<&'a EndpointId>,
}

impl<'a> Numbered<'a> {
    fn of(endpoints: impl Iterator<Item = &'a EndpointId>) -> Self {
        let mut all = Self::default();
        for endpoint in endpoints {
            all.numbers.entry(endpoint).or_insert_with(|| {
                all.in_order.push(endpoint);
                all.in_order.len()
            });
        }
        all
    }

    fn number(&self, endpoint: &EndpointId) -> usize {
        self.numbers.get(endpoint).copied().unwrap_or_default()
    }
}

async fn ask_together(link: &mut Link, calls: Vec<Call>) {
    let mut pipe = redis::pipe();
    for call in &calls {
        call.write(&mut pipe);
    }
    let mut answers: RedisResult<Vec<Value>> = pipe.query_async(link).await;
    if let Err(error) = &answers
        && error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
    {
        // All scripts come and go together: none was run, and the rest may be written twice.
        answers = match load(link).await {
            Ok(()) => pipe.query_async(link).await,
            Err(error) => Err(error),
        };
    }
    match answers {
        Ok(answers) => {
            for (call, answer) in calls.into_iter().zip(answers) {
                call.answer(answer);
            }
        }
        Err(error) => calls.into_iter().for_each(|call| call.fail(&error)),
    }
}

async fn load(link: &mut Link) -> RedisResult<()> {
    let mut pipe = redis::pipe();
    pipe.atomic();
    for script in [&GATE, &RECORD] {
        pipe.load_script(script).ignore();
    }
    pipe.query_async(link).await
}

impl Call {
    fn write(&self, pipe: &mut Pipeline) {
        match self {
            Self::Enter(all) => write_entering(pipe, all),
            Self::Settle(all) => write_settling(pipe, all),
            Self::Remember(Remembering { key, fields, ttl }, _) => {
                // No script, which costs twice as much: whoever is cut off in between asks again.
                pipe.hset_multiple(key, fields).ignore();
                pipe.cmd("PEXPIRE").arg(key).arg(millis(*ttl));
            }
            Self::Begin(Begin { key, value, ttl }, _) => {
                let set = pipe.cmd("SET").arg(key).arg(value);
                set.arg("NX").arg("GET").arg("PX").arg(millis(*ttl));
            }
        }
    }

    fn answer(self, answer: Value) {
        match self {
            Self::Enter(all) => {
                let mut answers = answer.into_sequence().unwrap_or_default().into_iter();
                for (Entering { entry, .. }, reply) in all {
                    let too_little =
                        || corrupt(entry.endpoint.as_str(), "the gate said too little");
                    // Whoever asked may have gone; the lease ends by itself.
                    drop(reply.send(answers.next().ok_or_else(too_little)));
                }
            }
            Self::Settle(all) => {
                let numbers = Vec::<u64>::from_redis_value(answer).unwrap_or_default();
                let mut numbers = numbers.into_iter();
                for (Settling { endpoint, .. }, reply) in all {
                    let answer = match (numbers.next(), numbers.next()) {
                        (Some(first), Some(failure_count)) => {
                            Ok(Recorded { first: first == 1, failure_count })
                        }
                        _ => Err(corrupt(endpoint.as_str(), "the record said too little")),
                    };
                    drop(reply.send(answer));
                }
            }
            Self::Remember(_, reply) => drop(reply.send(Ok(()))),
            Self::Begin(Begin { value, .. }, reply) => {
                let before = Option::<String>::from_redis_value(answer);
                let kept = before.is_ok_and(|before| before.is_none_or(|before| before == value));
                drop(reply.send(Ok(kept)));
            }
        }
    }

    fn fail(self, error: &RedisError) {
        match self {
            Self::Enter(all) => {
                for (_, reply) in all {
                    drop(reply.send(Err(store_error(error))));
                }
            }
            Self::Settle(all) => {
                for (_, reply) in all {
                    drop(reply.send(Err(store_error(error))));
                }
            }
            Self::Remember(_, reply) => drop(reply.send(Err(store_error(error)))),
            Self::Begin(_, reply) => drop(reply.send(Err(store_error(error)))),
        }
    }
}

fn write_entering(pipe: &mut Pipeline, all: &[(Entering, Reply<Answer>)]) {
    let endpoints = Numbered::of(all.iter().map(|(Entering { entry, .. }, _)| &entry.endpoint));
    pipe.cmd("EVALSHA").arg(GATE.get_hash()).arg(endpoints.in_order.len() + 2 * all.len());
    for endpoint in &endpoints.in_order {
        pipe.arg(keys::health(endpoint));
    }
    for (Entering { entry, .. }, _) in all {
        pipe.arg(keys::delivery(&entry.endpoint, &entry.event)).arg(keys::begun(&entry.event));
    }
    let now = all.iter().map(|(Entering { now, .. }, _)| now.unix_ms()).max();
    pipe.arg(endpoints.in_order.len()).arg(now.unwrap_or_default());
    pipe.arg(millis(BREAKER_STAGGER)).arg(millis(BREAKER_HORIZON));
    pipe.arg(millis(kept::HEALTH)).arg(millis(BREAKER_HEAD_START));
    for (Entering { entry, now, gone, ttl }, _) in all {
        let Entry { generation, attempt, owner, lease_until, .. } = entry;
        let stage = if attempt.get() > 1 { Stage::Retrying } else { Stage::Pending };
        let (generation, stage) = (generation.get(), stage.label());
        let (until, now) = (lease_until.unix_ms(), now.unix_ms());
        let interval_us = entry.rate.map_or(0, |rate| rate.interval().as_micros());
        let patient_until = entry.patient_until.map_or(0, Timestamp::unix_ms);
        let gone = gone.as_ref().map_or("-", WorkerId::as_str);
        pipe.arg(endpoints.number(&entry.endpoint));
        pipe.arg(format!("{generation} 0 {stage} {owner} {until} 0 {now} 0")).arg(millis(*ttl));
        pipe.arg(u64::try_from(interval_us).unwrap_or(u64::MAX));
        pipe.arg(format!("{} {patient_until} {gone}", attempt.get()));
    }
}

fn write_settling(pipe: &mut Pipeline, all: &[(Settling, Reply<Recorded>)]) {
    let endpoints = Numbered::of(all.iter().map(|(settling, _)| &settling.endpoint));
    pipe.cmd("EVALSHA").arg(RECORD.get_hash()).arg(2 * endpoints.in_order.len() + all.len());
    for endpoint in &endpoints.in_order {
        pipe.arg(keys::health(endpoint)).arg(keys::attempts(endpoint));
    }
    for (settling, _) in all {
        pipe.arg(&settling.delivery);
    }
    let now = all.iter().map(|(settling, _)| settling.now.unix_ms()).max();
    pipe.arg(endpoints.in_order.len()).arg(now.unwrap_or_default());
    pipe.arg(limits::ATTEMPTS_KEPT_MAX).arg(millis(kept::ATTEMPTS)).arg(millis(kept::HEALTH));
    pipe.arg(millis(EXPIRY_AGE_MAX)).arg(BREAKER_OPENS_AFTER);
    pipe.arg(millis(BREAKER_OPEN_MIN)).arg(millis(BREAKER_OPEN_MAX));
    for (settling, _) in all {
        pipe.arg(endpoints.number(&settling.endpoint));
        pipe.arg(settling.generation).arg(settling.attempt).arg(settling.stage);
        pipe.arg(settling.http_status.unwrap_or_default());
        pipe.arg(settling.line.as_deref().unwrap_or_default()).arg(millis(settling.ttl));
    }
}
