//! A connection that always comes back.
//!
//! The manager of the `redis` crate connects again after every failure of the network, but a login
//! that was refused once (as while a password is being changed) it takes for final, and answers with
//! it for ever. Here a refused login is tried again by the next call.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, Value};
use tokio::time::Instant;

use crate::BackendMetrics;

/// Cheap to clone; all clones share one connection.
#[derive(Clone)]
pub struct Link {
    client: Client,
    config: ConnectionManagerConfig,
    current: Arc<Mutex<Numbered>>,
    metrics: Option<BackendMetrics>,
}

/// The manager in use, and how many there were before it.
#[derive(Clone)]
struct Numbered {
    number: u64,
    manager: ConnectionManager,
}

impl Link {
    /// Connects.
    pub async fn connect(
        client: Client,
        config: ConnectionManagerConfig,
        metrics: Option<BackendMetrics>,
    ) -> RedisResult<Self> {
        let connected = client.get_connection_manager_with_config(config.clone());
        let manager = connected.await?;
        let current = Arc::new(Mutex::new(Numbered { number: 0, manager }));
        Ok(Self { client, config, current, metrics })
    }

    /// Counts an answer, and acts on a login that was refused.
    fn heard<T>(&self, answer: RedisResult<T>, by: u64, asked: Instant) -> RedisResult<T> {
        if let Some(metrics) = &self.metrics {
            metrics.redis_answered(&answer, asked.elapsed());
        }
        answer.inspect_err(|error| self.replace_refused(by, error))
    }

    fn current(&self) -> Numbered {
        let current = self.current.lock();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a new manager, which connects when it is first used, in the place of one whose login was
    /// refused.
    fn replace_refused(&self, refused: u64, error: &RedisError) {
        if error.kind() != ErrorKind::AuthenticationFailed {
            return;
        }
        let (client, config) = (self.client.clone(), self.config.clone());
        let Ok(manager) = ConnectionManager::new_lazy_with_config(client, config) else {
            return;
        };
        let current = self.current.lock();
        let mut current = current.unwrap_or_else(PoisonError::into_inner);
        // Calls that failed at once replace it once.
        if current.number == refused {
            let number = refused + 1;
            *current = Numbered { number, manager };
        }
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        let mut current = self.current();
        async move {
            let asked = Instant::now();
            let answer = current.manager.req_packed_command(command).await;
            self.heard(answer, current.number, asked)
        }
        .boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let mut current = self.current();
        async move {
            let (asked, manager) = (Instant::now(), &mut current.manager);
            let answers = manager.req_packed_commands(commands, offset, count).await;
            self.heard(answers, current.number, asked)
        }
        .boxed()
    }

    fn get_db(&self) -> i64 {
        self.current().manager.get_db()
    }
}
