//! Texts that must never be seen again.

use std::fmt;

use zeroize::Zeroizing;

/// A signing secret or an authentication token. Not printable, not serialisable, wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Box<str>>);

impl Secret {
    /// Takes the text in.
    pub fn new(text: impl Into<String>) -> Self {
        // A copy without room to spare; what was taken in is wiped.
        let text = Zeroizing::new(text.into());
        Self(Zeroizing::new(Box::from(text.as_str())))
    }

    /// The text, for signing, sending or encrypting; never for printing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
