//! Small pieces of HTML that templates would repeat.

/// Values and their texts, in a list to choose from.
pub type Options = [(&'static str, &'static str)];

/// What visitors may do.
pub const VISITS: &Options = &[("read", "only look"), ("full", "look and change")];

pub const ACTIVE: &Options = &[("true", "on"), ("false", "off")];

/// `<option>`s, the one with this value chosen. A text in `blank` is that of an empty value before
/// them.
pub fn options(options: &Options, chosen: &str, blank: &str) -> String {
    let first = [("", blank)];
    let first = first.iter().filter(|(_, text)| !text.is_empty());
    let option = |(value, text): &(&str, &str)| {
        let selected = if *value == chosen { " selected" } else { "" };
        format!("<option value=\"{value}\"{selected}>{text}</option>")
    };
    first.chain(options).map(option).collect()
}

/// What an empty choice says: only a new endpoint has one.
pub fn blank(is_new: bool) -> &'static str {
    if is_new { "as the profile has it" } else { "" }
}

pub const REASONS: &Options = &[
    ("exhausted", "exhausted"),
    ("endpoint_inactive", "endpoint inactive"),
    ("endpoint_deleted", "endpoint deleted"),
    ("gone", "gone"),
    ("expired", "expired"),
    ("malformed", "malformed"),
    ("poison", "poison"),
];

/// What a field for date and time says, as the API takes it: UTC, seconds and zone included. What is
/// of another form stays as it is.
pub fn moment(text: &str) -> String {
    match text.len() {
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    }
}

/// The same the other way round: what such a field takes.
pub fn field_of(moment: &str) -> &str {
    moment.strip_suffix('Z').unwrap_or(moment)
}
