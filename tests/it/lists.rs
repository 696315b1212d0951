//! Lists come in pages, over HTTP and on the command line.

use e2e::client::{items, text};
use e2e::fleet::Fleet;
use e2e::receiver::Receiver;
use e2e::{SOON, eventually};
use serde_json::{Value, json};

crate::on_both_backends!(endpoints_and_deliveries_come_in_pages, jobs_and_tenants_are_listed);

/// What stands in `items` of all pages of a list, page by page.
async fn pages(fleet: &Fleet, path: &str, (of, name): (&str, &str)) -> Vec<Vec<String>> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = fleet.client.get(&format!("{path}{cursor}")).await;
        assert_eq!(status, 200, "{page}");
        let items = page[of].as_array().unwrap();
        all.push(items.iter().map(|item| text(item, name)).collect());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

async fn endpoints_and_deliveries_come_in_pages(fleet: Fleet) {
    let receiver = Receiver::answering(200).await;
    let mut ids = Vec::new();
    for (name, project) in [("till", "shop"), ("Till 2", "shop"), ("site", "web")] {
        let fields = json!({"url": receiver.url, "name": name, "project": project});
        ids.push(text(&fleet.client.endpoint(&fields).await, "id"));
    }
    ids.sort();
    let list = "/v1/tenants/acme/endpoints";
    let by_two = pages(&fleet, &format!("{list}?limit=2"), ("items", "id")).await;
    assert_eq!(by_two, [ids[..2].to_vec(), ids[2..].to_vec()]);
    let tills = pages(&fleet, &format!("{list}?limit=1&search=TILL"), ("items", "name")).await;
    assert_eq!(tills.concat().len(), 2, "{tills:?}");
    let web = pages(&fleet, &format!("{list}?limit=1&project=web"), ("items", "name")).await;
    assert_eq!(web, [["site"]], "exact, and without a next page");

    let event = json!({"type": "a.b", "data": {}});
    let fields = json!({"url": receiver.url});
    ids.push(text(&fleet.client.endpoint(&fields).await, "id"));
    let (_, published) = fleet.client.post("/v1/tenants/acme/events", &event).await;
    let path = format!("/v1/tenants/acme/events/{}", text(&published, "id"));
    let whole = eventually("it is fanned out", SOON, || async {
        let (_, event) = fleet.client.get(&path).await;
        (event["fanned_out"] == true).then_some(event)
    })
    .await;
    let deliveries = whole["deliveries"].as_array().unwrap();
    assert_eq!(whole["next_cursor"], Value::Null, "unless it is asked for, there is one page");
    let paged = pages(&fleet, &format!("{path}?limit=1"), ("deliveries", "endpoint_id")).await;
    let expected: Vec<_> = deliveries.iter().map(|to| vec![text(to, "endpoint_id")]).collect();
    assert_eq!(paged, expected);
}

async fn jobs_and_tenants_are_listed(fleet: Fleet) {
    let list = async |command: &[&str]| {
        let (code, out, errors) = fleet.run(&[command, &["--output", "json"]].concat()).await;
        assert_eq!(code, 0, "{errors}");
        serde_json::from_str::<Value>(&out).unwrap()
    };
    for tenant in ["globex", "acme"] {
        let path = format!("/v1/tenants/{tenant}/endpoints");
        let fields = json!({"url": "http://127.0.0.1:9/hook"});
        assert_eq!(fleet.client.post(&path, &fields).await.0, 201);
    }
    let tenants = list(&["tenant", "list"]).await;
    let names: Vec<String> = items(&tenants).iter().map(|tenant| text(tenant, "id")).collect();
    assert_eq!(names, ["acme", "globex"]);
    let paged = pages(&fleet, "/v1/tenants?limit=1", ("items", "id")).await;
    assert_eq!(paged, [["acme"], ["globex"]]);

    assert!(items(&list(&["job", "list"]).await).is_empty());
    let asked = fleet.client.post("/v1/dead-letters/replay", &json!({"filter": {}})).await.1;
    let id = text(&asked, "job_id");
    let jobs = items(&list(&["job", "list"]).await);
    assert_eq!((jobs.len(), text(&jobs[0], "id")), (1, id.clone()));
    assert_eq!(text(&list(&["job", "show", &id]).await, "kind"), "replay");
    let (code, _, errors) = fleet.run(&["job", "show", "job_none"]).await;
    assert_eq!(code, 3, "{errors}");
    assert!(errors.contains("hookfleet job list"), "{errors}");
    let (code, out, errors) = fleet.run(&["tenant", "list"]).await;
    assert_eq!((code, out.lines().next()), (0, Some("ID")), "{errors}");
}
