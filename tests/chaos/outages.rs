//! Outages by script: one part of the fleet goes away under load, for a while, and comes back. What is
//! seen while it is away must be as documented, and the ledger must balance in the end.

use std::fmt::Write;
use std::ops::Range;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use e2e::fleet::Fleet;
use e2e::services::Services;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::cast::{Cast, left_in_queues};
use crate::faults::{Fault, Kind, Log};
use crate::ledger::{Answered, Said};
use crate::report::{self, Run, round};
use crate::running::NODES;
use crate::stage::Stage;
use crate::{Arguments, binary, empty};

/// There is load for so long before it, and after it.
const BEFORE: Duration = Duration::from_secs(15);
const AFTER: Duration = Duration::from_secs(15);

/// What goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Outage {
    /// Redis is killed.
    Store,
    /// One of three broker nodes is killed.
    Minority,
    /// Two of three are.
    Majority,
}

/// What was seen.
struct Seen {
    outage: Outage,
    /// Requests begun and answered while it was away.
    meanwhile: Said3,
    /// Of these, those of the second half: nothing is on its way any more.
    later: Said3,
    /// Deliveries in that second half.
    arrivals: usize,
    /// From its return until an event was accepted.
    accepted_again_s: Option<f64>,
    away: Duration,
    run: Run,
}

/// How many were answered in which way.
#[derive(Debug, Clone, Copy, Default)]
struct Said3 {
    accepted: usize,
    told_when: usize,
    otherwise: usize,
}

/// All that were asked for, one after the other.
pub async fn play(arguments: &Arguments) -> ExitCode {
    let mut all = Vec::new();
    for outage in &arguments.scenario {
        eprintln!("{}", outage.label());
        let seen = outage.play(arguments).await;
        for wrong in seen.wrong() {
            eprintln!("{}: {wrong}", outage.label());
        }
        all.push(seen);
    }
    let text = text(&all);
    println!("{text}");
    if let Some(path) = &arguments.report {
        let names: Vec<_> = arguments.scenario.iter().map(|outage| outage.label()).collect();
        let head = format!(
            "# Outages\n\nWritten by `chaos --scenario {} --down {} --rate {}` over three broker nodes; what it \
             does and asks for stands in `tests/chaos/outages.rs`.\n\n",
            names.join(","),
            arguments.down,
            arguments.rate
        );
        report::write(path, &(head + &text), &all.iter().map(Seen::json).collect());
    }
    let right = all.iter().all(|seen| seen.wrong().is_empty());
    if right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Outage {
    fn label(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Minority => "minority",
            Self::Majority => "majority",
        }
    }

    /// As which it explains duplicates.
    fn kind(self) -> Kind {
        match self {
            Self::Store => Kind::StoreKilled,
            Self::Minority => Kind::NodeKilled,
            Self::Majority => Kind::MajorityLost,
        }
    }

    async fn play(self, arguments: &Arguments) -> Seen {
        let away = Duration::from_secs(arguments.down);
        let logs = empty(&arguments.logs.join(format!("outage-{}", self.label())));
        let fleet = Fleet::new(&binary()).await;
        let cast = Cast::start(&fleet, &logs).await;
        let mut stage = Stage::new(&fleet.client).await;
        let doors = cast.doors(&fleet).await;
        let (log, over) = (Log::new(), CancellationToken::new());
        let load =
            stage.load((BEFORE + away + AFTER, arguments.rate), arguments.seed, doors, &over);
        let services = fleet.services().unwrap();
        let (gone, ()) = tokio::join!(self.inflict(services, away, &log), load);
        let middle = gone.start + (gone.end - gone.start) / 2;
        let ledger = std::sync::Arc::clone(&stage.ledger);
        let run = stage.settle(arguments, arguments.seed, &log, || left_in_queues(&fleet)).await;
        let answers = ledger.answers();
        Seen {
            outage: self,
            meanwhile: count(&answers, &gone),
            later: count(&answers, &(middle..gone.end)),
            arrivals: ledger.arrivals(&(middle..gone.end)),
            accepted_again_s: accepted_again(&answers, gone.end),
            away: gone.end - gone.start,
            run,
        }
    }

    /// From when until when it was away.
    async fn inflict(self, services: &Services, away: Duration, log: &Log) -> Range<Instant> {
        sleep(BEFORE).await;
        let from = Instant::now();
        match self {
            Self::Store => services.kill_store().await,
            Self::Minority | Self::Majority => {
                for node in self.nodes() {
                    services.script(&format!("{node}-kill"), &[]).await;
                }
            }
        }
        let gone = Instant::now();
        eprintln!("{} is away", self.label());
        sleep(away).await;
        let back = Instant::now();
        match self {
            Self::Store => services.start_store().await,
            Self::Minority | Self::Majority => {
                let starts = self.nodes().iter().map(|node| format!("{node}-start"));
                let starts: Vec<_> = starts.collect();
                let started = starts.iter().map(|script| services.script(script, &[]));
                futures_util::future::join_all(started).await;
            }
        }
        eprintln!("{} is back", self.label());
        let target = self.label().to_owned();
        log.add(Fault { kind: self.kind(), target, from, to: Instant::now() });
        gone..back
    }

    /// Broker nodes that are killed.
    fn nodes(self) -> &'static [&'static str] {
        match self {
            Self::Store => &[],
            Self::Minority => &NODES[..1],
            Self::Majority => &NODES[..2],
        }
    }
}

