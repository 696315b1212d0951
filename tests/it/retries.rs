//! Failures, retries at their times, and giving up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use e2e::client::{items, text};
use e2e::fleet::Fleet;
use e2e::receiver::{Answer, Receiver};
use e2e::{SOON, eventually};
use serde_json::json;

crate::on_both_backends!(
    three_failures_then_success,
    retry_after_is_honoured,
    who_never_answers_gets_a_dead_letter_and_its_replay_once_it_works,
    gone_disables_the_endpoint,
    an_endpoint_may_ask_for_less,
    what_comes_due_for_an_inactive_or_deleted_endpoint_is_kept
);

async fn three_failures_then_success(fleet: Fleet) {
    let calls = AtomicUsize::new(0);
    let receiver = Receiver::new(move |_| {
        let fails = calls.fetch_add(1, Ordering::SeqCst) < 3;
        Answer::from(if fails { 500 } else { 200 })
    })
    .await;
    let schedule = json!({"schedule": ["1s", "3s", "2s", "1s"]});
    let endpoint = fleet.client.endpoint(&json!({"url": receiver.url, "retry": schedule})).await;
    let id = fleet.client.event(&json!({"n": 1})).await;
    let requests = receiver.wait_for(4, SOON).await;
    let scheduled = [1.0, 3.0, 2.0];
    for (pair, wait) in requests.windows(2).zip(scheduled) {
        let waited = (pair[1].at - pair[0].at).as_secs_f64();
        assert!(waited >= wait - 0.5, "{waited} s instead of {wait} s");
    }
    let ids = |name| requests.iter().filter_map(|request| request.header(name)).collect::<Vec<_>>();
    assert_eq!(ids("webhook-id"), vec![id.as_str(); 4], "one event, one id");

    let path = format!("/v1/tenants/acme/events/{id}");
    let event = eventually("it is delivered", SOON, || async {
        let (_, event) = fleet.client.get(&path).await;
        (event["deliveries"][0]["status"] == "delivered").then_some(event)
    })
    .await;
    assert_eq!(event["deliveries"][0]["attempts"], 4);
    let path = format!("/v1/tenants/acme/endpoints/{}", text(&endpoint, "id"));
    let (_, endpoint) = fleet.client.get(&path).await;
    assert_eq!(endpoint["failureCount"], 0);
    assert_eq!((&endpoint["failures"], &endpoint["successes"]), (&json!(3), &json!(1)));
    let (_, attempts) = fleet.client.get(&format!("{path}/attempts")).await;
    let log = items(&attempts);
    let seen: Vec<_> = log.iter().map(|line| (&line["attempt"], &line["http_status"])).collect();
    let status = |n: u64, status: u64| (json!(n), json!(status));
    let expected = [status(4, 200), status(3, 500), status(2, 500), status(1, 500)];
    assert_eq!(seen, expected.iter().map(|(n, status)| (n, status)).collect::<Vec<_>>());
    assert_eq!(log[0]["response_body"], "ok");
    assert_eq!(receiver.requests().len(), 4, "delivered once");
}

async fn retry_after_is_honoured(fleet: Fleet) {
    let calls = AtomicUsize::new(0);
    let receiver = Receiver::new(move |_| {
        if calls.fetch_add(1, Ordering::SeqCst) == 0 {
            return Answer { headers: "retry-after: 3\r\n".to_owned(), ..503.into() };
        }
        200.into()
    })
    .await;
    let schedule = json!({"schedule": ["1s"]});
    fleet.client.endpoint(&json!({"url": receiver.url, "retry": schedule})).await;
    fleet.client.event(&json!({})).await;
    let requests = receiver.wait_for(2, SOON).await;
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(2_900));
}

