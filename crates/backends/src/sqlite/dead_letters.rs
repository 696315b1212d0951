//! The view of the dead letters.

use async_trait::async_trait;
use hookfleet_domain::{
    DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterReason, EndpointId, EventType, TenantId,
    Timestamp,
};
use hookfleet_queue::wire;
use hookfleet_store::{DeadLetterCursor, DeadLetterStore, Page, PageRequest, StoreError};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::store::{SqliteStore, corrupt};

/// Letters that match, newest first, at most ?10, after the one of ?8 and ?9. All that is filtered
/// by stands in the index; only letters that are wanted are read.
const PAGE: &str = "SELECT letter FROM dead_letters WHERE id IN (
      SELECT id FROM dead_letters WHERE (died_ms, id) < (?8, ?9) AND MATCHING
      ORDER BY died_ms DESC, id DESC LIMIT ?10)
    ORDER BY died_ms DESC, id DESC";
const COUNT: &str = "SELECT count(*) FROM dead_letters WHERE MATCHING";
/// What is absent matches everything.
const MATCHING: &str = "died_ms >= ?1 AND died_ms < ?2
    AND (?3 IS NULL OR tenant = ?3) AND (?4 IS NULL OR endpoint = ?4)
    AND (?5 IS NULL OR event_type = ?5) AND (?6 IS NULL OR reason = ?6)
    AND (?7 IS NULL OR id IN (SELECT value FROM json_each(?7)))";

/// The parameters 1 to 7.
fn wanted(filter: &DeadLetterFilter) -> Vec<Value> {
    let text = |text: Option<&str>| text.map_or(Value::Null, |text| text.to_owned().into());
    let ids = (!filter.ids.is_empty()).then(|| serde_json::json!(filter.ids).to_string());
    vec![
        filter.since.map_or(i64::MIN, Timestamp::unix_ms).into(),
        filter.until.map_or(i64::MAX, Timestamp::unix_ms).into(),
        text(filter.tenant.as_ref().map(TenantId::as_str)),
        text(filter.endpoint.as_ref().map(EndpointId::as_str)),
        text(filter.event_type.as_ref().map(EventType::as_str)),
        text(filter.reason.map(DeadLetterReason::label)),
        text(ids.as_deref()),
    ]
}

fn decode(bytes: &[u8]) -> Result<DeadLetter, StoreError> {
    wire::decode_dead_letter(bytes).map_err(|error| corrupt("dead_letters", error))
}

#[async_trait]
impl DeadLetterStore for SqliteStore {
    async fn show_dead_letter(&self, letter: &DeadLetter) -> Result<(), StoreError> {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let row = (
            letter.id.as_str().to_owned(),
            letter.died_at.unix_ms(),
            text(letter.tenant().map(TenantId::as_str)),
            text(letter.endpoint().map(EndpointId::as_str)),
            text(letter.event().map(|event| event.event_type.as_str())),
            letter.reason.label(),
            wire::encode_dead_letter(letter),
        );
        // A letter may be written twice, after a crash, with two times: the first one stays.
        let show = "INSERT OR IGNORE INTO dead_letters VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let show = move |db: &Connection| {
            let (id, died_ms, tenant, endpoint, event_type, reason, letter) = &row;
            db.prepare_cached(show)?
                .execute(params![id, died_ms, tenant, endpoint, event_type, reason, letter])
        };
        self.database.note(show).await?;
        Ok(())
    }

    async fn hide_dead_letters(&self, ids: &[DeadLetterId]) -> Result<(), StoreError> {
        let ids = ids.to_vec();
        let hide = move |db: &Connection| {
            let mut hide = db.prepare_cached("DELETE FROM dead_letters WHERE id = ?1")?;
            ids.iter().try_for_each(|id| hide.execute([id.as_str()]).map(drop))
        };
        Ok(self.database.note(hide).await?)
    }

    async fn dead_letter(&self, id: &DeadLetterId) -> Result<Option<DeadLetter>, StoreError> {
        let id = id.as_str().to_owned();
        let find = move |db: &Connection| {
            let find = "SELECT letter FROM dead_letters WHERE id = ?1";
            db.query_row(find, [id], |row| row.get::<_, Vec<u8>>(0)).optional()
        };
        self.database.read(find).await?.map(|bytes| decode(&bytes)).transpose()
    }

    async fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
        page: &PageRequest,
    ) -> Result<Page<DeadLetter>, StoreError> {
        let from = page.cursor.as_deref().and_then(DeadLetterCursor::read);
        let from =
            from.map_or((i64::MAX, String::new()), |at| (at.died_at.unix_ms(), at.id.into()));
        let limit = i64::try_from(page.limit).unwrap_or(i64::MAX - 1);
        let mut values = wanted(filter);
        // One more, to see whether there is a next page.
        values.extend([from.0.into(), from.1.into(), (limit + 1).into()]);
        let list = move |db: &Connection| {
            let mut list = db.prepare_cached(&PAGE.replace("MATCHING", MATCHING))?;
            let letters = list.query_map(params_from_iter(values), |row| row.get(0))?;
            letters.collect::<rusqlite::Result<Vec<Vec<u8>>>>()
        };
        let letters = self.database.read(list).await?;
        let more = letters.len() > page.limit;
        let letters = letters.iter().take(page.limit).map(|bytes| decode(bytes));
        let items = letters.collect::<Result<Vec<_>, _>>()?;
        let next_cursor = items.last().filter(|_| more).map(DeadLetterCursor::of);
        Ok(Page { items, next_cursor })
    }

    async fn count_dead_letters(&self, filter: &DeadLetterFilter) -> Result<u64, StoreError> {
        let values = wanted(filter);
        let count = move |db: &Connection| {
            let mut count = db.prepare_cached(&COUNT.replace("MATCHING", MATCHING))?;
            count.query_row(params_from_iter(values), |row| row.get(0))
        };
        Ok(self.database.read(count).await?)
    }

    async fn clear_dead_letters(&self) -> Result<(), StoreError> {
        self.database.note(|db| db.execute("DELETE FROM dead_letters", [])).await?;
        Ok(())
    }
}
