//! The gate and the record for many callers at once: what they ask of one endpoint while a call is
//! under way becomes one call of its script, and all of it one write.
//!
//! Nobody waits for company: whoever comes alone is served at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hookfleet_domain::{
    BREAKER_HEAD_START, BREAKER_HORIZON, BREAKER_OPEN_MAX, BREAKER_OPEN_MIN, BREAKER_OPENS_AFTER,
    BREAKER_STAGGER, EndpointId, Timestamp, limits,
};
use hookfleet_store::{Entry, Recorded, StoreError, kept};
use redis::{ErrorKind, FromRedisValue, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use super::link::Link;
use super::scripts::{GATE, RECORD};
use super::{corrupt, keys, millis, store_error};

/// Questions that wait to be asked; past that, callers wait to put theirs.
const WAITING_MAX: usize = 8192;
/// Questions in one write.
const TOGETHER_MAX: usize = 256;
/// Questions in one call of a script: others wait while it runs.
const CALL_MAX: usize = 64;
/// Writes that are under way at once.
const WRITES: usize = 4;

/// A worker before the gate.
pub struct Entering {
    pub entry: Entry,
    pub now: Timestamp,
    /// An owner of leases that is known to be gone, or nothing.
    pub gone: String,
    pub ttl: Duration,
}

/// What the gate's script said: what, whose lease it is, until when.
pub type Answer = [String; 3];

/// A settled attempt, as the script takes it.
pub struct Settling {
    pub endpoint: EndpointId,
    pub delivery: String,
    pub now: Timestamp,
    pub generation: u32,
    /// 0: none was made.
    pub attempt: u32,
    pub stage: &'static str,
    pub success: bool,
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

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

enum Question {
    Enter(Entering, Reply<Answer>),
    Settle(Settling, Reply<Recorded>),
    Remember(Remembering, Reply<()>),
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

    async fn ask<T>(&self, question: impl FnOnce(Reply<T>) -> Question) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let gone = || StoreError::Unavailable("the store is closed".to_owned());
        self.questions.send(question(reply)).await.map_err(|_| gone())?;
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

/// One call of a script.
enum Call {
    Enter(EndpointId, Vec<(Entering, Reply<Answer>)>),
    Settle(EndpointId, Vec<(Settling, Reply<Recorded>)>),
    Remember(Remembering, Reply<()>),
}

/// What is asked of each endpoint, until it is enough for a call.
struct Gathered<T>(HashMap<EndpointId, Vec<T>>);

impl<T> Gathered<T> {
    fn add(&mut self, endpoint: &EndpointId, asked: T) -> Option<Vec<T>> {
        let all = self.0.entry(endpoint.clone()).or_default();
        all.push(asked);
        (all.len() >= CALL_MAX).then(|| std::mem::take(all))
    }

    fn rest(self) -> impl Iterator<Item = (EndpointId, Vec<T>)> {
        self.0.into_iter().filter(|(_, all)| !all.is_empty())
    }
}

fn calls(questions: Vec<Question>) -> Vec<Call> {
    let (mut entering, mut settling) = (Gathered(HashMap::new()), Gathered(HashMap::new()));
    let mut calls = Vec::new();
    for question in questions {
        match question {
            Question::Enter(asked, reply) => {
                let id = asked.entry.endpoint.clone();
                calls.extend(entering.add(&id, (asked, reply)).map(|all| Call::Enter(id, all)));
            }
            Question::Settle(asked, reply) => {
                let id = asked.endpoint.clone();
                calls.extend(settling.add(&id, (asked, reply)).map(|all| Call::Settle(id, all)));
            }
            Question::Remember(asked, reply) => calls.push(Call::Remember(asked, reply)),
        }
    }
    calls.extend(entering.rest().map(|(id, all)| Call::Enter(id, all)));
    calls.extend(settling.rest().map(|(id, all)| Call::Settle(id, all)));
    calls
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
            Self::Enter(endpoint, all) => {
                pipe.cmd("EVALSHA").arg(GATE.get_hash()).arg(all.len() + 1);
                pipe.arg(keys::health(endpoint));
                for (Entering { entry, .. }, _) in all {
                    pipe.arg(keys::delivery(&entry.endpoint, &entry.event));
                }
                pipe.arg(millis(BREAKER_STAGGER)).arg(millis(BREAKER_HORIZON));
                pipe.arg(millis(kept::HEALTH)).arg(millis(BREAKER_HEAD_START));
                for (Entering { entry, now, gone, ttl }, _) in all {
                    pipe.arg(now.unix_ms()).arg(entry.generation.get()).arg(entry.attempt.get());
                    pipe.arg(entry.owner.as_str()).arg(entry.lease_until.unix_ms()).arg(gone);
                    pipe.arg(millis(*ttl)).arg(entry.patient_until.map_or(0, Timestamp::unix_ms));
                    let interval_us = entry.rate.map_or(0, |rate| rate.interval().as_micros());
                    pipe.arg(u64::try_from(interval_us).unwrap_or(u64::MAX));
                }
            }
            Self::Settle(endpoint, all) => {
                pipe.cmd("EVALSHA").arg(RECORD.get_hash()).arg(all.len() + 2);
                pipe.arg(keys::health(endpoint)).arg(keys::attempts(endpoint));
                for (settling, _) in all {
                    pipe.arg(&settling.delivery);
                }
                pipe.arg(limits::ATTEMPTS_KEPT_MAX).arg(millis(kept::ATTEMPTS));
                pipe.arg(millis(kept::HEALTH)).arg(BREAKER_OPENS_AFTER);
                pipe.arg(millis(BREAKER_OPEN_MIN)).arg(millis(BREAKER_OPEN_MAX));
                for (settling, _) in all {
                    let Settling { now, generation, attempt, stage, success, .. } = settling;
                    pipe.arg(now.unix_ms()).arg(generation).arg(attempt).arg(stage);
                    pipe.arg(u8::from(*success));
                    pipe.arg(settling.http_status.map_or_else(String::new, |n| n.to_string()));
                    pipe.arg(settling.line.as_deref().unwrap_or_default());
                    pipe.arg(millis(settling.ttl));
                }
            }
            Self::Remember(Remembering { key, fields, ttl }, _) => {
                // No script, which costs twice as much: whoever is cut off in between asks again.
                pipe.hset_multiple(key, fields).ignore();
                pipe.cmd("PEXPIRE").arg(key).arg(millis(*ttl));
            }
        }
    }

    fn answer(self, answer: Value) {
        match self {
            Self::Enter(endpoint, all) => {
                let texts = Vec::<String>::from_redis_value(answer).unwrap_or_default();
                let mut texts = texts.into_iter();
                for (_, reply) in all {
                    let answer = match (texts.next(), texts.next(), texts.next()) {
                        (Some(what), Some(whose), Some(until)) => Ok([what, whose, until]),
                        _ => Err(corrupt(endpoint.as_str(), "the gate said too little")),
                    };
                    // Whoever asked may have gone; the lease ends by itself.
                    drop(reply.send(answer));
                }
            }
            Self::Settle(endpoint, all) => {
                let numbers = Vec::<u64>::from_redis_value(answer).unwrap_or_default();
                let mut numbers = numbers.into_iter();
                for (_, reply) in all {
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
        }
    }

    fn fail(self, error: &RedisError) {
        match self {
            Self::Enter(_, all) => {
                for (_, reply) in all {
                    drop(reply.send(Err(store_error(error))));
                }
            }
            Self::Settle(_, all) => {
                for (_, reply) in all {
                    drop(reply.send(Err(store_error(error))));
                }
            }
            Self::Remember(_, reply) => drop(reply.send(Err(store_error(error)))),
        }
    }
}
