//! Moving up: from a server alone to a fleet.

use e2e::client::text;
use e2e::fleet::{Fleet, Folder};
use e2e::receiver::Receiver;
use e2e::{SOON, eventually};
use serde_json::{Value, json};

use crate::BINARY;

#[tokio::test]
async fn endpoints_and_dead_letters_move_to_a_fleet() {
    let (small, folder) = (Fleet::embedded(BINARY).await, Folder::new());
    let receiver =
        Receiver::new(|request| (if request.line().contains("works") { 200 } else { 500 }).into())
            .await;
    let url = format!("{}/fails", receiver.url);
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let fields = json!({"url": url, "secret": secret, "retry": {"schedule": []}});
    let endpoint = text(&small.client.endpoint(&fields).await, "id");
    let id = small.client.event(&json!({"n": 1})).await;
    small.client.dead_letters(1).await;
    let (_, token) = small.client.post("/v1/tenants/acme/tokens", &json!({})).await;
    let token = text(&token, "token");

    let file = folder.path().join("export.ndjson");
    let (code, exported, errors) = small.run(&["export"]).await;
    assert_eq!(code, 0, "{errors}");
    assert!(!exported.contains(&secret[6..]), "secrets stay sealed");
    assert!(!exported.contains(&token), "of tokens there is only a digest");
    std::fs::write(&file, &exported).unwrap();

    let large = Fleet::started(BINARY, 1).await;
    let import = ["import", file.to_str().unwrap()];
    let (code, _, errors) =
        large.run(&[&import[..], &["--master-key", &"2".repeat(64)]].concat()).await;
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains("line 2") && errors.contains("HOOKFLEET_MASTER_KEY"), "{errors}");
    let elsewhere = ["--allow-private-networks", "10.0.0.0/8"];
    let (code, _, errors) = large.run(&[&import[..], &elsewhere].concat()).await;
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains("line 2") && errors.contains("127.0.0.1 is not public"), "{errors}");
    large.client.dead_letters(0).await;

    for expected in [
        json!({"endpoints": 1, "tokens": 1, "dead_letters": 1, "left_alone": 0}),
        json!({"endpoints": 0, "tokens": 0, "dead_letters": 0, "left_alone": 3}),
    ] {
        let (code, counts, errors) = large.run(&import).await;
        assert_eq!(code, 0, "{errors}");
        assert_eq!(serde_json::from_str::<Value>(&counts).unwrap(), expected);
    }
    let list = ["endpoint", "list", "--tenant", "acme", "--token", &token];
    assert_eq!(large.run(&list).await.0, 0, "the token is known here, too");
    let path = format!("/v1/tenants/acme/endpoints/{endpoint}");
    let works = json!({"url": format!("{}/works", receiver.url)});
    eventually("the worker heard of the endpoint", SOON, || async {
        (large.client.patch(&path, &works).await.0 == 200).then_some(())
    })
    .await;
    large.client.pass("replay", &json!({"filter": {}})).await;
    let request = eventually("it arrives", SOON, || async {
        receiver.requests().into_iter().find(|request| request.line().contains("works"))
    })
    .await;
    assert_eq!(request.header("webhook-id"), Some(id.as_str()));
    assert!(request.verifies(secret));
}