async fn who_never_answers_gets_a_dead_letter_and_its_replay_once_it_works(fleet: Fleet) {
    let silent = Receiver::new(|_| Answer { after: Duration::from_mins(5), ..200.into() }).await;
    let working = Receiver::answering(200).await;
    let fields = json!({"url": silent.url, "timeout": "300ms", "retry": {"schedule": ["1s"]}});
    let endpoint = fleet.client.endpoint(&fields).await;
    let id = fleet.client.event(&json!({"n": 1})).await;
    let letters = fleet.client.dead_letters(1).await;
    let letter = &letters[0];
    assert_eq!(letter["reason"], "exhausted");
    assert_eq!(letter["event_id"], id);
    assert_eq!(letter["attempts"].as_array().unwrap().len(), 2);
    assert_eq!(letter["attempts"][0]["error"], "no answer within 300ms");
    let path = format!("/v1/dead-letters/{}", text(letter, "id"));
    let (_, whole) = fleet.client.get(&path).await;
    assert_eq!(whole["payload"]["data"], json!({"n": 1}));

    let path = format!("/v1/tenants/acme/endpoints/{}", text(&endpoint, "id"));
    let (_, failing) = fleet.client.get(&path).await;
    assert_eq!(failing["failureCount"], 2);
    let (status, _) = fleet.client.patch(&path, &json!({"url": working.url})).await;
    assert_eq!(status, 200);
    let (code, _, errors) = fleet.run(&["dead", "replay", "--event-type", "test.event"]).await;
    assert_eq!(code, 0, "{errors}");
    let requests = working.wait_for(1, SOON).await;
    assert_eq!(requests[0].header("webhook-id"), Some(id.as_str()));
    fleet.client.dead_letters(0).await;
    eventually("failureCount is 0 again", SOON, || async {
        let (_, endpoint) = fleet.client.get(&path).await;
        (endpoint["failureCount"] == 0).then_some(())
    })
    .await;
    assert_eq!(working.requests().len(), 1);
}

async fn gone_disables_the_endpoint(fleet: Fleet) {
    let receiver = Receiver::answering(410).await;
    let endpoint = fleet.client.endpoint(&json!({"url": receiver.url})).await;
    fleet.client.event(&json!({})).await;
    let letters = fleet.client.dead_letters(1).await;
    assert_eq!(letters[0]["reason"], "gone");
    let path = format!("/v1/tenants/acme/endpoints/{}", text(&endpoint, "id"));
    let (_, endpoint) = fleet.client.get(&path).await;
    assert_eq!(
        (&endpoint["active"], &endpoint["disabled_reason"]),
        (&json!(false), &json!("gone"))
    );
}

async fn an_endpoint_may_ask_for_less(fleet: Fleet) {
    for (wish, active, reason) in [("disable", false, "gone"), ("abort-message", true, "exhausted")]
    {
        let headers = format!("webhook-delivery: {wish}\r\n");
        let receiver =
            Receiver::new(move |_| Answer { headers: headers.clone(), ..500.into() }).await;
        let fields = json!({"url": receiver.url, "retry": {"schedule": ["1s"]}});
        let endpoint = fleet.client.endpoint(&fields).await;
        fleet.client.event(&json!({})).await;
        let letters = fleet.client.dead_letters(1).await;
        assert_eq!(letters[0]["reason"], reason, "{wish}");
        assert_eq!(receiver.requests().len(), 1, "no retry after {wish}");
        let path = format!("/v1/tenants/acme/endpoints/{}", text(&endpoint, "id"));
        let (_, endpoint) = fleet.client.get(&path).await;
        assert_eq!(endpoint["active"], active, "{wish}");
        fleet.client.delete(&path).await;
        fleet.client.pass("discard", &json!({"filter": {}})).await;
    }
}

async fn what_comes_due_for_an_inactive_or_deleted_endpoint_is_kept(fleet: Fleet) {
    let receiver = Receiver::answering(500).await;
    let fields = json!({"url": receiver.url, "retry": {"schedule": ["2s", "2s"]}});
    for (change, reason) in [("inactive", "endpoint_inactive"), ("deleted", "endpoint_deleted")] {
        let seen = receiver.requests().len();
        let endpoint = fleet.client.endpoint(&fields).await;
        fleet.client.event(&json!({})).await;
        receiver.wait_for(seen + 1, SOON).await;
        let path = format!("/v1/tenants/acme/endpoints/{}", text(&endpoint, "id"));
        let (status, _) = match change {
            "inactive" => fleet.client.patch(&path, &json!({"active": false})).await,
            _ => fleet.client.delete(&path).await,
        };
        assert!(status < 300);
        let letters = fleet.client.dead_letters(1).await;
        assert_eq!(letters[0]["reason"], reason);
        assert_eq!(receiver.requests().len(), seen + 1, "no request after the change");
        fleet.client.pass("discard", &json!({"filter": {}})).await;
    }
}
