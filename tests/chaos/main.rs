//! Chaos: a fleet under load while its processes, broker, store, network and receivers fail, as a
//! seed says; and a ledger that must balance in the end.
//!
//! `make chaos` runs it within `deploy/services.sh cluster`.

mod faults;
mod ledger;
mod proxy;
mod publish;
mod receivers;
mod report;
mod running;
mod stage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use e2e::fleet::Fleet;
use hookfleet_backends::sqlite::inspect;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio_util::sync::CancellationToken;

use faults::{Broker, Kind, Log, Processes, Surroundings, inflict};
use publish::Door;
use report::Run;
use running::{Links, NODES, Plan, Role};
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

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    e2e::install_tls();
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
    let balances = runs.iter().all(|run| run.wrong().is_empty());
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
    std::fs::write(path.with_extension("md"), head + &report::text(runs)).unwrap();
    let json = serde_json::to_string_pretty(&report::json(runs)).unwrap();
    std::fs::write(path.with_extension("json"), json + "\n").unwrap();
}

/// The binary under test is built beside this one.
fn binary() -> String {
    let beside = std::env::current_exe().unwrap().with_file_name("hookfleet-under-test");
    assert!(beside.exists(), "{} is missing: build the workspace", beside.display());
    beside.display().to_string()
}

async fn run(arguments: &Arguments, seed: u64) -> Run {
    let logs = arguments.logs.join(format!("{}-{seed}", arguments.backend.label()));
    drop(std::fs::remove_dir_all(&logs));
    std::fs::create_dir_all(&logs).unwrap();
    match arguments.backend {
        Backend::Fleet => run_fleet(arguments, seed, &logs).await,
        Backend::Embedded => run_embedded(arguments, seed, &logs).await,
    }
}

async fn run_fleet(arguments: &Arguments, seed: u64, logs: &Path) -> Run {
    let fleet = Fleet::new(&binary()).await;
    let services = fleet.services().unwrap();
    let names = ["api", "worker1", "worker2", "worker3"];
    let mut links = Vec::new();
    for _ in 0..=names.len() {
        links.push(Links::new(services).await);
    }
    let listen = fleet.client.url.trim_start_matches("http://").to_owned();
    let plan = Plan {
        name: names[0],
        arguments: &["api", "--listen", &listen],
        links: links.first(),
        own_clock: false,
    };
    let mut api = Role::start(&fleet, logs, plan).await;
    let mut workers = Vec::new();
    for (number, name) in names.iter().copied().enumerate().skip(1) {
        let own_clock = number == 3 && running::clocks_can_be_set();
        let plan = Plan { name, arguments: &["worker"], links: links.get(number), own_clock };
        workers.push(Role::start(&fleet, logs, plan).await);
    }
    three_members_each(&fleet).await;
    let mut stage = Stage::new(&fleet.client).await;
    let (amqp_url, redis_url) = links[names.len()].urls();
    let producer = publish::producer(amqp_url, redis_url).await;
    let doors = vec![Door::Http(fleet.client.clone()), Door::Crate(producer)];

    let (log, over) = (Log::new(), CancellationToken::new());
    let processes = Processes { fleet: &fleet, api: Some(&mut api), workers: &mut workers };
    let mut ways: Vec<_> = names.iter().copied().zip(&links).collect();
    ways.push(("producer", &links[names.len()]));
    let surroundings =
        Surroundings { services: Some(services), links: ways, mood: &stage.mood.clone() };
    let faults = async {
        tokio::join!(
            inflict(processes, of_processes(Kind::OF_PROCESSES), random(seed, 1), &log, &over),
            inflict(Broker(services), Kind::OF_BROKER.to_vec(), random(seed, 2), &log, &over),
            inflict(surroundings, Kind::OF_SURROUNDINGS.to_vec(), random(seed, 3), &log, &over),
        );
    };
    let load = stage.load(arguments, seed, doors, &over);
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
    tokio::join!(stage.load(arguments, seed, doors, &over), faults);
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

/// What `rabbitmqctl list_queues` says of each queue, its name first.
async fn list_queues(fleet: &Fleet, column: &str) -> Vec<(String, String)> {
    let services = fleet.services().unwrap();
    let list = ["-p", services.vhost(), "--no-table-headers", "list_queues", "name", column];
    let list = services.rabbitmqctl(&list).await;
    let lines = list.lines().filter_map(|line| line.split_once('\t'));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Every queue has a member on each node: losing a minority must lose nothing.
async fn three_members_each(fleet: &Fleet) {
    let queues = list_queues(fleet, "members").await;
    assert!(queues.len() > 20, "the fleet's queues are not there: {queues:?}");
    for (queue, members) in queues {
        let count = members.matches('@').count();
        assert_eq!(count, NODES.len(), "{queue} has members {members}");
    }
}

/// Messages that are still to be worked on.
async fn left_in_queues(fleet: &Fleet) -> u64 {
    let kept = ["hookfleet.dead", "hookfleet.archive"];
    let queues = list_queues(fleet, "messages").await;
    let left = queues.iter().filter(|(name, _)| !kept.contains(&name.as_str()));
    left.map(|(_, messages)| messages.parse::<u64>().unwrap_or(0)).sum()
}
