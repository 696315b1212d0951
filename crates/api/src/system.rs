//! The fleet at a glance, for its operator: processes, queues, versions, and what is wrong.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Json as Answer;
use axum::extract::State;
use hookfleet_domain::Timestamp;
use hookfleet_queue::{Depth, QueueKind};
use hookfleet_store::Process;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use utoipa::ToSchema;

use crate::Api;
use crate::problem::Problem;

/// What looks at broker and store more closely than a caller of them does.
#[async_trait]
pub trait Inspector: Send + Sync {
    /// Looks at them.
    async fn inspect(&self) -> Inspection;
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inspection {
    /// The broker and its version, if there is one and it told.
    pub broker: Option<String>,
    /// The store and its version, if it told.
    pub store: Option<String>,
    /// All that was looked at.
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Finding {
    /// What.
    pub name: String,
    /// What is wrong with it; none: nothing.
    pub problem: Option<String>,
    /// How to mend that.
    pub mend: Option<String>,
}

/// What inspecting may take, and for how long its result is told: it opens connections of its own.
const INSPECTION_WAIT_MAX: Duration = Duration::from_secs(10);
const INSPECTION_KEPT: Duration = Duration::from_secs(10);

/// The last inspection.
#[derive(Default)]
pub struct Inspections(Mutex<Option<(Instant, Inspection)>>);

impl Inspections {
    /// One at a time, however many ask.
    async fn latest(&self, inspector: &dyn Inspector) -> Inspection {
        let mut last = self.0.lock().await;
        if let Some((made, inspection)) = &*last
            && made.elapsed() < INSPECTION_KEPT
        {
            return inspection.clone();
        }
        let made = timeout(INSPECTION_WAIT_MAX, inspector.inspect()).await;
        let inspection = made.unwrap_or_else(|_| Inspection {
            findings: vec![wrong(
                "inspection",
                format!("it did not end within {INSPECTION_WAIT_MAX:?}"),
                "see whether broker and store answer: `hookfleet doctor`",
            )],
            ..Inspection::default()
        });
        last.insert((Instant::now(), inspection)).1.clone()
    }
}

fn wrong(name: &str, problem: String, mend: &str) -> Finding {
    Finding { name: name.to_owned(), problem: Some(problem), mend: Some(mend.to_owned()) }
}

/// The fleet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = System)]
pub struct SystemView {
    /// Of the API that answers.
    version: &'static str,
    /// The broker and its version; none: the store is the queue, too, or it did not tell.
    broker: Option<String>,
    /// The store and its version; none: it did not tell.
    store: Option<String>,
    /// Those that were seen in the last 15 s.
    processes: Vec<Process>,
    queues: Vec<QueueView>,
    /// What was looked at, and what is wrong with it.
    findings: Vec<Finding>,
}

/// How much waits in one place.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueueDepth)]
struct QueueView {
    queue: QueueName,
    messages: u64,
    /// Who takes them; none: nobody has to, or it is not counted.
    consumers: Option<u64>,
    /// Since when the first of them waits, where that is known.
    oldest_at: Option<Timestamp>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum QueueName {
    /// Events that no worker has taken yet.
    Events,
    /// Deliveries whose time has come.
    Deliveries,
    /// Deliveries whose time is to come.
    Delayed,
    /// Dead letters.
    Dead,
}

impl From<Depth> for QueueView {
    fn from(depth: Depth) -> Self {
        let queue = match depth.kind {
            QueueKind::Events => QueueName::Events,
            QueueKind::Deliveries => QueueName::Deliveries,
            QueueKind::Delayed => QueueName::Delayed,
            QueueKind::Dead => QueueName::Dead,
        };
        let Depth { messages, consumers, oldest, .. } = depth;
        Self { queue, messages, consumers, oldest_at: oldest }
    }
}

/// The fleet at a glance
///
/// Also where broker or store do not answer: that is among the `findings` then.
#[utoipa::path(
    get, path = "/system", operation_id = "show_system", tag = "system",
    responses((status = 200, description = "The fleet.", body = SystemView))
)]
pub async fn show(State(api): State<Arc<Api>>) -> Result<Answer<SystemView>, Problem> {
    let inspection = api.inspections.latest(api.inspector.as_ref()).await;
    let Inspection { broker, store, mut findings } = inspection;
    let processes = api.store.processes().await.unwrap_or_else(|error| {
        findings.push(wrong("processes", error.to_string(), "see the store's log"));
        Vec::new()
    });
    let depths = api.queue.depths().await.unwrap_or_else(|error| {
        findings.push(wrong("queues", error.to_string(), "see the broker's log"));
        Vec::new()
    });
    Ok(Answer(SystemView {
        version: env!("CARGO_PKG_VERSION"),
        broker,
        store,
        processes,
        queues: depths.into_iter().map(QueueView::from).collect(),
        findings,
    }))
}
