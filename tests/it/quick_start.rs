//! The README's quick start, run as it is written.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use e2e::fleet::{Folder, free_port};
use e2e::{IN_A_WHILE, SOON, eventually};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::BINARY;

/// The blocks of shell commands in the section "Try it".
fn blocks() -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, section) = readme.split_once("\n## Try it\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let blocks = section.split("\n```sh\n").skip(1);
    blocks.map(|block| block.split_once("\n```").unwrap().0.to_owned()).collect()
}

/// A folder that looks like a clone in which the program was built; `cargo run` runs it.
pub fn clone() -> Folder {
    let folder = Folder::new();
    let at = |name: &str| folder.path().join(name);
    let makefile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Makefile");
    std::fs::copy(makefile, at("Makefile")).unwrap();
    std::fs::create_dir_all(at("target/release")).unwrap();
    std::os::unix::fs::symlink(BINARY, at("target/release/hookfleet")).unwrap();
    std::fs::create_dir_all(at("bin")).unwrap();
    let cargo = "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nshift\n\
        exec target/release/hookfleet \"$@\"\n";
    std::fs::write(at("bin/cargo"), cargo).unwrap();
    std::fs::set_permissions(at("bin/cargo"), PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

/// A shell with a process group of its own, so that what it leaves running can be ended.
pub struct Shell {
    pub child: Child,
    group: String,
}

impl Shell {
    pub fn run(folder: &Path, script: &str, environment: &[(&str, String)]) -> Self {
        let path = format!("{}/bin:/usr/local/bin:/usr/bin:/bin", folder.display());
        let out = File::options().create(true).append(true).open(folder.join("out")).unwrap();
        let mut bash = Command::new("bash");
        bash.args(["-ec", script]).current_dir(folder).env_clear().env("PATH", path);
        bash.envs(environment.iter().map(|(name, value)| (*name, value.as_str())));
        bash.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out).process_group(0);
        let child = bash.spawn().unwrap();
        let group = format!("-{}", child.id().unwrap());
        Self { child, group }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let mut kill = std::process::Command::new("kill");
        drop(kill.args(["-KILL", "--", &self.group]).stderr(Stdio::null()).status());
    }
}

/// Waits until the server is ready whose metrics are on this port.
pub async fn ready(metrics: u16) {
    eventually("the server is ready", SOON, || async {
        let answer = reqwest::get(format!("http://127.0.0.1:{metrics}/readyz")).await;
        answer.is_ok_and(|answer| answer.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn runs_as_it_is_written() {
    e2e::install_tls();
    let blocks = blocks();
    let (first, rest) = blocks.split_first().unwrap();
    assert_eq!(first, "make run");
    let folder = clone();
    let (api, metrics) = (free_port(), free_port());
    let environment = [
        ("HOOKFLEET_LISTEN", format!("127.0.0.1:{api}")),
        ("HOOKFLEET_METRICS_LISTEN", format!("127.0.0.1:{metrics}")),
        ("HOOKFLEET_URL", format!("http://127.0.0.1:{api}")),
        ("HOOKFLEET_LOG", "warn".to_owned()),
    ];
    let _server = Shell::run(folder.path(), first, &environment);
    ready(metrics).await;
    // Only the ports are others: these may be taken by another test, or another program.
    let [good, bad] = [free_port().to_string(), free_port().to_string()];
    let script = rest.join("\n").replace("9000", &good).replace("9001", &bad);
    let mut shell = Shell::run(folder.path(), &script, &environment);
    let ended = timeout(IN_A_WHILE, shell.child.wait()).await.unwrap().unwrap();
    let out = std::fs::read_to_string(folder.path().join("out")).unwrap();
    assert!(ended.success(), "{out}");
    assert!(out.contains("Hookfleet is ready"), "{out}");
    let valid = out.matches("signature: valid; answered 200").count();
    assert_eq!(valid, 3, "post.published, order.paid at once, and order.paid replayed: {out}");
    assert_eq!(out.matches(" exhausted ").count(), 1, "a dead letter, and then no more: {out}");
}