fn count(answers: &[Answered], during: &Range<Instant>) -> Said3 {
    let mut count = Said3::default();
    for answer in answers {
        if during.contains(&answer.begun) && during.contains(&answer.at) {
            match answer.said {
                Said::Accepted => count.accepted += 1,
                Said::Later => count.told_when += 1,
                Said::Otherwise => count.otherwise += 1,
            }
        }
    }
    count
}

fn accepted_again(answers: &[Answered], back: Instant) -> Option<f64> {
    let accepted = answers.iter().filter(|answer| answer.said == Said::Accepted);
    let first = accepted.map(|answer| answer.at).filter(|at| *at >= back).min();
    first.map(|at| (at - back).as_secs_f64())
}

impl Seen {
    /// What is not as it is documented.
    fn wrong(&self) -> Vec<String> {
        let mut wrong = self.run.wrong();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                wrong.push(format!("{what}: {:?}, then {:?}", self.meanwhile, self.later));
            }
        };
        match self.outage {
            Outage::Store | Outage::Majority => {
                must(self.meanwhile.accepted == 0, "accepted what nothing could keep");
                must(self.meanwhile.told_when > 0, "no 503");
                must(self.meanwhile.otherwise == 0, "answers were no 503 with Retry-After");
            }
            Outage::Minority => {
                must(self.later.accepted > 0, "publishing does not go on");
                must(self.later.accepted > 9 * self.later.told_when, "publishing is refused");
                must(self.arrivals > 0, "delivering does not go on");
            }
        }
        if self.outage == Outage::Store {
            must(self.arrivals == 0, "workers do not hold");
        }
        must(self.accepted_again_s.is_some(), "nothing was accepted again");
        wrong
    }

    fn json(&self) -> Value {
        let said = |said: Said3| {
            json!({"accepted": said.accepted, "503_retry_after": said.told_when,
                "otherwise": said.otherwise})
        };
        json!({
            "outage": self.outage.label(), "away_s": round(self.away.as_secs_f64()),
            "while_away": said(self.meanwhile), "second_half": said(self.later),
            "delivered_in_second_half": self.arrivals,
            "accepted_again_after_s": self.accepted_again_s.map(round),
            "wrong": self.wrong(), "run": self.run.json(),
        })
    }
}

/// As Markdown.
fn text(all: &[Seen]) -> String {
    let mut text = String::from(
        "| outage | away | accepted meanwhile | refused meanwhile, 503 with Retry-After | other answers | \
         delivered in its second half | accepting again after | accepted in all | owed | delivered | dead | \
         lost | duplicates | drained after |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for seen in all {
        let (Said3 { accepted, told_when, otherwise }, run) = (seen.meanwhile, &seen.run);
        let balance = &run.balance;
        writeln!(
            text,
            "| {} | {:.0} s | {accepted} | {told_when} | {otherwise} | {} | {:.1} s | {} | {} | {} | {} | {} | {} | \
             {:.0} s |",
            seen.outage.label(),
            seen.away.as_secs_f64(),
            seen.arrivals,
            seen.accepted_again_s.unwrap_or(f64::NAN),
            balance.accepted,
            balance.owed,
            balance.delivered,
            balance.dead,
            balance.missing.len(),
            balance.duplicates,
            run.drained_s
        )
        .unwrap();
    }
    for seen in all {
        for wrong in seen.wrong() {
            writeln!(text, "\n{}: {wrong}.", seen.outage.label()).unwrap();
        }
    }
    text
}
