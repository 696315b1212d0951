//! Which processes are there.

use hookfleet_domain::Timestamp;

use super::{Scene, at};
use crate::{Process, Store};

/// Those that were seen are there until they end.
pub async fn processes(store: &dyn Store, prefix: &str) {
    let scene = Scene::new(store, prefix, "pro");
    let (younger, older) = (process(&scene, "a", at(5)), process(&scene, "b", at(1)));
    for process in [&younger, &older] {
        store.process_seen(process).await.expect("it is seen");
    }
    assert_eq!(own(&scene).await, [older.clone(), younger.clone()], "the longest first");
    let busy = Process { in_flight: Some(7), seen_at: at(9), ..older };
    store.process_seen(&busy).await.expect("it is seen");
    assert_eq!(own(&scene).await, [busy.clone(), younger.clone()], "as it was last seen");
    for _ in 0..2 {
        store.process_ended(&younger.id).await.expect("it ends");
    }
    assert_eq!(own(&scene).await, [busy], "it has ended");
}

fn process(scene: &Scene<'_>, name: &str, started_at: Timestamp) -> Process {
    Process {
        id: scene.id(name),
        role: "worker".to_owned(),
        version: "1.2.3".to_owned(),
        host: "host-1".to_owned(),
        started_at,
        seen_at: at(6),
        in_flight: None,
        slots: Some(512),
    }
}

/// Those of this run.
async fn own(scene: &Scene<'_>) -> Vec<Process> {
    let mut processes = scene.store.processes().await.expect("they are read");
    processes.retain(|process| process.id.as_str().starts_with(&scene.prefix));
    processes
}
