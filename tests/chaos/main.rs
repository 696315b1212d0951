//! Chaos: a fleet under load while its processes, broker, store, network and receivers fail, as a
//! seed says; and a ledger that must balance in the end.
//!
//! `make chaos` runs it within `deploy/services.sh cluster`.

mod cast;
mod faults;
mod ledger;
mod outages;
mod proxy;
mod publish;
mod receivers;
mod report;
mod running;
mod stage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use e2e::fleet::Fleet;
use hookfleet_backends::sqlite::inspect;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use cast::{Cast, left_in_queues};
use faults::{Broker, Kind, Log, Processes, Surroundings, inflict};
use outages::Outage;
use publish::Door;
use report::Run;
use running::{Plan, Role};
use stage::Stage;

/// Fails a fleet under load, and counts what became of every event.
#[derive(Debug, Parser)]
struct Arguments {
    /// Of the first run; the next runs have the next seeds.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// For how long each run publishes and fails.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Events a second, over all publishers.
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// What is failed.
    #[arg(long, value_enum, default_value_t = Backend::Fleet)]
    backend: Backend,
    /// Instead: one outage after the other, and what is seen while it lasts.
    #[arg(long, value_enum, value_delimiter = ',', conflicts_with_all = ["backend", "runs", "seconds"])]
    scenario: Vec<Outage>,
    /// How long each of these outages lasts.
    #[arg(long, default_value_t = 60, requires = "scenario")]
    down: u64,
    /// Fails for what did not arrive alone: what arrives twice on a starved machine has causes that no
    /// ledger knows of.
    #[arg(long)]
    lost_only: bool,
    /// Writes PATH.md and PATH.json.
    #[arg(long, value_name = "PATH")]
    report: Option<PathBuf>,
    /// Where the processes' logs go.
    #[arg(long, value_name = "FOLDER", default_value = "target/chaos")]
    logs: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Backend {
    Fleet,
    Embedded,
}

impl Backend {
    fn label(self) -> &'static str {
        match self {
            Self::Fleet => "fleet",
            Self::Embedded => "embedded",
        }
    }
}

