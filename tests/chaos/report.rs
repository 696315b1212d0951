//! What a run came to, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::faults::Fault;
use crate::ledger::{Balance, UNEXPLAINED};
use tokio::time::Instant;

/// One seed's run.
pub struct Run {
    pub seed: u64,
    pub backend: &'static str,
    pub seconds: u64,
    pub rate: u32,
    pub began: Instant,
    pub faults: Vec<Fault>,
    pub balance: Balance,
    /// From the last fault's end until everything was delivered or dead.
    pub drained_s: f64,
    /// Messages left in queues that should be empty.
    pub left_in_queues: u64,
}

/// Duplicates that are thought to be bearable, of all deliveries.
const DUPLICATES_SHARE_MAX: f64 = 0.01;

impl Run {
    /// What did not arrive; nothing: it balances.
    pub fn lost(&self) -> Vec<String> {
        let (missing, mut lost) = (&self.balance.missing, Vec::new());
        if !missing.is_empty() {
            lost.push(format!("{} deliveries are missing: {:?}", missing.len(), missing.first()));
        }
        if self.left_in_queues > 0 {
            lost.push(format!("{} messages stay in the queues", self.left_in_queues));
        }
        lost
    }

    /// What is wrong with it; nothing: all arrived, and what arrived again is known why.
    pub fn wrong(&self) -> Vec<String> {
        [self.lost(), self.repeated()].concat()
    }

    fn repeated(&self) -> Vec<String> {
        let Balance { duplicates, delivered, duplicates_by_cause, .. } = &self.balance;
        let mut wrong = Vec::new();
        if let Some(count) = duplicates_by_cause.get(UNEXPLAINED) {
            wrong.push(format!("{count} duplicates are unexplained"));
        }
        if share(*duplicates, *delivered) > DUPLICATES_SHARE_MAX {
            wrong.push(format!("{duplicates} duplicates of {delivered} deliveries"));
        }
        wrong
    }

    pub fn json(&self) -> Value {
        let since = |at: Instant| (at - self.began).as_secs_f64();
        let faults = self.faults.iter().map(|fault| {
            json!({"kind": fault.kind.label(), "target": fault.target,
                "from_s": round(since(fault.from)), "to_s": round(since(fault.to))})
        });
        let balance = &self.balance;
        let unexplained = balance.unexplained.iter().map(|(endpoint, event, first, again)| {
            json!({"endpoint": endpoint, "event": event, "first_s": round(since(*first)),
                "again_s": round(since(*again))})
        });
        json!({
            "seed": self.seed, "backend": self.backend, "seconds": self.seconds,
            "rate": self.rate, "accepted": balance.accepted, "accepted_by": balance.by_door,
            "refused": balance.refused, "owed": balance.owed, "delivered": balance.delivered,
            "dead": balance.dead, "lost": balance.missing.len(),
            "missing": balance.missing.iter().take(20).collect::<Vec<_>>(),
            "duplicates": balance.duplicates, "duplicates_by_cause": balance.duplicates_by_cause,
            "unexplained": unexplained.collect::<Vec<_>>(),
            "drained_s": round(self.drained_s), "left_in_queues": self.left_in_queues,
            "wrong": self.wrong(), "faults": faults.collect::<Vec<_>>(),
        })
    }
}

pub fn round(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}

#[expect(clippy::cast_precision_loss, reason = "a share of a few thousand")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// Counts of all runs together.
fn sums(runs: &[Run]) -> (BTreeMap<&'static str, usize>, BTreeMap<&'static str, usize>) {
    let (mut faults, mut causes) = (BTreeMap::new(), BTreeMap::new());
    for run in runs {
        for fault in &run.faults {
            *faults.entry(fault.kind.label()).or_default() += 1;
        }
        for (cause, count) in &run.balance.duplicates_by_cause {
            *causes.entry(*cause).or_default() += count;
        }
    }
    (faults, causes)
}

/// As JSON, with every fault and its times.
pub fn json(runs: &[Run]) -> Value {
    let (faults, causes) = sums(runs);
    let sum = |count: fn(&Balance) -> usize| -> usize {
        runs.iter().map(|run| count(&run.balance)).sum()
    };
    json!({
        "accepted": sum(|balance| balance.accepted), "owed": sum(|balance| balance.owed),
        "delivered": sum(|balance| balance.delivered), "dead": sum(|balance| balance.dead),
        "lost": sum(|balance| balance.missing.len()),
        "duplicates": sum(|balance| balance.duplicates), "duplicates_by_cause": causes,
        "faults": faults, "runs": runs.iter().map(Run::json).collect::<Vec<_>>(),
    })
}

/// PATH.md and PATH.json.
pub fn write(path: &Path, text: &str, json: &Value) {
    std::fs::write(path.with_extension("md"), text).unwrap();
    let json = serde_json::to_string_pretty(json).unwrap();
    std::fs::write(path.with_extension("json"), json + "\n").unwrap();
}

/// As Markdown.
pub fn text(runs: &[Run]) -> String {
    let mut text = String::from(
        "| seed | accepted | refused | owed | delivered | dead | lost | duplicates | faults | drained after |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for run in runs {
        let Balance { accepted, refused, owed, delivered, dead, missing, duplicates, .. } =
            &run.balance;
        let (lost, faults) = (missing.len(), run.faults.len());
        writeln!(
            text,
            "| {} | {accepted} | {refused} | {owed} | {delivered} | {dead} | {lost} | \
             {duplicates} | {faults} | {:.0} s |",
            run.seed, run.drained_s
        )
        .unwrap();
    }
    let (faults, causes) = sums(runs);
    let delivered: usize = runs.iter().map(|run| run.balance.delivered).sum();
    text.push_str("\n| fault | times | duplicates that it explains |\n| --- | --- | --- |\n");
    for (fault, times) in &faults {
        writeln!(text, "| {fault} | {times} | {} |", causes.get(fault).unwrap_or(&0)).unwrap();
    }
    let unexplained = causes.get(UNEXPLAINED).unwrap_or(&0);
    let duplicates: usize = causes.values().sum();
    writeln!(
        text,
        "\n{duplicates} of {delivered} deliveries came twice ({:.2} %), {unexplained} of them for \
         no known reason.",
        100.0 * share(duplicates, delivered)
    )
    .unwrap();
    for run in runs {
        for wrong in run.wrong() {
            writeln!(text, "\nSeed {}: {wrong}.", run.seed).unwrap();
        }
    }
    text
}
