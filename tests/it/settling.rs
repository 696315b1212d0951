//! The way of a delivery, cut at every step: a real worker over SQLite, whose process "dies", whose
//! publishes end in doubt and whose messages come again wherever a generated plan says so.
//!
//! Held: an accepted event is delivered or a dead letter in the end (conservation), and each fault
//! costs one more request at most (a retry chain does not fork).

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use e2e::fleet::Folder;
use e2e::receiver::{Answer, Receiver};
use e2e::{IN_A_WHILE, SOON};
use hookfleet_backends::sqlite::{Retention, Sqlite, SqliteOptions, inspect};
use hookfleet_domain::{
    AddressPolicy, Clock, DeadLetterFilter, Delay, Draft, EndpointPatch, EndpointPolicy, Event,
    EventId, Remains, Secret, TenantId, Timestamp, Tracer,
};
use hookfleet_producer::{Producer, ProducerMetrics};
use hookfleet_queue::{
    Archive, Depth, Found, Lease, Leases, Outgoing, Pass, Queue, QueueError, Readiness, Receipt,
    Search, Settle,
};
use hookfleet_store::{DeadLetterStore, DeliveryStore, EndpointStore, PageRequest, Sealer, Stage};
use hookfleet_worker::{Egress, Sender, Worker, WorkerMetrics, WorkerOptions, WorkerParts};
use proptest::prelude::*;
use serde_json::json;
use tokio::runtime::{self, Runtime};
use tokio_util::sync::CancellationToken;

/// Attempts that the endpoints' schedule allows.
const ATTEMPTS: usize = 3;
const EVENTS: usize = 2;

/// What a plan does at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The worker's process ends here.
    Crash,
    /// The call fails here, whatever it has done already.
    Error,
}

/// Counts steps, and says which of them go wrong.
#[derive(Default)]
struct Plan {
    steps: Mutex<(usize, HashMap<usize, Fault>)>,
    /// This life of the worker.
    crashed: Mutex<CancellationToken>,
}

impl Plan {
    fn next(&self) -> Option<Fault> {
        let mut steps = self.steps.lock().unwrap();
        steps.0 += 1;
        let step = steps.0;
        let fault = steps.1.remove(&step);
        if fault == Some(Fault::Crash) {
            self.crashed.lock().unwrap().cancel();
        }
        fault
    }

    /// A step of the worker's own; one that it does not survive never ends.
    async fn step(&self) -> Result<(), QueueError> {
        match self.next() {
            None => Ok(()),
            Some(Fault::Error) => Err(QueueError::Unavailable("as planned".to_owned())),
            Some(Fault::Crash) => std::future::pending().await,
        }
    }
}

/// A queue in which things go wrong as planned, and nothing has to wait.
struct Faulty {
    queue: Arc<dyn Queue>,
    plan: Arc<Plan>,
}

#[async_trait]
impl Queue for Faulty {
    async fn publish(&self, message: Outgoing<'_>) -> Result<(), QueueError> {
        let message = match message {
            Outgoing::Delivery(delivery, _) => Outgoing::Delivery(delivery, Delay::NONE),
            other => other,
        };
        self.plan.step().await?;
        self.queue.publish(message).await?;
        self.plan.step().await
    }

    async fn leases(&self, prefetch: u16) -> Result<Box<dyn Leases>, QueueError> {
        let leases = self.queue.leases(prefetch).await?;
        Ok(Box::new(FaultyLeases { leases, plan: Arc::clone(&self.plan) }))
    }

    async fn pass(&self) -> Result<Box<dyn Pass>, QueueError> {
        self.queue.pass().await
    }

    async fn archive_since(&self, since: Timestamp) -> Result<Box<dyn Archive>, QueueError> {
        self.queue.archive_since(since).await
    }

    async fn search_archive(&self, search: &Search) -> Result<Found, QueueError> {
        self.queue.search_archive(search).await
    }

    async fn depths(&self) -> Result<Vec<Depth>, QueueError> {
        self.queue.depths().await
    }

    fn readiness(&self) -> Readiness {
        self.queue.readiness()
    }
}

struct FaultyLeases {
    leases: Box<dyn Leases>,
    plan: Arc<Plan>,
}

#[async_trait]
impl Leases for FaultyLeases {
    async fn next(&mut self) -> Result<Lease, QueueError> {
        let lease = self.leases.next().await?;
        self.plan.step().await?;
        let Lease { message, redeliveries, receipt } = lease;
        let receipt = Receipt::new(FaultyReceipt { receipt, plan: Arc::clone(&self.plan) });
        Ok(Lease { message, redeliveries, receipt })
    }

    async fn close(self: Box<Self>) {
        self.leases.close().await;
    }
}

