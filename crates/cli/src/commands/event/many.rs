//! `hookfleet event publish --ndjson`: many events out of a file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use hookfleet_domain::limits;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::client::{Body, Client};
use crate::failure::Failure;
use crate::{output, progress};

/// Lines of a file that go in one request.
const LINES_AT_ONCE: usize = 1000;
/// The longest line: an event in full, and what stands around its data.
const LINE_BYTES_MAX: u64 = 2 * limits::EVENT_BYTES_MAX as u64;

/// Publishes each line of a file, or of stdin.
pub async fn publish(client: &Client, tenant: &str, file: &Path) -> Result<(), Failure> {
    let (mut lines, bytes) = Lines::open(file)?;
    let bar = bytes.map_or_else(|| progress::of_unknown("events"), progress::of_bytes);
    let path = format!("/v1/tenants/{tenant}/events/batch");
    let (mut tally, begun) = (Tally::default(), Instant::now());
    while let Some(batch) = lines.batch()? {
        let Batch { text, numbers } = batch;
        bar.inc(if bytes.is_some() { text.len() } else { numbers.len() } as u64);
        let answers = post(client, &path, text).await;
        let answers = answers.map_err(|failure| failure.next(tally.rest(&numbers)))?;
        tally.add(&answers, &numbers, &bar);
        let pace = tally.answered() / begun.elapsed().as_secs().max(1);
        bar.set_message(if bytes.is_some() { format!("{pace} events/s") } else { "events".into() });
    }
    bar.finish_and_clear();
    output::tell_pace(tally.answered(), "events", begun.elapsed());
    tally.report(client)
}

/// Lines that go in one request.
#[derive(Default)]
struct Batch {
    text: String,
    /// Which lines of the file they are; blank ones are left out.
    numbers: Vec<u64>,
}

struct Lines {
    reader: Box<dyn BufRead>,
    name: String,
    number: u64,
    /// Read already, for the next batch.
    kept: Option<String>,
}

impl Lines {
    /// The file's lines and its size, which stdin and pipes do not have.
    fn open(file: &Path) -> Result<(Self, Option<u64>), Failure> {
        let name = file.display().to_string();
        let lines = |reader, name| Self { reader, name, number: 0, kept: None };
        if name == "-" {
            return Ok((lines(Box::new(BufReader::new(io::stdin())), name), None));
        }
        let unreadable = |error| Failure::usage(format!("--ndjson {name}: {error}"));
        let opened = File::open(file).map_err(unreadable)?;
        let found = opened.metadata().map_err(unreadable)?;
        let bytes = found.is_file().then_some(found.len());
        Ok((lines(Box::new(BufReader::new(opened)), name), bytes))
    }

    fn batch(&mut self) -> Result<Option<Batch>, Failure> {
        let mut batch = Batch::default();
        while batch.numbers.len() < LINES_AT_ONCE {
            let kept = self.kept.take().map(Some);
            let Some(line) = kept.map_or_else(|| self.line(), Ok)? else {
                break;
            };
            if line.trim().is_empty() {
                continue;
            }
            let is_full = batch.text.len() + line.len() > limits::BATCH_BYTES_MAX;
            if is_full && !batch.numbers.is_empty() {
                self.kept = Some(line);
                break;
            }
            batch.text.push_str(&line);
            batch.numbers.push(self.number);
        }
        Ok((!batch.numbers.is_empty()).then_some(batch))
    }

    /// The next line, with its end.
    fn line(&mut self) -> Result<Option<String>, Failure> {
        let mut line = String::new();
        let read = self.reader.by_ref().take(LINE_BYTES_MAX).read_line(&mut line);
        let unreadable = |why: String| Failure::usage(format!("--ndjson {}: {why}", self.name));
        let read = read.map_err(|error| unreadable(error.to_string()))?;
        if read as u64 == LINE_BYTES_MAX && !line.ends_with('\n') {
            return Err(unreadable(format!("a line is longer than {LINE_BYTES_MAX} bytes")));
        }
        self.number += 1;
        Ok((read > 0).then_some(line))
    }
}

/// An answer for each line.
async fn post(client: &Client, path: &str, batch: String) -> Result<Vec<Value>, Failure> {
    let body = Body { content_type: "application/x-ndjson", bytes: batch.into() };
    let answers = client.post_text(path, body).await?;
    let read = |line| serde_json::from_str(line);
    let unreadable = |error| Failure::failed(format!("the answer is no JSON: {error}"));
    answers.lines().map(read).collect::<Result<_, _>>().map_err(unreadable)
}

#[derive(Default)]
struct Tally {
    accepted: u64,
    duplicates: u64,
    refused: u64,
}

impl Tally {
    fn answered(&self) -> u64 {
        self.accepted + self.duplicates + self.refused
    }

    fn add(&mut self, answers: &[Value], lines: &[u64], bar: &ProgressBar) {
        for (item, line) in answers.iter().zip(lines) {
            if let Some(error) = item.get("error") {
                let detail = error.get("detail").and_then(Value::as_str).unwrap_or("refused");
                bar.suspend(|| output::tell(&format!("line {line}: {}", output::harmless(detail))));
                self.refused += 1;
            } else if item.get("duplicate") == Some(&Value::Bool(true)) {
                self.duplicates += 1;
            } else {
                self.accepted += 1;
            }
        }
    }

    /// What to do when the request with these lines fails.
    fn rest(&self, lines: &[u64]) -> String {
        format!(
            "{} events were answered before; publish from line {} on, or all again if each line has \
             an idempotency_key",
            self.answered(),
            lines.first().unwrap_or(&1)
        )
    }

    fn report(&self, client: &Client) -> Result<(), Failure> {
        let Self { accepted, duplicates, refused } = self;
        let told = json!({"accepted": accepted, "duplicates": duplicates, "refused": refused});
        output::answer(client.output, &told)?;
        if *refused > 0 {
            let failure = Failure::failed(format!("{refused} lines were refused"));
            return Err(failure.next("mend those that are named above, and publish them alone"));
        }
        Ok(())
    }
}
