//! What people see: tables, bars and colours on a terminal, and nothing of these elsewhere.

use std::process::Stdio;

use e2e::fleet::{Fleet, Folder};
use e2e::is_at_hand;
use e2e::receiver::Receiver;
use e2e::{IN_A_WHILE, eventually};
use serde_json::json;
use tokio::process::Command;

use crate::BINARY;

const COLUMNS: usize = 72;
const ESCAPE: char = '\u{1b}';

/// Runs a command on a terminal, with these variables besides; answers what it would show.
async fn on_a_terminal(fleet: &Fleet, arguments: &str, environment: &[(&str, &str)]) -> String {
    let command = format!("stty cols {COLUMNS} rows 24; exec {BINARY} {arguments}");
    let mut script = Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).env("TERM", "xterm").env_remove("NO_COLOR");
    let of_fleet = fleet.command(&[]);
    let of_fleet = of_fleet.as_std().get_envs();
    script.envs(of_fleet.filter_map(|(name, value)| Some((name, value?))));
    script.envs(environment.iter().copied()).stdin(Stdio::null()).kill_on_drop(true);
    let ended = script.output().await.unwrap();
    let shown = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success(), "{shown}{}", String::from_utf8_lossy(&ended.stderr));
    shown
}

#[tokio::test]
async fn a_table_fits_and_is_coloured_on_a_terminal_alone() {
    let fleet = Fleet::embedded(BINARY).await;
    let receiver = Receiver::answering(200).await;
    let long = format!("{}/{}", receiver.url, "long/".repeat(40));
    for url in [long.as_str(), receiver.url.as_str()] {
        fleet.client.post("/v1/tenants/default/endpoints", &json!({"url": url})).await;
    }
    let shown = on_a_terminal(&fleet, "endpoint list", &[]).await;
    assert!(shown.contains("\u{1b}[1mID"), "the heading is painted: {shown:?}");
    let plain = on_a_terminal(&fleet, "endpoint list", &[("NO_COLOR", "1")]).await;
    assert!(!plain.contains(ESCAPE), "{plain:?}");
    let lines: Vec<&str> = plain.lines().filter(|line| !line.starts_with("left out")).collect();
    assert_eq!(lines.len(), 3, "{plain}");
    assert!(lines.iter().all(|line| line.chars().count() <= COLUMNS), "{plain}");
    assert!(lines[1..].iter().all(|line| line.starts_with("ep_")), "{plain}");
    assert!(plain.contains('…') && plain.contains("left out for want of room: "), "{plain}");
    let forced = [("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")];
    assert!(!on_a_terminal(&fleet, "endpoint list", &forced).await.contains(ESCAPE));

    let (_, out, errors) = fleet.run(&["endpoint", "list"]).await;
    assert!(out.contains(&long) && !out.contains(ESCAPE) && errors.is_empty(), "{out}{errors}");
    let (_, help, _) = fleet.run(&["dead", "replay", "--help"]).await;
    assert!(help.contains("Example:") && !help.contains(ESCAPE), "{help}");
}

