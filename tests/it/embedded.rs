//! A server alone, without broker and store: begun by one command, killed, short of disk.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use e2e::client::{items, text};
use e2e::fleet::{Fleet, Folder, Process, free_port};
use e2e::receiver::{Answer, Receiver};
use e2e::{IN_A_WHILE, SOON, eventually};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::{interval, sleep};

use crate::BINARY;

#[tokio::test]
async fn one_command_begins_it_and_the_next_find_it() {
    let folder = Folder::new();
    let listen = format!("127.0.0.1:{}", free_port());
    let command = |arguments: &[&str]| {
        let mut command = Command::new(BINARY);
        command.args(arguments).current_dir(folder.path()).env_clear().kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    };
    let mut server = command(&["serve", "--listen", &listen, "--metrics-listen", "127.0.0.1:0"])
        .spawn()
        .unwrap();
    let url = format!("http://{listen}");
    let list = ["endpoint", "list", "--output", "json", "--url", &url];
    let out = eventually("it answers", SOON, || async {
        let ended = command(&list).output().await.unwrap();
        ended.status.success().then_some(ended.stdout)
    })
    .await;
    assert_eq!(serde_json::from_slice::<Value>(&out).unwrap()["items"], json!([]));

    let data = folder.path().join("hookfleet-data");
    let mode =
        |name: &str| std::fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("."), 0o700);
    for name in ["admin.token", "master.key", "hookfleet.db"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    let second = ["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"];
    let refused = command(&second).stderr(Stdio::piped()).output().await.unwrap();
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1));
    assert!(errors.contains(&format!("in use by process {}", server.id().unwrap())), "{errors}");

    let away = ["endpoint", "list", "--url", "http://hooks.example"];
    let kept = command(&away).stderr(Stdio::piped()).output().await.unwrap();
    let errors = String::from_utf8_lossy(&kept.stderr).into_owned();
    assert!(errors.contains("no token"), "the token goes to this machine alone: {errors}");

    server.start_kill().unwrap();
    let out = server.wait_with_output().await.unwrap().stdout;
    let welcome = String::from_utf8(out).unwrap();
    assert!(welcome.contains(&url) && welcome.contains("endpoint create"), "{welcome}");
}

/// Where logs are on the disk that is full.
#[tokio::test]
async fn a_log_that_takes_no_more_stops_nothing() {
    let fleet = Fleet::alone(BINARY);
    let receiver = Receiver::answering(200).await;
    let listen = fleet.client.url.trim_start_matches("http://").to_owned();
    let mut serve = fleet.command(&["serve", "--listen", &listen]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    serve.env("HOOKFLEET_LOG", "debug").stderr(full);
    let server = Process::spawn(serve);
    server.ready().await;
    fleet.client.endpoint(&json!({"url": receiver.url})).await;
    fleet.client.event(&json!(1)).await;
    receiver.wait_for(1, SOON).await;
}

const EVENTS: &str = "/v1/tenants/acme/events";
const ROUNDS: u32 = 20;
const EVENTS_PER_S: u32 = 500;

/// Publishes at a steady rate until the server is gone; answers the ids of what was taken in.
async fn publish_until_it_is_gone(fleet: &Fleet) -> Vec<String> {
    let mut ticks = interval(Duration::from_secs(1) / EVENTS_PER_S);
    let mut under_way = tokio::task::JoinSet::new();
    let mut ids = Vec::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let event = json!({"type": "test.event", "data": {"padding": "x".repeat(500)}});
                let request = fleet.client.request(reqwest::Method::POST, EVENTS);
                let request = request.header("content-type", "application/json");
                under_way.spawn(request.body(event.to_string()).send());
            }
            Some(answer) = under_way.join_next() => {
                let Ok(answer) = answer.unwrap() else { break };
                assert_eq!(answer.status(), 202);
                ids.extend(id(answer).await);
            }
        }
    }
    while let Some(answer) = under_way.join_next().await {
        if let Ok(answer) = answer.unwrap() {
            ids.extend(id(answer).await);
        }
    }
    ids
}

/// An answer that breaks off was none.
async fn id(answer: reqwest::Response) -> Option<String> {
    let answer = answer.text().await.ok()?;
    Some(text(&serde_json::from_str(&answer).unwrap(), "id"))
}

