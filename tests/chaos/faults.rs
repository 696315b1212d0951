//! Faults: what can be done to a fleet, when the seed says so, and what was done.

use std::sync::Mutex;
use std::time::Duration;

use e2e::fleet::Fleet;
use e2e::services::Services;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::proxy::Way;
use crate::receivers::Mood;
use crate::running::{Links, NODES, Role, freeze};

/// A kind of fault. The order is that in which they explain duplicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    WorkerKilled,
    ServerKilled,
    StoreKilled,
    WorkerFrozen,
    ServerFrozen,
    StoreFrozen,
    StoreStalled,
    StoreCut,
    ClockStepped,
    DiskFull,
    MajorityLost,
    NodeFrozen,
    BrokerStalled,
    NodeKilled,
    BrokerCut,
    MemoryAlarm,
    LeadersMoved,
    ReceiversSlow,
    ReceiversLying,
    ApiKilled,
    ApiFrozen,
    RollingRestart,
}

impl Kind {
    /// What is done to the fleet's processes.
    pub const OF_PROCESSES: &[Self] = &[
        Self::WorkerKilled,
        Self::WorkerFrozen,
        Self::ApiKilled,
        Self::ApiFrozen,
        Self::RollingRestart,
        Self::ClockStepped,
    ];
    /// What is done to the broker's nodes.
    pub const OF_BROKER: &[Self] = &[
        Self::NodeKilled,
        Self::MajorityLost,
        Self::NodeFrozen,
        Self::LeadersMoved,
        Self::MemoryAlarm,
    ];
    /// What is done to store, network and receivers.
    pub const OF_SURROUNDINGS: &[Self] = &[
        Self::StoreKilled,
        Self::StoreFrozen,
        Self::StoreCut,
        Self::StoreStalled,
        Self::BrokerCut,
        Self::BrokerStalled,
        Self::ReceiversSlow,
        Self::ReceiversLying,
    ];
    /// What is done to a server alone.
    pub const OF_SERVER: &[Self] = &[
        Self::ServerKilled,
        Self::ServerFrozen,
        Self::RollingRestart,
        Self::ClockStepped,
        Self::DiskFull,
    ];
    /// What its receivers do meanwhile.
    pub const OF_RECEIVERS: &[Self] = &[Self::ReceiversSlow, Self::ReceiversLying];

    pub fn label(self) -> &'static str {
        match self {
            Self::WorkerKilled => "worker killed",
            Self::ServerKilled => "server killed",
            Self::StoreKilled => "store killed",
            Self::WorkerFrozen => "worker frozen",
            Self::ServerFrozen => "server frozen",
            Self::StoreFrozen => "store frozen",
            Self::StoreStalled => "way to the store stalled",
            Self::StoreCut => "connections to the store cut",
            Self::ClockStepped => "clock stepped",
            Self::DiskFull => "disk full",
            Self::MajorityLost => "majority of broker nodes killed",
            Self::NodeFrozen => "broker node frozen",
            Self::BrokerStalled => "way to the broker stalled",
            Self::NodeKilled => "broker node killed",
            Self::BrokerCut => "connections to the broker cut",
            Self::MemoryAlarm => "memory alarm",
            Self::LeadersMoved => "leaders moved",
            Self::ReceiversSlow => "receivers slow",
            Self::ReceiversLying => "receivers lying",
            Self::ApiKilled => "api killed",
            Self::ApiFrozen => "api frozen",
            Self::RollingRestart => "rolling restart",
        }
    }

    /// May it cost duplicates? A restart, a slow answer or a move may not.
    pub fn repeats(self) -> bool {
        match self {
            Self::MemoryAlarm
            | Self::LeadersMoved
            | Self::ReceiversSlow
            | Self::ReceiversLying
            | Self::ApiKilled
            | Self::ApiFrozen
            | Self::RollingRestart => false,
            Self::WorkerKilled
            | Self::ServerKilled
            | Self::StoreKilled
            | Self::WorkerFrozen
            | Self::ServerFrozen
            | Self::StoreFrozen
            | Self::StoreStalled
            | Self::StoreCut
            | Self::ClockStepped
            | Self::DiskFull
            | Self::MajorityLost
            | Self::NodeFrozen
            | Self::BrokerStalled
            | Self::NodeKilled
            | Self::BrokerCut => true,
        }
    }
}