#[tokio::test]
async fn long_work_shows_how_far_it_is_on_a_terminal_alone() {
    let fleet = Fleet::embedded(BINARY).await;
    let down = Receiver::answering(500).await;
    let fields = json!({"url": down.url, "retry": {"schedule": []}});
    fleet.client.post("/v1/tenants/default/endpoints", &fields).await;
    let folder = Folder::new();
    let file = folder.path().join("events.ndjson");
    std::fs::write(&file, "{\"type\":\"a.b\",\"data\":1}\n\n".repeat(1100)).unwrap();
    let file = file.to_str().unwrap();

    let shown = on_a_terminal(&fleet, &format!("event publish --ndjson {file}"), &[]).await;
    assert!(shown.contains("events/s") && shown.contains("KiB/"), "a bar: {shown:?}");
    assert!(shown.contains("1100 events in ") && shown.contains(" a second"), "{shown:?}");
    eventually("all are dead letters", IN_A_WHILE, || async {
        let (_, out, _) = fleet.run(&["dead", "replay", "--dry-run", "--output", "json"]).await;
        out.contains(r#""matched":1100"#).then_some(())
    })
    .await;
    let (code, out, errors) = fleet.run(&["dead", "export"]).await;
    assert_eq!((code, out.lines().count()), (0, 1100), "{errors}");
    assert!(errors.starts_with("1100 dead letters written in "), "no bar in a file: {errors:?}");
    let shown = on_a_terminal(&fleet, "dead export > /dev/null", &[]).await;
    assert!(shown.contains(ESCAPE), "a bar on stderr: {shown:?}");
    let shown = on_a_terminal(&fleet, "dead replay", &[]).await;
    assert!(shown.contains("/1,100 done"), "a bar: {shown:?}");
    let (_, _, errors) = fleet.run(&["dead", "discard", "--all", "--output", "json"]).await;
    assert!(!errors.contains(ESCAPE) && errors.contains(" a second"), "{errors:?}");
}

#[tokio::test]
async fn events_come_from_stdin_too() {
    let fleet = Fleet::embedded(BINARY).await;
    let folder = Folder::new();
    let file = folder.path().join("events.ndjson");
    std::fs::write(&file, "{\"type\":\"a.b\",\"data\":1}\n\nnonsense\n").unwrap();
    let mut publish = fleet.command(&["event", "publish", "--ndjson", "-", "--output", "json"]);
    publish.stdin(std::fs::File::open(&file).unwrap());
    let ended = publish.output().await.unwrap();
    let errors = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{errors}");
    assert!(errors.contains("line 3: ") && errors.contains("\n  next: "), "{errors}");
    let out: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(out, json!({"accepted": 1, "duplicates": 0, "refused": 1}));
}

#[tokio::test]
async fn a_failure_says_what_to_do_next() {
    let fleet = Fleet::embedded(BINARY).await;
    let check = async |arguments: &[&str], expected: &str| {
        let (code, _, errors) = fleet.run(arguments).await;
        let next = errors.lines().nth(1).unwrap_or_default();
        assert!(code > 0 && next.starts_with("  next: "), "{arguments:?}: {errors}");
        assert!(next.contains(expected), "{arguments:?}: {errors}");
    };
    check(&["endpoint", "list", "--url", "http://127.0.0.1:1"], "hookfleet serve").await;
    check(&["endpoint", "list", "--token", "wrong"], "--token (HOOKFLEET_TOKEN)").await;
    check(&["endpoint", "show", "ep_none"], "hookfleet endpoint list").await;
    check(&["dead", "show", "dl_none"], "hookfleet dead list").await;
    check(&["dead", "discard"], "--dry-run").await;
    check(&["endpoint", "create", "--to", "http://10.0.0.1/"], "ALLOW_PRIVATE_NETWORKS").await;
}

#[tokio::test]
async fn completions_and_manual_pages() {
    let fleet = Fleet::alone(BINARY);
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, errors) = fleet.run(&["completions", shell]).await;
        assert_eq!(code, 0, "{errors}");
        assert!(out.contains("rotate-secret") && out.contains("forward"), "{shell}: {out}");
        let file = folder.path().join(shell);
        std::fs::write(&file, out).unwrap();
        if is_at_hand(shell, "--version").await {
            let checked = Command::new(shell).arg("-n").arg(&file).status().await.unwrap();
            assert!(checked.success(), "{shell} does not read it");
        }
    }
    let pages = folder.path().join("man");
    let (code, _, errors) = fleet.run(&["manual", pages.to_str().unwrap()]).await;
    assert_eq!(code, 0, "{errors}");
    let page = std::fs::read_to_string(pages.join("hookfleet-dead-replay.1")).unwrap();
    assert!(page.starts_with(".ie") && page.contains("Example:"), "{page}");
    assert!(pages.join("hookfleet.1").exists());
}
