//! Which crate may know which: held here, read off `cargo metadata`.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// The normal dependencies of a crate of ours.
fn dependencies(metadata: &Value, name: &str) -> BTreeSet<String> {
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == name).unwrap();
    let normal = package["dependencies"].as_array().unwrap().iter();
    normal
        .filter(|dependency| dependency["kind"].is_null())
        .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
        .collect()
}

fn metadata() -> Value {
    let arguments = ["metadata", "--format-version", "1", "--no-deps", "--offline"];
    let output = Command::new(env!("CARGO")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn crates_know_only_what_they_may() {
    let metadata = metadata();
    let ours = |name: &str| -> Vec<String> {
        let all = dependencies(&metadata, &format!("hookfleet-{name}")).into_iter();
        all.filter_map(|name| name.strip_prefix("hookfleet-").map(str::to_owned)).collect()
    };
    assert_eq!(ours("domain"), Vec::<String>::new());
    assert_eq!(ours("signing"), Vec::<String>::new());
    assert_eq!(ours("queue"), ["domain"]);
    assert_eq!(ours("store"), ["domain"]);
    assert_eq!(ours("backends"), ["domain", "queue", "store"]);
    assert_eq!(ours("producer"), ["domain", "queue", "store"]);
    assert_eq!(ours("worker"), ["domain", "producer", "queue", "signing", "store"]);
    assert_eq!(ours("api"), ["domain", "producer", "queue", "signing", "store"]);
    assert_eq!(ours("console"), ["api", "domain", "store"]);
}

#[test]
fn the_core_knows_no_runtime_and_no_client() {
    let metadata = metadata();
    let outside = ["tokio", "lapin", "redis", "reqwest", "axum", "tracing"];
    for name in ["hookfleet-domain", "hookfleet-signing"] {
        let known = dependencies(&metadata, name);
        assert!(outside.iter().all(|outside| !known.contains(*outside)), "{name}: {known:?}");
    }
}