impl Arguments {
    fn load(&self) -> (Duration, u32) {
        (Duration::from_secs(self.seconds), self.rate)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    e2e::install_tls();
    let mut told = signal(SignalKind::terminate()).unwrap();
    // Told to end it drops what it plays, and with that ends the processes that it started.
    tokio::select! {
        code = play(arguments) => code,
        _ = told.recv() => ExitCode::FAILURE,
    }
}

async fn play(arguments: Arguments) -> ExitCode {
    if !arguments.scenario.is_empty() {
        return outages::play(&arguments).await;
    }
    let mut runs = Vec::new();
    for seed in arguments.seed..arguments.seed + arguments.runs {
        eprintln!("seed {seed}");
        let run = run(&arguments, seed).await;
        for wrong in run.wrong() {
            eprintln!("seed {seed}: {wrong}");
        }
        runs.push(run);
    }
    println!("{}", report::text(&runs));
    if let Some(path) = &arguments.report {
        write_report(path, &arguments, &runs);
    }
    let judged = |run: &Run| if arguments.lost_only { run.lost() } else { run.wrong() };
    let balances = runs.iter().all(|run| judged(run).is_empty());
    if balances { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn write_report(path: &Path, arguments: &Arguments, runs: &[Run]) {
    let Arguments { seed, runs: count, seconds, rate, backend, .. } = arguments;
    let backend = backend.label();
    let head = format!(
        "# Chaos\n\nWritten by `chaos --backend {backend} --seed {seed} --runs {count} --seconds \
         {seconds} --rate {rate}`; what it does stands in `tests/chaos/main.rs`, every fault with its \
         times in the JSON file beside this one.\n\n"
    );
    report::write(path, &(head + &report::text(runs)), &report::json(runs));
}

/// The binary under test is built beside this one.
fn binary() -> String {
    let beside = std::env::current_exe().unwrap().with_file_name("hookfleet-under-test");
    assert!(beside.exists(), "{} is missing: build the workspace", beside.display());
    beside.display().to_string()
}

fn empty(folder: &Path) -> PathBuf {
    drop(std::fs::remove_dir_all(folder));
    std::fs::create_dir_all(folder).unwrap();
    folder.to_owned()
}

async fn run(arguments: &Arguments, seed: u64) -> Run {
    let logs = empty(&arguments.logs.join(format!("{}-{seed}", arguments.backend.label())));
    match arguments.backend {
        Backend::Fleet => run_fleet(arguments, seed, &logs).await,
        Backend::Embedded => run_embedded(arguments, seed, &logs).await,
    }
}

async fn run_fleet(arguments: &Arguments, seed: u64, logs: &Path) -> Run {
    let fleet = Fleet::new(&binary()).await;
    let services = fleet.services().unwrap();
    let mut cast = Cast::start(&fleet, logs).await;
    let mut stage = Stage::new(&fleet.client).await;
    let doors = cast.doors(&fleet).await;

    let (log, over) = (Log::new(), CancellationToken::new());
    let processes =
        Processes { fleet: &fleet, api: Some(&mut cast.api), workers: &mut cast.workers };
    let links = cast::ways(&cast.links);
    let surroundings = Surroundings { services: Some(services), links, mood: &stage.mood.clone() };
    let faults = async {
        tokio::join!(
            inflict(processes, of_processes(Kind::OF_PROCESSES), random(seed, 1), &log, &over),
            inflict(Broker(services), Kind::OF_BROKER.to_vec(), random(seed, 2), &log, &over),
            inflict(surroundings, Kind::OF_SURROUNDINGS.to_vec(), random(seed, 3), &log, &over),
        );
    };
    let load = stage.load(arguments.load(), seed, doors, &over);
    tokio::join!(load, faults);
    stage.settle(arguments, seed, &log, || left_in_queues(&fleet)).await
}

async fn run_embedded(arguments: &Arguments, seed: u64, logs: &Path) -> Run {
    let fleet = Fleet::alone(&binary());
    let listen = fleet.client.url.trim_start_matches("http://").to_owned();
    let plan = Plan {
        name: "server",
        arguments: &["serve", "--listen", &listen],
        links: None,
        own_clock: running::clocks_can_be_set(),
    };
    let mut server = [Role::start(&fleet, logs, plan).await];
    let mut stage = Stage::new(&fleet.client).await;
    let (log, over) = (Log::new(), CancellationToken::new());
    let processes = Processes { fleet: &fleet, api: None, workers: &mut server };
    let surroundings =
        Surroundings { services: None, links: Vec::new(), mood: &stage.mood.clone() };
    let faults = async {
        tokio::join!(
            inflict(processes, of_processes(Kind::OF_SERVER), random(seed, 1), &log, &over),
            inflict(surroundings, Kind::OF_RECEIVERS.to_vec(), random(seed, 3), &log, &over),
        );
    };
    let doors = vec![Door::Http(fleet.client.clone())];
    tokio::join!(stage.load(arguments.load(), seed, doors, &over), faults);
    let data = fleet.data_folder().unwrap();
    let waiting = async || {
        let counts = inspect(&data).await.unwrap().counts;
        counts.iter().find(|(what, _)| what.ends_with("waiting")).unwrap().1
    };
    stage.settle(arguments, seed, &log, waiting).await
}

fn random(seed: u64, part: u64) -> StdRng {
    StdRng::seed_from_u64(seed * 16 + part)
}

fn of_processes(kinds: &[Kind]) -> Vec<Kind> {
    let mut kinds = kinds.to_vec();
    if !running::clocks_can_be_set() {
        eprintln!("chaos: libfaketime is not installed, no clock will be stepped");
        kinds.retain(|kind| *kind != Kind::ClockStepped);
    }
    kinds
}