async fn dead_events(fleet: &Fleet, endpoint: &str) -> BTreeSet<String> {
    let (mut ids, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let path = format!("/v1/dead-letters?endpoint={endpoint}&limit=200{cursor}");
        let (status, page) = fleet.client.get(&path).await;
        assert_eq!(status, 200, "{page}");
        ids.extend(items(&page).iter().map(|letter| text(letter, "event_id")));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

/// Every event that was answered with 202 arrives, or is a dead letter.
#[tokio::test]
async fn killed_twenty_times_under_load_it_loses_nothing() {
    let mut fleet = Fleet::alone(BINARY);
    let working = Receiver::answering(200).await;
    let flaky = Receiver::new(|_| (if rand::random_ratio(1, 3) { 500 } else { 200 }).into()).await;
    let failing = Receiver::answering(500).await;
    let mut accepted = Vec::new();
    let mut endpoints = Vec::new();
    for round in 0..ROUNDS {
        let server = fleet.start_server().await;
        if round == 0 {
            for (receiver, schedule) in
                [(&working, vec!["1s"; 25]), (&flaky, vec!["1s"; 25]), (&failing, vec!["1s"])]
            {
                let retry = json!({"schedule": schedule});
                let fields = json!({"url": receiver.url, "retry": retry, "max_in_flight": 500});
                endpoints.push(text(&fleet.client.endpoint(&fields).await, "id"));
            }
        }
        let id = fleet.process(server).id();
        let kill = async {
            sleep(Duration::from_millis(rand::random_range(50..1000))).await;
            let killed = Command::new("kill").args(["-KILL", &id.to_string()]).status().await;
            assert!(killed.unwrap().success());
        };
        let (ids, ()) = tokio::join!(publish_until_it_is_gone(&fleet), kill);
        accepted.extend(ids);
        fleet.process(server).ended(SOON).await;
    }
    fleet.start_server().await;
    assert!(accepted.len() > 500, "{} events are no load", accepted.len());
    let mut left: Vec<&String> = accepted.iter().collect();
    eventually("everything arrived or died", IN_A_WHILE, || {
        let fleet = &fleet;
        let (working, flaky) = (working.succeeded(), flaky.succeeded());
        left.retain(|id| !working.contains_key(*id) || !flaky.contains_key(*id));
        let left = left.len();
        let failing = endpoints[2].clone();
        let accepted = &accepted;
        async move {
            let dead = dead_events(fleet, &failing).await;
            let missing = accepted.iter().filter(|id| !dead.contains(*id)).count();
            (left == 0 && missing == 0).then_some(())
        }
    })
    .await;
    let sent = working.requests().len();
    println!(
        "{} events accepted over {ROUNDS} kills, all of them delivered or dead; \
         {sent} requests to the endpoint that works",
        accepted.len()
    );
}

/// Told to stop, it finishes what is under way; the next one does the rest, and nothing twice.
#[tokio::test]
async fn a_restart_loses_nothing_and_repeats_nothing() {
    let mut fleet = Fleet::alone(BINARY);
    let mut server = fleet.start_server().await;
    let receiver =
        Receiver::new(|_| Answer { after: Duration::from_millis(20), ..200.into() }).await;
    fleet.client.endpoint(&json!({"url": receiver.url})).await;
    let events: Vec<Value> = (0..2000).map(|n| json!(n)).collect();
    let ids = fleet.client.batch(&events).await;
    for round in 1..=3 {
        receiver.wait_for(round * 300, SOON).await;
        assert!(fleet.process(server).terminate().await.success());
        server = fleet.start_server().await;
    }
    receiver.wait_for(ids.len(), IN_A_WHILE).await;
    assert!(fleet.process(server).terminate().await.success());
    let arrived = receiver.succeeded();
    assert!(ids.iter().all(|id| arrived.contains_key(id)));
    assert_eq!(receiver.requests().len(), ids.len(), "none twice");
}

/// The limit on the size of a process's files, as `prlimit` sets it.
async fn limit_files(id: u32, bytes: &str) {
    let limit = format!("--fsize={bytes}:unlimited");
    let set = Command::new("prlimit").args(["--pid", &id.to_string(), &limit]).status().await;
    assert!(set.unwrap().success());
}

#[tokio::test]
async fn a_full_disk_is_back_pressure() {
    let fleet = Fleet::alone(BINARY);
    let listen = fleet.client.url.trim_start_matches("http://").to_owned();
    let metrics = format!("127.0.0.1:{}", free_port());
    // Past the limit a write fails, instead of ending the process.
    let shell = "trap '' XFSZ; exec \"$0\" \"$@\"";
    let serve = ["serve", "--listen", &listen, "--metrics-listen", &metrics];
    let plain = fleet.command(&serve);
    let mut command = Command::new("sh");
    command.args(["-c", shell, BINARY]).args(serve).kill_on_drop(true).stdout(Stdio::null());
    for (name, value) in plain.as_std().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let server = command.spawn().unwrap();
    let ready = async || {
        let answer = reqwest::get(format!("http://{metrics}/readyz")).await;
        answer.map_or(0, |answer| answer.status().as_u16())
    };
    eventually("it is ready", SOON, || async { (ready().await == 200).then_some(()) }).await;
    let receiver = Receiver::answering(200).await;
    fleet.client.endpoint(&json!({"url": receiver.url})).await;
    limit_files(server.id().unwrap(), "300000").await;
    let event = json!({"type": "test.event", "data": "x".repeat(20_000)});
    let mut accepted = Vec::new();
    // What is small may still fit: it is full when it says so, too.
    let problem = loop {
        match fleet.client.post(EVENTS, &event).await {
            (202, answer) => accepted.push(text(&answer, "id")),
            (503, problem) if ready().await == 503 => break problem,
            (503, _) => {}
            (status, answer) => panic!("{status} {answer}"),
        }
    };
    assert!(!accepted.is_empty(), "nothing was accepted before");
    assert!(text(&problem, "detail").contains("database file"), "{problem}");

    limit_files(server.id().unwrap(), "unlimited").await;
    eventually("there is room again", SOON, || async { (ready().await == 200).then_some(()) })
        .await;
    assert_eq!(fleet.client.post(EVENTS, &event).await.0, 202);
    receiver.wait_for(accepted.len() + 1, SOON).await;
    let arrived = receiver.succeeded();
    assert!(accepted.iter().all(|id| arrived.contains_key(id)), "what was accepted arrives");
}
