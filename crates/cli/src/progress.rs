//! How far long work is: a bar on stderr, where that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const TICK: Duration = Duration::from_millis(100);

/// Bytes of a file that go by, in lines.
pub fn of_bytes(total: u64) -> ProgressBar {
    let template = "{bar:30} {bytes}/{total_bytes}  {msg}  {eta} left";
    with(ProgressBar::new(total), template)
}

/// Things of which the number is known.
pub fn of_count(total: u64, what: &'static str) -> ProgressBar {
    let template = "{bar:30} {human_pos}/{human_len} {msg}  {per_sec}  {eta} left";
    with(ProgressBar::new(total), template).with_message(what)
}

/// Things of which the number is not known.
pub fn of_unknown(what: &'static str) -> ProgressBar {
    let bar = with(ProgressBar::new_spinner(), "{spinner} {human_pos} {msg}  {per_sec}");
    bar.enable_steady_tick(TICK);
    bar.with_message(what)
}

fn with(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
