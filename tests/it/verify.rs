//! The code of `docs/verify.md` says the same as ours, in every language that is at hand.

use std::path::Path;

use e2e::fleet::Folder;
use e2e::is_at_hand;
use hookfleet_signing::{sign_hex, sign_sha256_hex, sign_standard};
use serde_json::{Value, json};
use tokio::process::Command;

include!("verify/accept.rs");

const DOCUMENT: &str = include_str!("../../docs/verify.md");
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TEXT: &str = "a secret, as people choose them: käse";
const BODY: &str = r#"{"type":"a.b","data":"é and \"more\""}"#;
const NOW: i64 = 1_700_000_000;

/// The code block of that language.
pub fn block(language: &str) -> &'static str {
    let (_, rest) = DOCUMENT.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```\n").unwrap().0
}

/// What a receiver got, and whether it is to be trusted.
type Vector = (Value, bool);

fn standard(secret: &str, [id, timestamp, signature]: [&str; 3], good: bool) -> Vector {
    let received = Received { id, timestamp, signature, body: BODY.as_bytes() };
    assert_eq!(accept(secret, &received, NOW).is_ok(), good, "{id} {timestamp} {signature}");
    let vector = json!({
        "scheme": "standard", "secret": secret, "id": id, "timestamp": timestamp,
        "signature": signature, "body": BODY, "now": NOW,
    });
    (vector, good)
}

fn hex(scheme: &str, secret: &str, signature: &str, good: bool) -> Vector {
    let vector = json!({
        "scheme": scheme, "secret": secret, "id": "", "timestamp": "",
        "signature": signature, "body": BODY, "now": NOW,
    });
    (vector, good)
}

fn vectors() -> Vec<Vector> {
    let key = Key::standard(SECRET).unwrap();
    let sign =
        |id: &str, at: i64| sign_standard(std::slice::from_ref(&key), id, at, BODY.as_bytes());
    let good = sign("id", NOW);
    let other = sign("another", NOW);
    let at = |at: i64, good: bool| standard(SECRET, ["id", &at.to_string(), &sign("id", at)], good);
    let signed =
        |signature: &str, good: bool| standard(SECRET, ["id", &NOW.to_string(), signature], good);
    let stamped = |timestamp: &str| standard(SECRET, ["id", timestamp, &good], false);
    let text = Key::text(TEXT).unwrap();
    let (plain, prefixed) =
        (sign_hex(&text, BODY.as_bytes()), sign_sha256_hex(&text, BODY.as_bytes()));
    vec![
        at(NOW, true),
        at(NOW - 300, true),
        at(NOW + 300, true),
        at(NOW - 301, false),
        at(NOW + 301, false),
        signed(&format!("{other} {good}"), true),
        signed(&format!("v1a,AAAA {good}"), true),
        signed(&format!("{}{good}", format!("{other} ").repeat(15)), true),
        signed(&format!("{}{good}", format!("{other} ").repeat(16)), false),
        signed(&other, false),
        signed("", false),
        signed("v1,", false),
        signed("v1", false),
        signed(&good.replace("v1,", "v2,"), false),
        signed(&good.replace('=', ""), false),
        signed(&format!("{good} "), true),
        stamped(""),
        stamped("soon"),
        stamped(" 1700000000"),
        stamped("+1700000000"),
        stamped("1700000000.0"),
        stamped("99999999999999999999999"),
        standard(SECRET, ["", &NOW.to_string(), &sign("", NOW)], false),
        standard(SECRET, ["a.b", &NOW.to_string(), &sign("a.b", NOW)], false),
        standard("whsec_AAAA", ["id", &NOW.to_string(), &good], false),
        standard("", ["id", &NOW.to_string(), &good], false),
        standard(&SECRET[6..], ["id", &NOW.to_string(), &good], false),
        hex("hex", TEXT, &plain, true),
        hex("hex", TEXT, &plain.to_uppercase(), false),
        hex("hex", TEXT, &prefixed, false),
        hex("hex", "another", &plain, false),
        hex("hex", TEXT, "", false),
        hex("sha256", TEXT, &prefixed, true),
        hex("sha256", TEXT, &plain, false),
        hex("sha256", TEXT, "sha256=", false),
        hex("sha256", "another", &prefixed, false),
    ]
}

/// A language: the file that its block becomes, and how the harness beside it is run.
struct Language {
    name: &'static str,
    file: &'static str,
    command: [&'static str; 3],
}

/// A language that is not at hand is not tried; `make test` installs what it can.
async fn check(Language { name, file, command }: Language) {
    let [program, version, run] = command;
    if !is_at_hand(program, version).await {
        eprintln!("{program} is not at hand: the code for {name} was not tried");
        return;
    }
    let folder = Folder::new();
    let harness = Path::new(env!("CARGO_MANIFEST_DIR")).join("verify");
    for entry in std::fs::read_dir(harness).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let file = folder.path().join(file);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, block(name)).unwrap();
    let vectors = vectors();
    let texts: Vec<&Value> = vectors.iter().map(|(vector, _)| vector).collect();
    std::fs::write(folder.path().join("vectors.json"), json!(texts).to_string()).unwrap();
    let mut command = Command::new(program);
    command.args(run.split(' ')).arg("vectors.json").current_dir(folder.path());
    command.env("GOCACHE", folder.path().join("cache")).env("GOFLAGS", "-mod=mod");
    let output = command.output().await.unwrap();
    let (out, errors) = (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(output.status.success(), "{errors}");
    let out = String::from_utf8(out).unwrap();
    let verdicts: Vec<&str> = out.lines().collect();
    assert_eq!(verdicts.len(), vectors.len(), "{errors}");
    for ((vector, good), verdict) in vectors.iter().zip(verdicts) {
        assert_eq!(verdict, good.to_string(), "{name}: {vector}");
    }
}

#[test]
fn in_rust() {
    assert_eq!(block("rust"), include_str!("verify/accept.rs"));
    assert!(vectors().iter().any(|(_, good)| *good), "each was accepted as it should be");
}

#[tokio::test]
async fn in_javascript() {
    let command = ["node", "--version", "check.mjs"];
    check(Language { name: "js", file: "verify.mjs", command }).await;
}

#[tokio::test]
async fn in_python() {
    let command = ["python3", "--version", "check.py"];
    check(Language { name: "python", file: "verify.py", command }).await;
}

#[tokio::test]
async fn in_php() {
    check(Language { name: "php", file: "verify.php", command: ["php", "--version", "check.php"] })
        .await;
}

#[tokio::test]
async fn in_go() {
    check(Language { name: "go", file: "webhook/webhook.go", command: ["go", "version", "run ."] })
        .await;
}