/// A fault that was inflicted, and healed.
#[derive(Debug, Clone)]
pub struct Fault {
    pub kind: Kind,
    pub target: String,
    pub from: Instant,
    pub to: Instant,
}

/// Every fault of a run.
pub struct Log {
    began: Instant,
    faults: Mutex<Vec<Fault>>,
}

impl Log {
    pub fn new() -> Self {
        Self { began: Instant::now(), faults: Mutex::default() }
    }

    pub fn began(&self) -> Instant {
        self.began
    }

    /// One more.
    pub fn add(&self, fault: Fault) {
        self.faults.lock().unwrap().push(fault);
    }

    /// In the order in which they were inflicted.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = self.faults.lock().unwrap().clone();
        faults.sort_by_key(|fault| fault.from);
        faults
    }
}

/// Something that faults can be inflicted on.
pub trait Patient {
    /// Inflicts one and heals it; answers what it hit.
    async fn suffer(&mut self, kind: Kind, random: &mut StdRng) -> String;
}

/// Inflicts one fault after the other, every kind once before any comes again, until `stop`.
pub async fn inflict(
    mut patient: impl Patient,
    mut deck: Vec<Kind>,
    mut random: StdRng,
    log: &Log,
    stop: &CancellationToken,
) {
    loop {
        deck.shuffle(&mut random);
        for kind in &deck {
            let pause = Duration::from_millis(random.random_range(2000..6000));
            if timeout(pause, stop.cancelled()).await.is_ok() {
                return;
            }
            let from = Instant::now();
            eprintln!("{:7.1} s  {}", (from - log.began).as_secs_f64(), kind.label());
            let target = patient.suffer(*kind, &mut random).await;
            let fault = Fault { kind: *kind, target, from, to: Instant::now() };
            log.add(fault);
        }
    }
}

fn seconds(random: &mut StdRng, range: std::ops::Range<f64>) -> Duration {
    Duration::from_secs_f64(random.random_range(range))
}

/// The fleet's processes, or the one of a server alone.
pub struct Processes<'a> {
    pub fleet: &'a Fleet,
    pub api: Option<&'a mut Role>,
    pub workers: &'a mut [Role],
}

impl Patient for Processes<'_> {
    async fn suffer(&mut self, kind: Kind, random: &mut StdRng) -> String {
        let number = random.random_range(0..self.workers.len());
        let worker = &mut self.workers[number];
        match (kind, &mut self.api) {
            (Kind::WorkerKilled | Kind::ServerKilled, _) => {
                worker.kill(self.fleet, seconds(random, 0.2..4.0)).await;
            }
            (Kind::WorkerFrozen | Kind::ServerFrozen, _) => {
                // Sometimes for so long that the broker gives it up.
                let long = if random.random_ratio(1, 3) { 25.0..35.0 } else { 2.0..12.0 };
                worker.freeze(seconds(random, long)).await;
            }
            (Kind::ClockStepped, _) => {
                let worker = self.workers.last_mut().expect("there is a worker");
                let offset = ["+10s", "-10s", "+45s", "-45s"].choose(random).unwrap();
                worker.set_clock(offset);
                sleep(seconds(random, 5.0..10.0)).await;
                worker.set_clock("+0s");
                return format!("{} by {offset}", worker.name);
            }
            (Kind::DiskFull, _) => {
                limit_files(worker.id(), "4096").await;
                sleep(seconds(random, 3.0..8.0)).await;
                limit_files(worker.id(), "unlimited").await;
                worker.ready().await;
            }
            (Kind::ApiKilled, Some(api)) => {
                api.kill(self.fleet, seconds(random, 0.2..2.0)).await;
                return api.name.to_owned();
            }
            (Kind::ApiFrozen, Some(api)) => {
                api.freeze(seconds(random, 2.0..8.0)).await;
                return api.name.to_owned();
            }
            (Kind::RollingRestart, _) => {
                for worker in &mut *self.workers {
                    worker.restart(self.fleet).await;
                }
                return "all".to_owned();
            }
            (kind, _) => unreachable!("{kind:?} is none of processes"),
        }
        worker.name.to_owned()
    }
}

/// The limit on the size of a process's files.
async fn limit_files(id: u32, bytes: &str) {
    let limit = format!("--fsize={bytes}:unlimited");
    let set = Command::new("prlimit").args(["--pid", &id.to_string(), &limit]).status().await;
    assert!(set.unwrap().success());
}

