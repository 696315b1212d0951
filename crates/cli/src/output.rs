//! What a command prints: results on stdout, everything else on stderr.

mod style;
mod table;

use std::io::{IsTerminal, Write};
use std::time::Duration;

use serde_json::Value;

use crate::args::OutputFormat;
use crate::failure::Failure;

pub use style::{Paint, on_stdout};

/// Why a command failed, and what to do next, on stderr.
pub fn complain(failure: &Failure) {
    tell(&format!("{} {failure}", style::on_stderr("hookfleet:", Paint::Bad)));
    if let Some(hint) = failure.hint() {
        tell(&format!("{} {hint}", style::on_stderr("  next:", Paint::Aside)));
    }
}

/// A line for people, on stderr.
#[expect(clippy::print_stderr, reason = "this is where progress is told")]
pub fn tell(line: &str) {
    eprintln!("{line}");
}

/// How many of something took how long, on stderr.
pub fn tell_pace(count: u64, what: &str, took: Duration) {
    let seconds = took.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a pace is read by people")]
    let pace = if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
    tell(&format!("{count} {what} in {seconds:.1} s, {pace:.0} a second"));
}

/// A line on stdout. A reader that went away ends the program quietly, as `head` expects.
pub fn line(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    written.map_err(|error| Failure::failed(format!("stdout: {error}")))
}

/// An answer: as JSON, or its fields for people.
pub fn answer(format: OutputFormat, value: &Value) -> Result<(), Failure> {
    match format {
        OutputFormat::Json => line(&value.to_string()),
        OutputFormat::Text => line(&text(value, 0)),
    }
}

/// A list: as one JSON document, or a table with these columns, the most telling first. On a terminal
/// it is as wide as that at most: long values are cut, and then the last columns are left out.
pub fn table(format: OutputFormat, list: &Value, columns: &[&str]) -> Result<(), Failure> {
    if format == OutputFormat::Json {
        return line(&list.to_string());
    }
    let items = list.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let row = |item: &Value| -> Vec<String> {
        columns.iter().map(|column| short(item.get(*column).unwrap_or(&Value::Null))).collect()
    };
    let heads: Vec<String> = columns.iter().map(|column| column.to_uppercase()).collect();
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    let layout = table::Layout::new(&heads, &rows, width());
    for text in layout.lines(&heads, &rows) {
        line(&text)?;
    }
    if layout.left_out > 0 {
        let left_out = heads.iter().rev().take(layout.left_out).rev();
        let names = left_out.map(|head| head.to_lowercase()).collect::<Vec<_>>().join(", ");
        tell(&format!("left out for want of room: {names} (--output json has all)"));
    }
    if list.get("next_cursor").is_some_and(Value::is_string) {
        tell("there are more: ask for them by --limit");
    }
    Ok(())
}

/// How wide a line on stdout may be; elsewhere than on a terminal, as wide as it is.
fn width() -> Option<usize> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    console::Term::stdout().size_checked().map(|(_, columns)| columns.into())
}

/// Text from outside, without what would move a terminal's cursor or change its colours.
pub fn harmless(text: &str) -> String {
    let is_harmless = |c: char| !c.is_control() || c == '\n' || c == '\t';
    if text.chars().all(is_harmless) {
        return text.to_owned();
    }
    let shown =
        |c: char| if is_harmless(c) { c.to_string() } else { c.escape_default().to_string() };
    text.chars().map(shown).collect()
}

fn short(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => harmless(text),
        Value::Array(items) => items.iter().map(short).collect::<Vec<_>>().join(","),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

fn text(value: &Value, depth: usize) -> String {
    let Value::Object(fields) = value else {
        return style::on_stdout_if_telling(&short(value));
    };
    let indent = "  ".repeat(depth);
    let field = |(name, value): (&String, &Value)| match value {
        Value::Object(_) => format!("{indent}{name}:\n{}", text(value, depth + 1)),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            let items = items.iter().map(|item| text(item, depth + 1));
            format!("{indent}{name}:\n{}", items.collect::<Vec<_>>().join("\n\n"))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            format!("{indent}{name}: {}", text(value, 0))
        }
    };
    fields.iter().map(field).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_moves_no_cursor() {
        assert_eq!(harmless("käse\n\tand more"), "käse\n\tand more");
        assert_eq!(harmless("\u{1b}[2Jgone\r\u{9b}1m"), "\\u{1b}[2Jgone\\r\\u{9b}1m");
    }
}
