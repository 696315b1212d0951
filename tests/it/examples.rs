//! The programs of `docs/examples`: each publisher publishes once, each receiver takes what is signed
//! and nothing else.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use e2e::client::text;
use e2e::fleet::{Fleet, Folder, free_port};
use e2e::receiver::Receiver;
use e2e::{IN_A_WHILE, SOON, copy_folder, eventually, is_at_hand};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::BINARY;
use crate::verify::block;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ANOTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// The examples of one language, and beside them the code of `docs/verify.md`, as it says there.
struct Example {
    folder: Folder,
}

impl Example {
    fn new(language: &str, (name, file): (&str, &str)) -> Self {
        let folder = Folder::new();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples").join(language);
        copy_folder(&from, folder.path());
        let file = folder.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, block(name)).unwrap();
        Self { folder }
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("GOCACHE", self.folder.path().join("cache")).env("GOFLAGS", "-mod=mod");
        command.kill_on_drop(true);
        command
    }
}

/// Runs a program to its end, as a client of this fleet.
async fn ran(fleet: &Fleet, mut command: Command) -> String {
    let client = fleet.command(&[]);
    let environment = client.as_std().get_envs();
    command.envs(environment.filter_map(|(name, value)| Some((name, value?))));
    let ended = command.output().await.unwrap();
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{command:?}: {errors}");
    String::from_utf8(ended.stdout).unwrap()
}

/// The same event twice: the second time it is the first one.
async fn publishes(fleet: &Fleet, command: impl Fn() -> Command) {
    let receiver = Receiver::answering(200).await;
    fleet.client.post("/v1/tenants/default/endpoints", &json!({"url": receiver.url})).await;
    let mut ids = Vec::new();
    for duplicate in [false, true] {
        let out: Value = serde_json::from_str(&ran(fleet, command()).await).unwrap();
        assert_eq!(out["duplicate"], duplicate, "{out}");
        ids.push(text(&out, "id"));
    }
    assert_eq!(ids[0], ids[1]);
    let request = receiver.wait_for(1, SOON).await.remove(0);
    assert_eq!(request.json()["data"], json!({"order": 42}));
}

/// What is signed with its secret is put aside, once; what is signed with another is refused.
async fn receives(fleet: &Fleet, mut command: Command, port: u16) {
    let inbox = Folder::new();
    command.env("PORT", port.to_string()).env("SECRET", SECRET).env("INBOX", inbox.path());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let _running: Child = command.spawn().unwrap();
    eventually("the receiver listens", IN_A_WHILE, || async {
        TcpStream::connect(("127.0.0.1", port)).await.ok().map(drop)
    })
    .await;
    let tests = async |secret: &str| {
        let url = format!("http://127.0.0.1:{port}/hook");
        let fields = json!({"url": url, "secret": secret, "retry": {"schedule": []}});
        let (_, made) = fleet.client.post("/v1/tenants/r/endpoints", &fields).await;
        let path = format!("/v1/tenants/r/endpoints/{}", text(&made, "id"));
        let (_, attempt) = fleet.client.post(&format!("{path}/test"), &json!({})).await;
        fleet.client.delete(&path).await;
        attempt
    };
    let attempt = tests(ANOTHER).await;
    assert_eq!(attempt["http_status"], 401, "{attempt}");
    assert_eq!(files(&inbox), Vec::<PathBuf>::new());
    let attempt = tests(SECRET).await;
    assert_eq!(attempt["http_status"], 204, "{attempt}");
    let put_aside = files(&inbox);
    assert_eq!(put_aside.len(), 1, "{put_aside:?}");
    let event: Value = serde_json::from_slice(&std::fs::read(&put_aside[0]).unwrap()).unwrap();
    assert_eq!(event["type"], "webhook.test");
    assert_eq!(put_aside[0].extension().unwrap(), "json");
}