/// The broker's nodes.
pub struct Broker<'a>(pub &'a Services);

impl Broker<'_> {
    async fn kill(&self, node: &str) {
        self.0.script(&format!("{node}-kill"), &[]).await;
    }

    async fn start(&self, node: &str) {
        self.0.script(&format!("{node}-start"), &[]).await;
    }

    async fn watermark(&self, share: &str) {
        self.0.rabbitmqctl(&["set_vm_memory_high_watermark", share]).await;
    }
}

/// Every quorum queue's leader goes to the next running member.
const MOVE_LEADERS: &str = "
    [begin
        {_, Leader} = amqqueue:get_pid(Q),
        Others = [N || N <- rabbit_nodes:all_running(), N =/= Leader],
        case Others of
            [] -> none;
            _ -> rabbit_quorum_queue:transfer_leadership(Q,
                    lists:nth(rand:uniform(length(Others)), Others))
        end
    end || Q <- rabbit_amqqueue:list(), amqqueue:is_quorum(Q)], ok.";

impl Patient for Broker<'_> {
    async fn suffer(&mut self, kind: Kind, random: &mut StdRng) -> String {
        let mut nodes = NODES;
        nodes.shuffle(random);
        let [one, two, _] = nodes;
        match kind {
            Kind::NodeKilled => {
                self.kill(one).await;
                sleep(seconds(random, 3.0..10.0)).await;
                self.start(one).await;
            }
            Kind::MajorityLost => {
                self.kill(one).await;
                self.kill(two).await;
                sleep(seconds(random, 5.0..15.0)).await;
                tokio::join!(self.start(one), self.start(two));
                return format!("{one}, {two}");
            }
            Kind::NodeFrozen => {
                let id = self.0.number(&format!("{one}.pid"));
                freeze(id, seconds(random, 3.0..15.0)).await;
            }
            Kind::LeadersMoved => {
                self.0.rabbitmqctl(&["eval", MOVE_LEADERS]).await;
                return "all queues".to_owned();
            }
            Kind::MemoryAlarm => {
                self.watermark("0.000001").await;
                sleep(seconds(random, 4.0..10.0)).await;
                self.watermark("0.4").await;
                return NODES[0].to_owned();
            }
            kind => unreachable!("{kind:?} is none of the broker"),
        }
        one.to_owned()
    }
}

/// Store, network, and receivers.
pub struct Surroundings<'a> {
    pub services: Option<&'a Services>,
    /// Ways of the processes, by their names.
    pub links: Vec<(&'static str, &'a Links)>,
    pub mood: &'a watch::Sender<Mood>,
}

impl Surroundings<'_> {
    async fn moody(&self, mood: Mood, pause: Duration) -> String {
        self.mood.send_replace(mood);
        sleep(pause).await;
        self.mood.send_replace(Mood::Honest);
        "those with moods".to_owned()
    }
}

impl Patient for Surroundings<'_> {
    async fn suffer(&mut self, kind: Kind, random: &mut StdRng) -> String {
        let pause = seconds(random, 3.0..10.0);
        match kind {
            Kind::ReceiversSlow => return self.moody(Mood::Slow, pause).await,
            Kind::ReceiversLying => return self.moody(Mood::Lying, pause).await,
            _ => {}
        }
        let services = self.services.expect("a fleet has services");
        let (name, links) = self.links.choose(random).expect("a fleet has processes");
        let way = *[Way::ToServer, Way::ToClient].choose(random).unwrap();
        match kind {
            Kind::StoreKilled => {
                services.kill_store().await;
                sleep(pause).await;
                services.start_store().await;
                return "redis".to_owned();
            }
            Kind::StoreFrozen => {
                freeze(services.number("redis.pid"), pause).await;
                return "redis".to_owned();
            }
            Kind::StoreCut => links.store.cut(),
            Kind::BrokerCut => links.broker.cut(),
            Kind::StoreStalled | Kind::BrokerStalled => {
                let proxy = if kind == Kind::StoreStalled { &links.store } else { &links.broker };
                // Sometimes for so long that heartbeats miss it.
                let pause = if random.random_ratio(1, 3) { pause * 3 } else { pause };
                proxy.stall(Some(way));
                sleep(pause).await;
                proxy.stall(None);
                return format!("{name}, {way:?}");
            }
            kind => unreachable!("{kind:?} is none of the surroundings"),
        }
        (*name).to_owned()
    }
}
