//! Where a page of dead letters begins.

use hookfleet_domain::{DeadLetter, DeadLetterId, Timestamp};

/// After this letter, newest first; of two letters with the same time, the greater id comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterCursor {
    /// When it was given up.
    pub died_at: Timestamp,
    /// Its id.
    pub id: DeadLetterId,
}

impl DeadLetterCursor {
    /// Reads what [`Self::of`] wrote; anything else is no cursor.
    pub fn read(text: &str) -> Option<Self> {
        let (died_at_ms, id) = text.split_once('_')?;
        let died_at = Timestamp::from_unix_ms(died_at_ms.parse().ok()?);
        Some(Self { died_at, id: id.parse().ok()? })
    }

    /// The cursor of the page that begins after this letter.
    pub fn of(letter: &DeadLetter) -> String {
        format!("{}_{}", letter.died_at.unix_ms(), letter.id)
    }

    /// Is the letter on that page, or on a later one?
    pub fn is_before(&self, letter: &DeadLetter) -> bool {
        (letter.died_at, letter.id.as_str()) < (self.died_at, self.id.as_str())
    }
}
