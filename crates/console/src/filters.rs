//! How values look on a page.
#![expect(
    clippy::inline_always,
    clippy::trivially_copy_pass_by_ref,
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "the form that askama gives a filter, and asks of it"
)]

use std::fmt::Display;

use askama::{Result, Values};

/// A time, short: `11-21 15:36:13`, UTC, in this form sortable by eye.
#[askama::filter_fn]
pub fn when(time: impl Display, _: &dyn Values) -> Result<String> {
    let text = time.to_string();
    let short = text.get(5..19).unwrap_or(&text);
    Ok(short.replace('T', " "))
}

/// A time to the second, with the year.
#[askama::filter_fn]
pub fn full(time: impl Display, _: &dyn Values) -> Result<String> {
    let text = time.to_string();
    Ok(format!("{} UTC", text.get(..19).unwrap_or(&text).replace('T', " ")))
}

/// A count, in groups of three.
#[askama::filter_fn]
pub fn count(number: &u64, _: &dyn Values) -> Result<String> {
    Ok(grouped(*number))
}

/// A name of the API's, for people: `endpoint_inactive` is "endpoint inactive".
#[askama::filter_fn]
pub fn words(name: impl Display, _: &dyn Values) -> Result<String> {
    Ok(name.to_string().replace('_', " "))
}

pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// Milliseconds, short: `340 ms`, `1.2 s`.
#[askama::filter_fn]
pub fn millis(ms: &u64, _: &dyn Values) -> Result<String> {
    let ms = *ms;
    Ok(match ms {
        0..1000 => format!("{ms} ms"),
        _ => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
    })
}

/// A drawing's coordinate.
#[askama::filter_fn]
pub fn unit(units: &f64, _: &dyn Values) -> Result<String> {
    Ok(format!("{units:.1}"))
}

/// An id, short: what it begins with tells its kind, and its end tells it from others.
#[askama::filter_fn]
pub fn short(id: impl Display, _: &dyn Values) -> Result<String> {
    let id = id.to_string();
    let kind = id.split_once('_').map(|(kind, _)| format!("{kind}_")).unwrap_or_default();
    let end = id.len().checked_sub(8).and_then(|begin| id.get(begin..));
    Ok(end.filter(|_| id.len() > 16).map_or_else(|| id.clone(), |end| format!("{kind}…{end}")))
}
