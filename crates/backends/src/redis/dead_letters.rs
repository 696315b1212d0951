//! The view of the dead letters: by time, and by id.

use async_trait::async_trait;
use hookfleet_domain::{DeadLetter, DeadLetterFilter, DeadLetterId};
use hookfleet_queue::wire;
use hookfleet_store::{DeadLetterStore, Page, PageRequest, StoreError};
use redis::AsyncCommands;

use super::keys::{DEAD_BY_TIME, DEAD_LETTERS};
use super::{RedisStore, corrupt, store_error};

/// Letters read at once.
const CHUNK: isize = 200;
/// Letters looked at for one page: past that it ends early, and its cursor tells where to go on.
const LOOKED_AT_MAX: usize = 10_000;

/// Where a page begins: after this letter, newest first.
struct Cursor {
    died_at_ms: i64,
    id: String,
}

impl Cursor {
    fn read(text: &str) -> Option<Self> {
        let (died_at_ms, id) = text.split_once('_')?;
        Some(Self {
            died_at_ms: died_at_ms.parse().ok()?,
            id: id.to_owned(),
        })
    }

    fn of(letter: &DeadLetter) -> String {
        format!("{}_{}", letter.died_at.unix_ms(), letter.id)
    }

    /// Of two letters with the same time, Redis lists the greater id first.
    fn is_before(&self, letter: &DeadLetter) -> bool {
        let died_at_ms = letter.died_at.unix_ms();
        died_at_ms < self.died_at_ms
            || died_at_ms == self.died_at_ms && letter.id.as_str() < self.id.as_str()
    }
}

impl RedisStore {
    /// A chunk of letters, newest first, from the `offset`-th one not younger than `from_ms`.
    async fn chunk(
        &self,
        filter: &DeadLetterFilter,
        from: Option<&Cursor>,
        offset: isize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let max = match (from, filter.until) {
            (Some(cursor), _) => cursor.died_at_ms.to_string(),
            (None, Some(until)) => format!("({}", until.unix_ms()),
            (None, None) => "+inf".to_owned(),
        };
        let min = filter
            .since
            .map_or_else(|| "-inf".to_owned(), |since| since.unix_ms().to_string());
        let ids = self
            .connection()
            .zrevrangebyscore_limit(DEAD_BY_TIME, max, min, offset, CHUNK)
            .await;
        let ids: Vec<String> = ids.map_err(|error| store_error(&error))?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let letters: Vec<Option<Vec<u8>>> = self
            .ask(redis::cmd("HMGET").arg(DEAD_LETTERS).arg(ids))
            .await?;
        letters
            .into_iter()
            .flatten()
            .map(|bytes| decode(&bytes))
            .collect()
    }
}

fn decode(bytes: &[u8]) -> Result<DeadLetter, StoreError> {
    wire::decode_dead_letter(bytes).map_err(|error| corrupt(DEAD_LETTERS, error))
}

#[async_trait]
impl DeadLetterStore for RedisStore {
    async fn show_dead_letter(&self, letter: &DeadLetter) -> Result<(), StoreError> {
        let id = letter.id.as_str();
        let mut pipe = redis::pipe();
        pipe.atomic()
            .hset(DEAD_LETTERS, id, wire::encode_dead_letter(letter))
            .ignore();
        pipe.zadd(DEAD_BY_TIME, id, letter.died_at.unix_ms())
            .ignore();
        self.ask_all(&pipe).await
    }

    async fn hide_dead_letters(&self, ids: &[DeadLetterId]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let ids: Vec<&str> = ids.iter().map(DeadLetterId::as_str).collect();
        let mut pipe = redis::pipe();
        pipe.atomic()
            .hdel(DEAD_LETTERS, &ids)
            .ignore()
            .zrem(DEAD_BY_TIME, &ids)
            .ignore();
        self.ask_all(&pipe).await
    }

    async fn dead_letter(&self, id: &DeadLetterId) -> Result<Option<DeadLetter>, StoreError> {
        let bytes = self.connection().hget(DEAD_LETTERS, id.as_str()).await;
        let bytes: Option<Vec<u8>> = bytes.map_err(|error| store_error(&error))?;
        bytes.map(|bytes| decode(&bytes)).transpose()
    }

    async fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
        page: &PageRequest,
    ) -> Result<Page<DeadLetter>, StoreError> {
        let from = page.cursor.as_deref().and_then(Cursor::read);
        let (mut items, mut looked_at, mut offset) = (Vec::new(), 0, 0);
        loop {
            let chunk = self.chunk(filter, from.as_ref(), offset).await?;
            if chunk.is_empty() {
                return Ok(Page {
                    items,
                    next_cursor: None,
                });
            }
            offset += CHUNK;
            for letter in chunk {
                if from
                    .as_ref()
                    .is_some_and(|cursor| !cursor.is_before(&letter))
                {
                    continue;
                }
                looked_at += 1;
                let here = Cursor::of(&letter);
                if filter.matches(&letter) {
                    items.push(letter);
                }
                if items.len() >= page.limit || looked_at >= LOOKED_AT_MAX {
                    return Ok(Page {
                        items,
                        next_cursor: Some(here),
                    });
                }
            }
        }
    }

    async fn count_dead_letters(&self, filter: &DeadLetterFilter) -> Result<u64, StoreError> {
        if *filter == DeadLetterFilter::default() {
            let count = self.connection().zcard(DEAD_BY_TIME).await;
            return count.map_err(|error| store_error(&error));
        }
        let (mut count, mut offset) = (0, 0);
        loop {
            let chunk = self.chunk(filter, None, offset).await?;
            if chunk.is_empty() {
                return Ok(count);
            }
            offset += CHUNK;
            count += chunk.iter().filter(|letter| filter.matches(letter)).count() as u64;
        }
    }

    async fn clear_dead_letters(&self) -> Result<(), StoreError> {
        let cleared = self.connection().del(&[DEAD_LETTERS, DEAD_BY_TIME]).await;
        cleared.map_err(|error| store_error(&error))
    }
}
