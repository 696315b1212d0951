//! Header values: clients write a text or an integer in whatever type they like.

use lapin::BasicProperties;
use lapin::types::AMQPValue;

/// A header of a message.
pub fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

/// A text.
pub fn text(value: &AMQPValue) -> Option<String> {
    let long = value.as_long_string().map(ToString::to_string);
    long.or_else(|| value.as_short_string().map(ToString::to_string))
}

/// An integer.
pub fn integer(value: &AMQPValue) -> Option<i64> {
    let wide = value.as_long_long_int();
    wide.or_else(|| value.as_long_int().map(i64::from))
        .or_else(|| value.as_long_uint().map(i64::from))
        .or_else(|| value.as_short_int().map(i64::from))
        .or_else(|| value.as_short_uint().map(i64::from))
        .or_else(|| value.as_short_short_int().map(i64::from))
        .or_else(|| value.as_short_short_uint().map(i64::from))
}
