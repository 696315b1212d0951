//! Colours: on a terminal alone, and never where `NO_COLOR` asks for none.

use std::io::IsTerminal;
use std::sync::LazyLock;

/// What a colour tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// It went well.
    Good,
    /// It did not.
    Bad,
    /// It may yet.
    Open,
    /// A heading.
    Head,
    /// Beside the point.
    Aside,
}

static STDOUT: LazyLock<bool> = LazyLock::new(|| wanted(std::io::stdout().is_terminal()));
static STDERR: LazyLock<bool> = LazyLock::new(|| wanted(std::io::stderr().is_terminal()));

/// <https://no-color.org>: set and not empty, whatever its value.
fn wanted(is_terminal: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    is_terminal && !is_dumb && !set("NO_COLOR")
}

/// This text for stdout.
pub fn on_stdout(text: &str, paint: Paint) -> String {
    painted(text, paint, *STDOUT)
}

/// This text for stderr.
pub fn on_stderr(text: &str, paint: Paint) -> String {
    painted(text, paint, *STDERR)
}

/// This text for stdout, painted if it is a word that tells how something went. It may be padded.
pub fn on_stdout_if_telling(text: &str) -> String {
    match telling(text.trim_end()) {
        Some(paint) => on_stdout(text, paint),
        None => text.to_owned(),
    }
}

fn telling(word: &str) -> Option<Paint> {
    match word {
        "success" | "delivered" | "done" => Some(Paint::Good),
        "failure" | "failed" | "dead" => Some(Paint::Bad),
        "pending" | "retrying" | "running" | "queued" => Some(Paint::Open),
        _ => None,
    }
}

fn painted(text: &str, paint: Paint, wanted: bool) -> String {
    if !wanted {
        return text.to_owned();
    }
    let code = match paint {
        Paint::Good => "32",
        Paint::Bad => "31",
        Paint::Open => "33",
        Paint::Head => "1",
        Paint::Aside => "2",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}
