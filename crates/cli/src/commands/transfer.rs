//! `hookfleet export` and `import`: from one backend to another.
//!
//! One JSON object a line, the first of which tells the format. Secrets stay sealed under the master
//! key: the file alone betrays none, and the key has to move by another way.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use hookfleet_domain::{AddressPolicy, ApiToken, DeadLetter, DeadLetterFilter, Endpoint, limits};
use hookfleet_queue::{Outgoing, wire as letters};
use hookfleet_store::{PageRequest, Sealer, Written, wire as records};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::config::{Role, Settings};
use crate::failure::Failure;
use crate::wire::{self, Ports};
use crate::{lifecycle, output};

const FORMAT: u32 = 1;
/// The longest line: a dead letter whose bytes are written in base64, and its history.
const LINE_BYTES_MAX: u64 = 4 * limits::EVENT_BYTES_MAX as u64;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// The first line.
    HookfleetExport(u32),
    Endpoint(Box<RawValue>),
    Token(Box<ApiToken>),
    DeadLetter(Box<RawValue>),
}

/// `hookfleet export`
pub async fn export(settings: Settings) -> Result<(), Failure> {
    let config = settings.complete(Role::Export)?;
    let sealer = Sealer::new(&config.master_key).map_err(Failure::usage)?;
    let store = wire::store_to_read(&config).await?;
    write(&Line::HookfleetExport(FORMAT))?;
    let (mut endpoints, mut tokens, mut dead_letters) = (0_u64, 0_u64, 0_u64);
    for tenant in store.tenants().await.map_err(Failure::failed)? {
        for endpoint in store.endpoints(&tenant).await.map_err(Failure::failed)? {
            let record = records::encode_endpoint(&sealer, &endpoint).map_err(Failure::failed)?;
            write(&Line::Endpoint(raw(record)?))?;
            endpoints += 1;
        }
        for (token, _) in store.tokens(&tenant).await.map_err(Failure::failed)? {
            write(&Line::Token(Box::new(token)))?;
            tokens += 1;
        }
    }
    let mut cursor = None;
    loop {
        let request = PageRequest { limit: limits::PAGE_ITEMS_MAX, cursor };
        let page = store.dead_letters(&DeadLetterFilter::default(), &request).await;
        let page = page.map_err(Failure::failed)?;
        for letter in &page.items {
            write(&Line::DeadLetter(raw(letters::encode_dead_letter(letter))?))?;
            dead_letters += 1;
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    output::tell(&format!(
        "exported {endpoints} endpoints, {tokens} tokens and {dead_letters} dead letters"
    ));
    Ok(())
}

fn write(line: &Line) -> Result<(), Failure> {
    output::line(&serde_json::to_string(line).map_err(Failure::failed)?)
}

fn raw(json: Vec<u8>) -> Result<Box<RawValue>, Failure> {
    let text = String::from_utf8(json).map_err(Failure::failed)?;
    RawValue::from_string(text).map_err(Failure::failed)
}

/// What is imported.
enum Item {
    Endpoint(Box<Endpoint>),
    Token(Box<ApiToken>),
    DeadLetter(Box<DeadLetter>),
}

/// What became of the items.
#[derive(Debug, Default, Serialize)]
struct Counts {
    endpoints: u64,
    tokens: u64,
    dead_letters: u64,
    /// They were there already.
    left_alone: u64,
}

/// `hookfleet import`: all of the file is read before anything is written.
pub async fn import(settings: Settings, file: &Path) -> Result<(), Failure> {
    let config = settings.complete(Role::Import)?;
    let sealer = Sealer::new(&config.master_key).map_err(Failure::usage)?;
    let mut lines = Lines::open(file, &sealer, &config.endpoints.addresses)?;
    while lines.next()?.is_some() {}
    let mut tasks = tokio::task::JoinSet::new();
    let stop = lifecycle::stop_on_signal(&mut tasks)?;
    let Some(ports) = Ports::open(&config, &prometheus::Registry::new(), &stop).await? else {
        return Err(Failure::failed("interrupted before anything was imported"));
    };
    let mut lines = Lines::open(file, &sealer, &config.endpoints.addresses)?;
    let mut counts = Counts::default();
    while let Some(item) = lines.next()?.filter(|_| !stop.is_cancelled()) {
        take(&ports, item, &mut counts).await?;
    }
    ports.close().await;
    output::line(&serde_json::to_string(&counts).map_err(Failure::failed)?)?;
    if stop.is_cancelled() {
        return Err(Failure::failed("interrupted: import the same file again for the rest"));
    }
    Ok(())
}

async fn take(ports: &Ports, item: Item, counts: &mut Counts) -> Result<(), Failure> {
    match item {
        Item::Endpoint(endpoint) => {
            let known = ports.store.endpoint(&endpoint.tenant, &endpoint.id).await;
            if known.map_err(Failure::failed)?.is_some() {
                counts.left_alone += 1;
                return Ok(());
            }
            let added = ports.store.add_endpoint(&endpoint).await.map_err(Failure::failed)?;
            check_room(added, &format!("endpoints of tenant {}", endpoint.tenant))?;
            counts.endpoints += 1;
        }
        Item::Token(token) => {
            if ports.store.token(&token.digest).await.map_err(Failure::failed)?.is_some() {
                counts.left_alone += 1;
                return Ok(());
            }
            let added = ports.store.add_token(&token).await.map_err(Failure::failed)?;
            check_room(added, &format!("tokens of tenant {}", token.tenant))?;
            counts.tokens += 1;
        }
        Item::DeadLetter(letter) => {
            let known = ports.store.dead_letter(&letter.id).await;
            if known.map_err(Failure::failed)?.is_some() {
                counts.left_alone += 1;
                return Ok(());
            }
            let buried = ports.queue.publish(Outgoing::DeadLetter(&letter)).await;
            buried.map_err(Failure::failed)?;
            ports.store.show_dead_letter(&letter).await.map_err(Failure::failed)?;
            counts.dead_letters += 1;
        }
    }
    Ok(())
}

fn check_room(added: Written, what: &str) -> Result<(), Failure> {
    match added {
        Written::Yes | Written::Conflict | Written::Missing => Ok(()),
        Written::Full => Err(Failure::failed(format!("there is no room for more {what}"))),
    }
}

/// The lines of an export, read.
struct Lines<'a> {
    file: BufReader<File>,
    number: u64,
    sealer: &'a Sealer,
    addresses: &'a AddressPolicy,
}

impl<'a> Lines<'a> {
    fn open(
        path: &Path,
        sealer: &'a Sealer,
        addresses: &'a AddressPolicy,
    ) -> Result<Self, Failure> {
        let file = File::open(path);
        let file =
            file.map_err(|error| Failure::usage(format!("file {}: {error}", path.display())))?;
        let mut lines = Self { file: BufReader::new(file), number: 0, sealer, addresses };
        match lines.next_line()? {
            Some(Line::HookfleetExport(FORMAT)) => Ok(lines),
            Some(Line::HookfleetExport(other)) => {
                Err(lines.wrong(format!("format {other} is unknown, expected {FORMAT}")))
            }
            Some(Line::Endpoint(_) | Line::Token(_) | Line::DeadLetter(_)) | None => {
                Err(lines.wrong("expected what `hookfleet export` writes"))
            }
        }
    }

    fn next(&mut self) -> Result<Option<Item>, Failure> {
        let Some(line) = self.next_line()? else {
            return Ok(None);
        };
        let item = match line {
            Line::HookfleetExport(_) => return Err(self.wrong("a second beginning")),
            Line::Endpoint(record) => {
                let bytes = record.get().as_bytes();
                let read = records::decode_endpoint(self.sealer, "endpoint", bytes);
                let endpoint = read.map_err(|error| self.wrong(error))?;
                let reached = self.addresses.check_url(&endpoint.url);
                reached.map_err(|why| self.wrong(format!("endpoint {}: {why}", endpoint.id)))?;
                Item::Endpoint(Box::new(endpoint))
            }
            Line::Token(token) => Item::Token(token),
            Line::DeadLetter(letter) => {
                let read = letters::decode_dead_letter(letter.get().as_bytes());
                Item::DeadLetter(Box::new(read.map_err(|error| self.wrong(error))?))
            }
        };
        Ok(Some(item))
    }

    fn next_line(&mut self) -> Result<Option<Line>, Failure> {
        self.number += 1;
        let mut line = String::new();
        let read = self.file.by_ref().take(LINE_BYTES_MAX).read_line(&mut line);
        if read.map_err(|error| self.wrong(error))? == 0 {
            return Ok(None);
        }
        serde_json::from_str(&line).map(Some).map_err(|error| self.wrong(error))
    }

    fn wrong(&self, why: impl std::fmt::Display) -> Failure {
        Failure::usage(format!("line {}: {why}", self.number))
    }
}
