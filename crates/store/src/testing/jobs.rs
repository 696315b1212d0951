//! Jobs, and the one claim on them.

use std::time::Duration;

use hookfleet_domain::{JobId, Timestamp, WorkerId};

use super::{Scene, T0, at};
use crate::{Job, JobKind, JobState, Store};

/// Jobs are claimed oldest first, one at a time in the whole fleet, until they end.
///
/// Ends all jobs of the store: nothing else may use them meanwhile. Its own jobs are of the
/// beginning of 2026: a store that is full of younger ones would forget them at once.
pub async fn jobs(store: &dyn Store, prefix: &str) {
    let scene = Scene::new(store, prefix, "jobs");
    end_all(&scene).await;
    one_at_a_time(&scene).await;
    an_ended_claim(&scene).await;
    dry_runs(&scene).await;
}

fn job(scene: &Scene<'_>, name: &str, created_at: Timestamp) -> Job {
    Job {
        id: scene.id(name),
        kind: JobKind::Replay {
            filter: hookfleet_domain::DeadLetterFilter::default(),
            rate: Some("50/s".parse().expect("it is a rate")),
        },
        state: JobState::Queued,
        tenant: None,
        created_by: "tests".to_owned(),
        created_at,
        dry_run: false,
        matched: 7,
        seen: 0,
        done: 0,
        finished_at: None,
        error: None,
    }
}

async fn put(scene: &Scene<'_>, job: &Job, state: JobState) {
    let job = Job { state, ..job.clone() };
    let put = scene.store.put_job(&job).await;
    put.expect("the job is written");
}

async fn read(scene: &Scene<'_>, id: &JobId) -> Option<Job> {
    scene.store.job(id).await.expect("the job is read")
}

/// Those of these jobs that are listed, in the order of the list.
async fn listed(scene: &Scene<'_>, of: &[&Job]) -> Vec<JobId> {
    let jobs = scene.store.jobs().await.expect("the jobs are listed");
    let ids = jobs.into_iter().map(|job| job.id);
    ids.filter(|id| of.iter().any(|job| job.id == *id)).collect()
}

/// Claims for ten seconds, and answers with the job's id.
async fn claim(scene: &Scene<'_>, worker: &str, now: Timestamp) -> Option<JobId> {
    let worker: WorkerId = scene.id(worker);
    let until = now.after(Duration::from_secs(10));
    let claimed = scene.store.claim_job(&worker, now, until).await;
    claimed.expect("the store answers").map(|job| job.id)
}

/// Ends what an earlier run left behind, long after any claim has ended.
async fn end_all(scene: &Scene<'_>) {
    let worker: WorkerId = scene.id("broom");
    let now = T0.after(Duration::from_hours(24 * 365 * 100));
    loop {
        let job = scene.store.claim_job(&worker, now, now).await;
        let Some(job) = job.expect("the store answers") else {
            return;
        };
        put(scene, &job, JobState::Failed).await;
    }
}

async fn one_at_a_time(scene: &Scene<'_>) {
    assert_eq!(claim(scene, "a", at(0)).await, None, "nothing to do");
    let (old, new) = (job(scene, "old", at(1)), job(scene, "new", at(2)));
    assert_eq!(read(scene, &old.id).await, None, "not asked for yet");
    put(scene, &new, JobState::Queued).await;
    put(scene, &old, JobState::Queued).await;
    assert_eq!(
        listed(scene, &[&old, &new]).await,
        [new.id.clone(), old.id.clone()],
        "newest first"
    );
    assert_eq!(read(scene, &old.id).await, Some(old.clone()), "as written");

    let old_id = Some(old.id.clone());
    assert_eq!(claim(scene, "a", at(10)).await, old_id, "the oldest");
    assert_eq!(claim(scene, "b", at(11)).await, None, "one at a time");
    put(scene, &old, JobState::Running).await;
    assert_eq!(claim(scene, "b", at(12)).await, None, "it is under way");
    assert_eq!(claim(scene, "a", at(15)).await, old_id, "its own again");
    assert_eq!(claim(scene, "b", at(24)).await, None, "which renewed it");

    put(scene, &old, JobState::Done).await;
    let new_id = Some(new.id.clone());
    assert_eq!(claim(scene, "b", at(24)).await, new_id, "then the next");
    put(scene, &old, JobState::Running).await;
    put(scene, &new, JobState::Failed).await;
    assert_eq!(claim(scene, "a", at(25)).await, None, "a job that has ended is claimed no more");
    for (id, state) in [(old.id, JobState::Done), (new.id, JobState::Failed)] {
        let kept = read(scene, &id).await.expect("it is kept");
        assert_eq!(kept.state, state, "an ended job stays ended");
    }
}

async fn an_ended_claim(scene: &Scene<'_>) {
    let job = job(scene, "left", at(30));
    let id = Some(job.id.clone());
    put(scene, &job, JobState::Queued).await;
    assert_eq!(claim(scene, "a", at(30)).await, id);
    put(scene, &job, JobState::Running).await;
    assert_eq!(claim(scene, "b", at(39)).await, None, "still claimed");
    assert_eq!(claim(scene, "b", at(40)).await, id, "its worker is gone");
    assert_eq!(claim(scene, "a", at(41)).await, None, "and came back late");

    let older = self::job(scene, "older", at(29));
    put(scene, &older, JobState::Queued).await;
    assert_eq!(claim(scene, "b", at(45)).await, id, "its own again, although an older one came");
    put(scene, &older, JobState::Done).await;
    assert_eq!(claim(scene, "a", at(46)).await, None, "it is still claimed");
    put(scene, &job, JobState::Done).await;
    assert_eq!(claim(scene, "a", at(47)).await, None, "done");
}

async fn dry_runs(scene: &Scene<'_>) {
    let dry = Job { dry_run: true, finished_at: Some(at(50)), ..job(scene, "dry", at(50)) };
    put(scene, &dry, JobState::Done).await;
    assert_eq!(claim(scene, "a", at(51)).await, None, "never to be claimed");
    let kept = read(scene, &dry.id).await.expect("it is kept");
    assert!(kept.dry_run, "but kept");
}