fn files(folder: &Folder) -> Vec<PathBuf> {
    std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// A language that is not at hand is not tried; `make test` installs what it can.
async fn has(program: &str, version: &str) -> bool {
    let is_there = is_at_hand(program, version).await;
    if !is_there {
        eprintln!("{program} is not at hand: its examples were not tried");
    }
    is_there
}

#[tokio::test]
async fn python() {
    if !has("python3", "--version").await {
        return;
    }
    let fleet = Fleet::embedded(BINARY).await;
    let example = Example::new("python", ("python", "verify.py"));
    publishes(&fleet, || example.command("python3", &["publish.py"])).await;
    receives(&fleet, example.command("python3", &["receive.py"]), free_port()).await;
}

#[tokio::test]
async fn node() {
    if !has("node", "--version").await {
        return;
    }
    let fleet = Fleet::embedded(BINARY).await;
    let example = Example::new("node", ("js", "verify.mjs"));
    publishes(&fleet, || example.command("node", &["publish.mjs"])).await;
    receives(&fleet, example.command("node", &["receive.mjs"]), free_port()).await;
}

#[tokio::test]
async fn php() {
    if !has("php", "--version").await {
        return;
    }
    let fleet = Fleet::embedded(BINARY).await;
    let example = Example::new("php", ("php", "verify.php"));
    publishes(&fleet, || example.command("php", &["publish.php"])).await;
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    receives(&fleet, example.command("php", &["-S", &listen, "receive.php"]), port).await;
}

#[tokio::test]
async fn go() {
    if !has("go", "version").await {
        return;
    }
    let fleet = Fleet::embedded(BINARY).await;
    let example = Example::new("go", ("go", "webhook/webhook.go"));
    // Built first: what `go run` starts does not end with it.
    ran(&fleet, example.command("go", &["build", "-o", "bin/", "./..."])).await;
    let built = |name: &str| example.folder.path().join("bin").join(name).display().to_string();
    publishes(&fleet, || example.command(&built("publish"), &[])).await;
    receives(&fleet, example.command(&built("receive"), &[]), free_port()).await;
}

#[tokio::test]
async fn rust() {
    let fleet = Fleet::embedded(BINARY).await;
    publishes(&fleet, || Command::new(env!("CARGO_BIN_EXE_example-publish"))).await;
    let mut receive = Command::new(env!("CARGO_BIN_EXE_example-receive"));
    receive.kill_on_drop(true);
    receives(&fleet, receive, free_port()).await;
}

#[tokio::test]
async fn a_publisher_tries_again_until_it_is_answered() {
    if !has("python3", "--version").await {
        return;
    }
    let fleet = Fleet::embedded(BINARY).await;
    let flaky =
        Receiver::new(|request| if request.text().contains('2') { 503 } else { 200 }.into());
    let flaky = flaky.await;
    let example = Example::new("python", ("python", "verify.py"));
    let mut refused = example.command("python3", &["publish.py"]);
    refused.env("HOOKFLEET_URL", &flaky.url).env("HOOKFLEET_TOKEN", "any");
    let _running = refused.spawn().unwrap();
    flaky.wait_for(3, IN_A_WHILE).await;
    let mut wrong = example.command("python3", &["publish.py"]);
    wrong.env("HOOKFLEET_URL", &fleet.client.url).env("HOOKFLEET_TOKEN", "wrong");
    let ended = wrong.output().await.unwrap();
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && errors.contains("refused: "), "at once: {errors}");
}

#[tokio::test]
async fn an_outbox_publishes_what_was_committed_once() {
    if !has("python3", "--version").await {
        return;
    }
    let fleet = Fleet::embedded(BINARY).await;
    let receiver = Receiver::answering(200).await;
    fleet.client.post("/v1/tenants/default/endpoints", &json!({"url": receiver.url})).await;
    let example = Example::new("python", ("python", "verify.py"));
    let run = async |arguments: &[&str]| {
        let arguments = [&["outbox.py"], arguments].concat();
        ran(&fleet, example.command("python3", &arguments)).await
    };
    run(&["order", "42"]).await;
    let again = example.command("python3", &["outbox.py", "order", "42"]).output().await.unwrap();
    assert!(!again.status.success(), "that order is paid: neither row is written");
    let shop = example.folder.path().join("shop.db");
    let before = std::fs::read(&shop).unwrap();
    assert_eq!(run(&["relay"]).await.lines().count(), 1);
    // As if the relay had died before it removed the row.
    std::fs::write(&shop, before).unwrap();
    assert!(run(&["relay"]).await.contains(r#""duplicate": true"#));
    assert_eq!(run(&["relay"]).await, "", "the outbox is empty");
    run(&["order", "43"]).await;
    run(&["relay"]).await;
    let orders = receiver.wait_for(2, SOON).await;
    let orders: Vec<Value> = orders.iter().map(|order| order.json()["data"].clone()).collect();
    assert_eq!(orders, [json!({"order": 42}), json!({"order": 43})]);
}

#[tokio::test]
async fn amqp_from_python() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/receivers/pika");
    if !python.join(".stamp").exists() {
        eprintln!("pika is not installed, its example is not tried: tests/receivers/install.sh");
        return;
    }
    let fleet = Fleet::started(BINARY, 1).await;
    let receiver = Receiver::answering(200).await;
    fleet.client.post("/v1/tenants/default/endpoints", &json!({"url": receiver.url})).await;
    let example = Example::new("python", ("python", "verify.py"));
    let python = python.canonicalize().unwrap().join("bin/python").display().to_string();
    for key in ["one", "one", "two"] {
        let mut publish = example.command(&python, &["publish_amqp.py"]);
        publish.env("KEY", key);
        assert_eq!(ran(&fleet, publish).await, "published\n");
    }
    eventually("two events, of three messages", SOON, || async {
        let stopped = receiver.requests().len() == 2;
        stopped.then_some(())
    })
    .await;
}

#[tokio::test]
async fn amqp_from_rust() {
    let built = Path::new(env!("CARGO_BIN_EXE_example-publish")).parent().unwrap();
    let built = built.join("examples/publish");
    assert!(built.exists(), "`cargo build --workspace --all-targets` makes {}", built.display());
    let fleet = Fleet::started(BINARY, 1).await;
    let receiver = Receiver::answering(200).await;
    fleet.client.post("/v1/tenants/acme/endpoints", &json!({"url": receiver.url})).await;
    let out = ran(&fleet, Command::new(built)).await;
    assert!(out.contains("duplicate: false") && out.contains("1000 of 1000 are durable"), "{out}");
    receiver.wait_for(1000, IN_A_WHILE).await;
}
