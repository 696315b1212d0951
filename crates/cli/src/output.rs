//! What a command prints: results on stdout, everything else on stderr.

use std::io::Write;

use serde_json::Value;

use crate::args::OutputFormat;
use crate::failure::Failure;

/// One line on stderr.
#[expect(clippy::print_stderr, reason = "this is where complaints are printed")]
pub fn complain(failure: &Failure) {
    eprintln!("hookfleet: {failure}");
}

/// A line for people, on stderr.
#[expect(clippy::print_stderr, reason = "this is where progress is told")]
pub fn tell(line: &str) {
    eprintln!("{line}");
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

/// A list: as one JSON document, or a table with these columns.
pub fn table(format: OutputFormat, list: &Value, columns: &[&str]) -> Result<(), Failure> {
    if format == OutputFormat::Json {
        return line(&list.to_string());
    }
    let items = list.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let row = |item: &Value| -> Vec<String> {
        columns.iter().map(|column| short(item.get(*column).unwrap_or(&Value::Null))).collect()
    };
    let heads: Vec<String> = columns.iter().map(|column| column.to_uppercase()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(heads).chain(items.iter().map(row)).collect();
    let width = |n: usize| {
        rows.iter().filter_map(|row| row.get(n)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

fn short(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(short).collect::<Vec<_>>().join(","),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

fn text(value: &Value, depth: usize) -> String {
    let Value::Object(fields) = value else {
        return short(value);
    };
    let indent = "  ".repeat(depth);
    let field = |(name, value): (&String, &Value)| match value {
        Value::Object(_) => format!("{indent}{name}:\n{}", text(value, depth + 1)),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            let items = items.iter().map(|item| text(item, depth + 1));
            format!("{indent}{name}:\n{}", items.collect::<Vec<_>>().join("\n\n"))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            format!("{indent}{name}: {}", short(value))
        }
    };
    fields.iter().map(field).collect::<Vec<_>>().join("\n")
}