struct FaultyReceipt {
    receipt: Receipt,
    plan: Arc<Plan>,
}

#[async_trait]
impl Settle for FaultyReceipt {
    async fn settle(self: Box<Self>) -> Result<(), QueueError> {
        self.plan.step().await?;
        self.receipt.settle().await?;
        self.plan.step().await
    }

    fn give_back(self: Box<Self>) {}
}

/// What all cases share.
struct World {
    runtime: Runtime,
    file: Sqlite,
    /// Added to the clock, so that what a dead worker leased is free at once.
    later_ms: Arc<AtomicI64>,
    /// One at a time: they share a queue. How many there were.
    cases: Mutex<u32>,
    folder: Folder,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    e2e::install_tls();
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let (runtime, folder, later_ms) = (runtime.unwrap(), Folder::new(), Arc::default());
    let day = Duration::from_hours(24);
    let options = SqliteOptions {
        folder: folder.path().join("data"),
        sealer: Sealer::new(&Secret::new("1".repeat(64))).unwrap(),
        dedup_ttl: day,
        status_ttl: day,
        retention: Retention { archive: None, bytes_max: 1 << 30 },
    };
    let file = {
        let _within = runtime.enter();
        Sqlite::open(&options, &clock(&later_ms)).unwrap()
    };
    World { runtime, file, later_ms, cases: Mutex::new(0), folder }
});

#[expect(clippy::disallowed_methods, reason = "a clock that goes, and can be set forward")]
fn clock(later_ms: &Arc<AtomicI64>) -> Arc<dyn Clock> {
    let later_ms = Arc::clone(later_ms);
    Arc::new(move || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = i64::try_from(now.as_millis()).unwrap();
        Timestamp::from_unix_ms(now + later_ms.load(Ordering::SeqCst))
    })
}

fn local() -> AddressPolicy {
    AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()])
}

impl World {
    fn worker(&self, plan: &Arc<Plan>) -> Arc<Worker> {
        let (store, clock) = (Arc::clone(&self.file.store), clock(&self.later_ms));
        let (queue, plan) = (Arc::clone(&self.file.queue), Arc::clone(plan));
        let queue: Arc<dyn Queue> = Arc::new(Faulty { queue, plan });
        let registry = prometheus::Registry::new();
        let producer = Producer::new(
            Arc::clone(&queue),
            Arc::clone(&store) as _,
            Arc::clone(&clock),
            ProducerMetrics::register(&registry).unwrap(),
        );
        let egress = Egress { addresses: local(), ..Egress::default() };
        let parts = WorkerParts {
            queue,
            store,
            producer,
            sender: Arc::new(Sender::new(&egress).unwrap()),
            clock,
            metrics: WorkerMetrics::register(&registry, 0).unwrap(),
            tracer: Tracer::default(),
        };
        Worker::new(parts, WorkerOptions { delivery_limit: 50, ..WorkerOptions::default() })
    }

