//! Dead letters: filter, page, dry run, replay at a rate, discard, export, reindex.

use std::time::Duration;

use e2e::SOON;
use e2e::amqp::Amqp;
use e2e::client::{items, text};
use e2e::fleet::Fleet;
use e2e::receiver::Receiver;
use serde_json::{Value, json};

crate::on_both_backends!(
    replay_takes_what_matches_and_puts_back_the_rest,
    replay_at_a_rate,
    discard_export_and_pages,
    the_view_is_rebuilt_from_the_queue
);

/// Makes so many dead letters of `test.event`, for an endpoint that now works.
async fn with_letters(fleet: &Fleet, count: usize) -> (Receiver, Vec<String>) {
    let failing = Receiver::answering(500).await;
    let working = Receiver::answering(200).await;
    let endpoint =
        fleet.client.endpoint(&json!({"url": failing.url, "retry": {"schedule": []}})).await;
    let events: Vec<Value> = (0..count).map(|n| json!({"n": n})).collect();
    let ids = fleet.client.batch(&events).await;
    fleet.client.dead_letters(count).await;
    let path = format!("/v1/tenants/acme/endpoints/{}", text(&endpoint, "id"));
    let (status, _) = fleet.client.patch(&path, &json!({"url": working.url})).await;
    assert_eq!(status, 200);
    (working, ids)
}

/// Letters in the queue, which is the truth.
async fn in_queue(fleet: &Fleet) -> usize {
    if let Some(services) = fleet.services() {
        let amqp = Amqp::connect(&services.amqp_url).await;
        return amqp.drain("hookfleet.dead").await.len();
    }
    let (_, out, errors) = fleet.run(&["doctor"]).await;
    let (before, _) = out.split_once(" dead letters").expect(&errors);
    before.rsplit(' ').next().unwrap().parse().unwrap()
}

async fn replay_takes_what_matches_and_puts_back_the_rest(fleet: Fleet) {
    let (receiver, _) = with_letters(&fleet, 20).await;
    let letters = fleet.client.dead_letters(20).await;
    let chosen: Vec<String> = letters.iter().take(7).map(|letter| text(letter, "id")).collect();
    let filter = json!({"ids": chosen});

    let (_, dry) = fleet
        .client
        .post("/v1/dead-letters/replay", &json!({"filter": {"tenant": "acme"}, "dry_run": true}))
        .await;
    assert_eq!(dry["matched"], 20);
    assert!(receiver.requests().is_empty(), "a dry run does nothing");

    let job = fleet.client.pass("replay", &json!({"filter": filter})).await;
    assert_eq!((&job["matched"], &job["done"], &job["seen"]), (&json!(7), &json!(7), &json!(20)));
    assert_eq!(job["created_by"], "admin");
    let requests = receiver.wait_for(7, SOON).await;
    let wanted = letters.iter().take(7).map(|letter| text(letter, "event_id"));
    let mut wanted: Vec<_> = wanted.collect();
    let mut came: Vec<_> =
        requests.iter().map(|request| request.header("webhook-id").unwrap().to_owned()).collect();
    wanted.sort();
    came.sort();
    assert_eq!(came, wanted);
    fleet.client.dead_letters(13).await;
    assert_eq!(in_queue(&fleet).await, 13);
}

async fn replay_at_a_rate(fleet: Fleet) {
    let (receiver, _) = with_letters(&fleet, 12).await;
    let job = fleet.client.pass("replay", &json!({"filter": {}, "rate": "4/s"})).await;
    assert_eq!(job["done"], 12);
    let requests = receiver.wait_for(12, SOON).await;
    let spread = requests[11].at - requests[0].at;
    assert!(spread >= Duration::from_millis(1_500), "{spread:?} for 12 at 4/s");
}

async fn discard_export_and_pages(fleet: Fleet) {
    let (receiver, ids) = with_letters(&fleet, 9).await;
    let (code, exported, errors) = fleet.run(&["dead", "export", "--reason", "exhausted"]).await;
    assert_eq!(code, 0, "{errors}");
    let exported: Vec<Value> =
        exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut found: Vec<String> = exported.iter().map(|letter| text(letter, "event_id")).collect();
    let mut expected = ids.clone();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);

    let (_, first) = fleet.client.get("/v1/dead-letters?limit=5").await;
    let cursor = text(&first, "next_cursor");
    let (_, second) = fleet.client.get(&format!("/v1/dead-letters?limit=5&cursor={cursor}")).await;
    let mut paged: Vec<String> = items(&first)
        .iter()
        .chain(&items(&second))
        .map(|letter| text(letter, "event_id"))
        .collect();
    paged.sort();
    assert_eq!(paged, expected);

    let (code, _, errors) = fleet.run(&["dead", "discard", "--tenant", "acme"]).await;
    assert_eq!(code, 0, "{errors}");
    fleet.client.dead_letters(0).await;
    let (_, event) = fleet.client.get(&format!("/v1/tenants/acme/events/{}", ids[0])).await;
    assert_eq!(event["deliveries"][0]["status"], "discarded");
    assert!(receiver.requests().is_empty());
}

async fn the_view_is_rebuilt_from_the_queue(fleet: Fleet) {
    with_letters(&fleet, 6).await;
    if let Some(services) = fleet.services() {
        let mut flush = redis::cmd("DEL");
        flush.arg("{hf:dead}:letters").arg("{hf:dead}:by_time");
        flush.query_async::<()>(&mut services.redis().await).await.unwrap();
        fleet.client.dead_letters(0).await;
    }
    let (code, _, errors) = fleet.run(&["dead", "reindex"]).await;
    assert_eq!(code, 0, "{errors}");
    fleet.client.dead_letters(6).await;
    assert_eq!(in_queue(&fleet).await, 6);
}
