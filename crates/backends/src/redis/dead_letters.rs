//! The view of the dead letters: by time, and by id.

use std::collections::BTreeSet;

use async_trait::async_trait;
use hookfleet_domain::{DeadLetter, DeadLetterFilter, DeadLetterId};
use hookfleet_queue::wire;
use hookfleet_store::{DeadLetterCursor, DeadLetterStore, Page, PageRequest, StoreError};
use redis::AsyncCommands;

use super::keys::{DEAD_BY_TIME, DEAD_LETTERS};
use super::{RedisStore, corrupt, store_error};

/// Letters read at once.
const CHUNK: usize = 200;
/// Letters looked at for one page: past that it ends early, and its cursor tells where to go on.
pub(super) const LOOKED_AT_MAX: usize = 10_000;

/// Goes through the letters, newest first. It goes on from the last letter that it saw, not from a
/// number of letters, so that none is missed when others are hidden meanwhile.
struct Scan<'a> {
    store: &'a RedisStore,
    filter: &'a DeadLetterFilter,
    /// No letter younger than this is left.
    newest_ms: Option<i64>,
    /// So many letters of just that time were seen.
    seen_of_newest: usize,
    ended: bool,
}

impl<'a> Scan<'a> {
    fn new(
        store: &'a RedisStore,
        filter: &'a DeadLetterFilter,
        from: Option<&DeadLetterCursor>,
    ) -> Self {
        Self {
            store,
            filter,
            newest_ms: from.map(|cursor| cursor.died_at.unix_ms()),
            seen_of_newest: 0,
            ended: false,
        }
    }

    /// The next letters, some of which may not match; `None`: that was all.
    async fn next_chunk(&mut self) -> Result<Option<Vec<DeadLetter>>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        if !self.filter.ids.is_empty() {
            self.ended = true;
            return self.named().await.map(Some);
        }
        let places = self.next_places().await?;
        let Some(&(_, last_ms)) = places.last() else {
            self.ended = true;
            return Ok(None);
        };
        if self.newest_ms != Some(last_ms) {
            self.newest_ms = Some(last_ms);
            self.seen_of_newest = 0;
        }
        let is_of_last = |place: &&(String, i64)| place.1 == last_ms;
        self.seen_of_newest += places.iter().filter(is_of_last).count();
        let ids: Vec<&str> = places.iter().map(|(id, _)| id.as_str()).collect();
        self.store.letters(&ids).await.map(Some)
    }

    /// Ids and times.
    async fn next_places(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let max = match (self.newest_ms, self.filter.until) {
            (Some(newest_ms), _) => newest_ms.to_string(),
            (None, Some(until)) => format!("({}", until.unix_ms()),
            (None, None) => "+inf".to_owned(),
        };
        let since = self.filter.since;
        let min = since.map_or_else(|| "-inf".to_owned(), |since| since.unix_ms().to_string());
        let mut list = redis::cmd("ZREVRANGEBYSCORE");
        list.arg(DEAD_BY_TIME).arg(max).arg(min).arg("WITHSCORES");
        list.arg("LIMIT").arg(self.seen_of_newest).arg(CHUNK);
        self.store.ask(&list).await
    }

    /// The letters that the filter names.
    async fn named(&self) -> Result<Vec<DeadLetter>, StoreError> {
        let ids: BTreeSet<&str> = self.filter.ids.iter().map(DeadLetterId::as_str).collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        let mut letters = Vec::new();
        for ids in ids.chunks(CHUNK) {
            letters.extend(self.store.letters(ids).await?);
        }
        letters.sort_by(|a, b| (b.died_at, &b.id).cmp(&(a.died_at, &a.id)));
        Ok(letters)
    }
}

impl RedisStore {
    /// Those of these letters that are there.
    async fn letters(&self, ids: &[&str]) -> Result<Vec<DeadLetter>, StoreError> {
        let records: Vec<Option<Vec<u8>>> =
            self.ask(redis::cmd("HMGET").arg(DEAD_LETTERS).arg(ids)).await?;
        let records = records.into_iter().flatten();
        records.map(|bytes| decode(&bytes)).collect()
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
        // A letter may be written twice, after a crash, with two times: the first one stays.
        pipe.atomic().hset_nx(DEAD_LETTERS, id, wire::encode_dead_letter(letter)).ignore();
        pipe.cmd("ZADD").arg(DEAD_BY_TIME).arg("NX");
        pipe.arg(letter.died_at.unix_ms()).arg(id).ignore();
        self.ask_all(&pipe).await
    }

    async fn hide_dead_letters(&self, ids: &[DeadLetterId]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let ids: Vec<&str> = ids.iter().map(DeadLetterId::as_str).collect();
        let mut pipe = redis::pipe();
        pipe.atomic().hdel(DEAD_LETTERS, &ids).ignore().zrem(DEAD_BY_TIME, &ids).ignore();
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
        let from = page.cursor.as_deref().and_then(DeadLetterCursor::read);
        let mut scan = Scan::new(self, filter, from.as_ref());
        let (mut items, mut looked_at) = (Vec::new(), 0);
        while let Some(chunk) = scan.next_chunk().await? {
            for letter in chunk {
                if from.as_ref().is_some_and(|from| !from.is_before(&letter)) {
                    continue;
                }
                looked_at += 1;
                let here = DeadLetterCursor::of(&letter);
                if filter.matches(&letter) {
                    if items.len() >= page.limit {
                        let next_cursor = items.last().map(DeadLetterCursor::of);
                        return Ok(Page { items, next_cursor });
                    }
                    items.push(letter);
                }
                if looked_at >= LOOKED_AT_MAX {
                    let next_cursor = Some(here);
                    return Ok(Page { items, next_cursor });
                }
            }
        }
        let next_cursor = None;
        Ok(Page { items, next_cursor })
    }

    async fn count_dead_letters(&self, filter: &DeadLetterFilter) -> Result<u64, StoreError> {
        if *filter == DeadLetterFilter::default() {
            let count = self.connection().zcard(DEAD_BY_TIME).await;
            return count.map_err(|error| store_error(&error));
        }
        let (mut scan, mut count) = (Scan::new(self, filter, None), 0);
        while let Some(chunk) = scan.next_chunk().await? {
            count += chunk.iter().filter(|letter| filter.matches(letter)).count() as u64;
        }
        Ok(count)
    }

    async fn clear_dead_letters(&self) -> Result<(), StoreError> {
        let cleared = self.connection().del(&[DEAD_LETTERS, DEAD_BY_TIME]).await;
        cleared.map_err(|error| store_error(&error))
    }
}