    /// One life of a worker, until it crashes (`false`) or nothing is left to do.
    fn live(&self, plan: &Arc<Plan>) -> bool {
        let crashed = CancellationToken::new();
        plan.crashed.lock().unwrap().clone_from(&crashed);
        let life = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let done = life.block_on(async {
            let idle = async {
                while self.waiting().await > 0 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::select! {
                biased;
                () = crashed.cancelled() => false,
                () = self.worker(plan).run(CancellationToken::new()) => unreachable!("nobody stops it"),
                () = idle => true,
                () = tokio::time::sleep(SOON) => panic!("it does not come to an end"),
            }
        });
        // All that the process held goes with it, as with its connections.
        drop(life);
        self.later_ms.fetch_add(60_000, Ordering::SeqCst);
        done
    }

    async fn subscribe(&self, tenant: &TenantId, url: &str) {
        let fields = json!({
            "url": url, "events": ["*"], "retry": {"schedule": vec!["1s"; ATTEMPTS - 1]},
            "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        });
        let patch: EndpointPatch = serde_json::from_value(fields).unwrap();
        let policy = EndpointPolicy { allow_http: true, addresses: local() };
        let now = clock(&self.later_ms).now();
        let endpoint = patch.create(tenant.clone(), now, &policy, |_| unreachable!()).unwrap();
        self.file.store.add_endpoint(&endpoint).await.unwrap();
    }

    /// Messages in the queue, in somebody's hands or not.
    async fn waiting(&self) -> u64 {
        let found = inspect(&self.folder.path().join("data")).await.unwrap();
        assert_eq!(found.damage, None);
        found.counts.iter().find(|(what, _)| what.ends_with("waiting")).unwrap().1
    }

    async fn publish(&self, tenant: &TenantId) -> EventId {
        let now = clock(&self.later_ms).now();
        let draft = Draft {
            tenant: tenant.clone(),
            event_type: "a.b".parse().unwrap(),
            project: None,
            timestamp: None,
            idempotency_key: None,
            trace: None,
            data: serde_json::value::RawValue::NULL.to_owned().into(),
        };
        let event: Event = draft.accept(EventId::generate(now), now);
        self.file.store.remember_event(&event, None).await.unwrap();
        self.file.queue.publish(Outgoing::Event(&event)).await.unwrap();
        event.id
    }

    /// Letters in the queue, by event; takes them out.
    async fn letters(&self) -> HashMap<EventId, usize> {
        let (mut pass, mut letters) = (self.file.queue.pass().await.unwrap(), HashMap::new());
        while let Some((letter, receipt)) = pass.next().await.unwrap() {
            let Remains::Delivery(delivery) = letter.remains else { panic!("{letter:?}") };
            *letters.entry(delivery.event.id.clone()).or_default() += 1;
            receipt.settle().await.unwrap();
        }
        letters
    }
}

/// Answers each event by its script, request by request; past its end with a success.
async fn receiver(script: Vec<u16>, plan: Arc<Plan>) -> Receiver {
    let asked = Mutex::new(HashMap::<String, usize>::new());
    Receiver::new(move |request| {
        let mut asked = asked.lock().unwrap();
        let nth = asked.entry(request.header("webhook-id").unwrap().to_owned()).or_default();
        *nth += 1;
        let answer = Answer::from(script.get(*nth - 1).copied().unwrap_or(200));
        // The worker never hears what it was answered.
        let lost = plan.next() == Some(Fault::Crash);
        Answer { after: if lost { IN_A_WHILE } else { Duration::ZERO }, ..answer }
    })
    .await
}

fn check(script: &[u16], faults: HashMap<usize, Fault>) {
    let (world, count) = (&*WORLD, faults.len());
    let mut case = world.cases.lock().unwrap_or_else(PoisonError::into_inner);
    *case += 1;
    let tenant: TenantId = format!("case-{case}").parse().unwrap();
    let plan = Arc::new(Plan { steps: Mutex::new((0, faults)), ..Plan::default() });
    let (receiver, ids) = world.runtime.block_on(async {
        let receiver = receiver(script.to_vec(), Arc::clone(&plan)).await;
        world.subscribe(&tenant, &receiver.url).await;
        let mut ids = Vec::new();
        for _ in 0..EVENTS {
            ids.push(world.publish(&tenant).await);
        }
        (receiver, ids)
    });
    while !world.live(&plan) {}
    world.runtime.block_on(async {
        let (succeeded, letters) = (receiver.succeeded(), world.letters().await);
        for id in &ids {
            let status = world.file.store.event_status(&tenant, id).await.unwrap().unwrap();
            let Some(stage) = status.deliveries.first().map(|delivery| delivery.stage) else {
                assert!(script.contains(&410), "{id} was not fanned out, though it was wanted");
                continue;
            };
            let (arrived, dead) = (succeeded.contains_key(id.as_str()), letters.contains_key(id));
            match stage {
                Stage::Delivered => assert!(arrived, "{id} was never answered with a success"),
                Stage::Dead => assert!(dead, "{id} is no dead letter"),
                other => panic!("{id} is {}, and nothing waits", other.label()),
            }
            let same = |request: &&e2e::receiver::Request| {
                request.header("webhook-id") == Some(id.as_str())
            };
            let requests = receiver.requests().iter().filter(same).count();
            assert!(
                requests <= ATTEMPTS + count,
                "{requests} requests for {id}: a chain of {ATTEMPTS} attempts forked"
            );
            let filter =
                DeadLetterFilter { tenant: Some(tenant.clone()), ..DeadLetterFilter::default() };
            let page = PageRequest { limit: 10, cursor: None };
            let shown = world.file.store.dead_letters(&filter, &page).await.unwrap().items;
            assert!(shown.len() <= EVENTS, "one of {ids:?} is shown twice");
        }
    });
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![3 => Just(Fault::Crash), 1 => Just(Fault::Error)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_plan_of_faults_loses_an_event_or_forks_a_chain(
        script in prop::collection::vec(prop_oneof![Just(200_u16), Just(500), Just(410)], 0..6),
        faults in prop::collection::hash_map(1..40_usize, fault(), 0..6),
    ) {
        check(&script, faults);
    }
}

/// Each of the first steps of a delivery that fails, fails again and dies, one by one.
#[test]
fn a_crash_at_any_one_step_loses_nothing() {
    for step in 1..=30 {
        for fault in [Fault::Crash, Fault::Error] {
            check(&[500; 6], HashMap::from([(step, fault)]));
        }
    }
}
