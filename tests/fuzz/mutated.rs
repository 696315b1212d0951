//! Random texts and bytes, most of them close to what is expected.

use proptest::prelude::*;
use proptest::sample::Index;

/// Any text, and texts that look like names, numbers with units, times, URLs or headers.
pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-zA-Z0-9_.*-]{0,70}",
        "(ep|ev|dl|job|tok)_[a-z0-9]{0,40}",
        "-?[0-9]{0,25}(ms|s|m|h|d|/s|/m|/h)?",
        "-?[0-9]{0,20}_dl_[a-z0-9]{0,10}",
        "[0-9+-]{1,6}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{0,12})?)?(Z|[+-][0-9]{2}:[0-9]{2})?",
        "(Mon|Sun), [0-9]{2} (Jan|Dec) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT",
        "https?:(//|\\\\\\\\)?[^ ]{0,10}[a-zA-Z0-9@:%.\\[\\]-]{0,40}(:[0-9]{0,6})?[/?#]?\\PC{0,20}",
        "0[01]-[0-9a-f]{31,33}-[0-9a-f]{16}-[0-9a-f]{2}",
        " ?(disable|abort-message)\\PC{0,3}",
    ]
}

/// One edit of some bytes.
#[derive(Debug, Clone)]
enum Edit {
    Put(Index, u8),
    Insert(Index, Vec<u8>),
    Cut(Index, Index),
    Repeat(Index, Index),
}

/// What means something in JSON, and what parsers stumble over.
const WORDS: [&[u8]; 18] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b",",
    b":",
    b"null",
    b"true",
    b"1e999",
    b"-0",
    b"\\ud800",
    b"\xff",
    b"\0",
    b"[[[[[[[[[[[[[[[[",
    b"18446744073709551616",
    b"\"\":",
];

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Put(at, byte)),
        (any::<Index>(), prop::sample::select(&WORDS[..]))
            .prop_map(|(at, word)| Edit::Insert(at, word.to_vec())),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Edit::Cut(from, to)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Edit::Repeat(from, to)),
    ]
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let places = bytes.len() + 1;
        let range = |from: &Index, to: &Index| {
            let (from, to) = (from.index(places), to.index(places));
            // Short ones more often: a long cut leaves nothing to be read.
            from.min(to)..from.max(to).min(from.min(to) + 40)
        };
        match self {
            Self::Put(at, byte) => {
                let length = bytes.len().max(1);
                if let Some(place) = bytes.get_mut(at.index(length)) {
                    *place = *byte;
                }
            }
            Self::Insert(at, word) => {
                let at = at.index(places);
                bytes.splice(at..at, word.iter().copied());
            }
            Self::Cut(from, to) => drop(bytes.drain(range(from, to))),
            Self::Repeat(from, to) => {
                let part = bytes[range(from, to)].to_vec();
                bytes.extend(part);
            }
        }
    }
}

/// One of these samples with some edits; now and then, any bytes.
pub fn json(samples: &[&str]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let samples: Vec<Vec<u8>> = samples.iter().map(|sample| sample.as_bytes().to_vec()).collect();
    let edits = prop::collection::vec(edit(), 0..4);
    let mutated = (prop::sample::select(samples), edits).prop_map(|(mut bytes, edits)| {
        for edit in &edits {
            edit.apply(&mut bytes);
        }
        bytes
    });
    prop_oneof![9 => mutated, 1 => any::<Vec<u8>>()]
}

/// One of these texts with some edits.
pub fn near(samples: &[&str]) -> impl Strategy<Value = String> + use<> {
    json(samples).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
