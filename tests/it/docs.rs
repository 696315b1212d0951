//! The documents tell the truth: commands run, links lead somewhere, what is named is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use e2e::fleet::free_port;
use e2e::{IN_A_WHILE, copy_folder};
use tokio::time::timeout;

use crate::quick_start::{Shell, clone, ready};

/// Made from the code: what these do not name is not there.
const REFERENCE: [&str; 2] = ["docs/cli.md", "docs/configuration.md"];

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn read(page: &str) -> String {
    std::fs::read_to_string(top().join(page)).unwrap()
}

/// Every page, by its path from the top folder.
fn pages() -> Vec<String> {
    let mut folders = vec![top().join("docs")];
    let mut pages: Vec<PathBuf> =
        ["README.md", "crates/README.md", "deploy/README.md"].map(|page| top().join(page)).into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    let name = |page: PathBuf| page.strip_prefix(top()).unwrap().display().to_string();
    pages.into_iter().map(name).collect()
}

/// The blocks of code whose first line says this.
fn blocks(text: &str, kind: &str) -> Vec<String> {
    let start = format!("\n```{kind}\n");
    let blocks = text.split(&start).skip(1);
    blocks.map(|block| block.split_once("\n```").unwrap().0.to_owned()).collect()
}

/// Text without its blocks of code.
fn prose(text: &str) -> String {
    let parts = text.split("\n```").enumerate();
    parts.filter(|(n, _)| n % 2 == 0).map(|(_, part)| part).collect::<Vec<_>>().join("\n")
}

fn links(text: &str) -> Vec<String> {
    let ends = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    ends.map(|(link, _)| link.to_owned()).collect()
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

#[test]
fn every_link_leads_somewhere() {
    let mut checked = 0;
    for page in pages() {
        let folder = top().join(&page).parent().unwrap().to_owned();
        for link in links(&prose(&read(&page))) {
            if link.contains("://") {
                continue;
            }
            let (file, section) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { top().join(&page) } else { folder.join(file) };
            assert!(target.exists(), "{page} leads to {link}, which is not there");
            if !section.is_empty() {
                let text = std::fs::read_to_string(&target).unwrap();
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                let found = headings.any(|line| anchor(line.trim_start_matches('#')) == section);
                assert!(found, "{page} leads to {link}: no such heading");
            }
            checked += 1;
        }
    }
    assert!(checked > 80, "only {checked} links were found");
}

/// Names in this text that begin with `prefix` and go on as `part` lets them.
fn names<'a>(text: &'a str, prefix: &'a str, part: fn(char) -> bool) -> BTreeSet<&'a str> {
    let starts = text.match_indices(prefix).map(|(at, _)| at);
    let name = |at: usize| {
        let rest = &text[at..];
        let end = rest[prefix.len()..].find(|c| !part(c)).map_or(rest.len(), |n| n + prefix.len());
        rest[..end].trim_end_matches('_')
    };
    starts.map(name).filter(|name| name.len() > prefix.len()).collect()
}

/// Lines that call the program: in blocks of code, and in the text's `code`.
fn calls(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let code = ["sh", "sh tested", "text"].iter().flat_map(|kind| blocks(&joined, kind));
    let code: Vec<String> =
        code.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let prose = prose(text);
    let spans = prose.split('`').skip(1).step_by(2).map(|span| span.replace('\n', " "));
    let is_call = |line: &String| line.starts_with("--") || line.contains("hookfleet ");
    code.into_iter().chain(spans).filter(is_call).collect()
}

#[test]
fn every_flag_command_and_variable_is_there() {
    let reference = REFERENCE.map(read).join("\n");
    let is_flag = |c: char| c.is_ascii_lowercase() || c == '-';
    let flags = names(&reference, "--", is_flag);
    let is_variable = |c: char| c.is_ascii_uppercase() || c == '_';
    let mut variables = names(&reference, "HOOKFLEET_", is_variable);
    variables.insert("HOOKFLEET_TEST_SERVICES_DIR");
    let commands: BTreeSet<&str> =
        reference.lines().filter_map(|line| line.strip_prefix("## hookfleet ")).collect();
    for page in pages().into_iter().filter(|page| !REFERENCE.contains(&page.as_str())) {
        let text = read(&page);
        for variable in names(&text, "HOOKFLEET_", is_variable) {
            assert!(variables.contains(variable), "{page} names {variable}");
        }
        for call in calls(&text) {
            // What stands behind a comment or a pipe is another program's.
            let ours = call.split(" | ").next().unwrap_or_default();
            for flag in names(ours, "--", is_flag) {
                let is_known = flags.contains(flag) || matches!(flag, "--help" | "--version");
                assert!(is_known, "{page}: {call}: no such flag as {flag}");
            }
            for command in ours.split("hookfleet ").skip(1) {
                let words: Vec<&str> = command.split(' ').take(1).collect();
                let word = words[0].trim_matches(|c: char| !c.is_ascii_lowercase());
                let is_word = !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase());
                if is_word && ours.trim_start().starts_with("hookfleet ") {
                    assert!(commands.contains(word), "{page}: {call}: no such command");
                }
            }
        }
    }
}

/// Runs the blocks marked `sh tested` of a page, as they are written, one after the other in one shell,
/// beside a server of their own.
async fn runs(page: &str) {
    e2e::install_tls();
    let blocks = blocks(&read(page), "sh tested");
    assert!(!blocks.is_empty(), "{page} has none");
    let folder = clone();
    let at = |name: &str| folder.path().join(name);
    copy_folder(&top().join("docs"), &at("docs"));
    std::os::unix::fs::symlink("../target/release/hookfleet", at("bin/hookfleet")).unwrap();
    let [api, metrics, receiver] = [free_port(), free_port(), free_port()].map(|n| n.to_string());
    let mut environment = vec![
        ("HOOKFLEET_LISTEN", format!("127.0.0.1:{api}")),
        ("HOOKFLEET_METRICS_LISTEN", format!("127.0.0.1:{metrics}")),
        ("HOOKFLEET_URL", format!("http://127.0.0.1:{api}")),
        ("HOOKFLEET_ALLOW_HTTP", "true".to_owned()),
        ("HOOKFLEET_ALLOW_PRIVATE_NETWORKS", "127.0.0.0/8".to_owned()),
        ("HOOKFLEET_LOG", "warn".to_owned()),
    ];
    let _server = Shell::run(folder.path(), "exec hookfleet serve", &environment);
    ready(metrics.parse().unwrap()).await;
    let token = std::fs::read_to_string(at("hookfleet-data/admin.token")).unwrap();
    environment.push(("HOOKFLEET_TOKEN", token.trim().to_owned()));
    // Only the ports are others.
    let script = blocks.join("\n");
    let script = script.replace("8080", &api).replace("9464", &metrics).replace("9000", &receiver);
    let mut shell = Shell::run(folder.path(), &script, &environment);
    let ended = timeout(IN_A_WHILE, shell.child.wait()).await;
    let out = std::fs::read_to_string(at("out")).unwrap();
    assert!(ended.is_ok_and(|ended| ended.unwrap().success()), "{page}: {out}");
}

#[test]
fn no_page_with_commands_is_left_out() {
    let tested = pages().into_iter().filter(|page| !blocks(&read(page), "sh tested").is_empty());
    let pages = ["concepts", "examples/README", "operate", "profiles", "publish"];
    let expected = pages.map(|page| format!("docs/{page}.md"));
    assert_eq!(tested.collect::<BTreeSet<_>>(), expected.into());
}

#[tokio::test]
async fn concepts() {
    runs("docs/concepts.md").await;
}

#[tokio::test]
async fn profiles() {
    runs("docs/profiles.md").await;
}

#[tokio::test]
async fn publish() {
    runs("docs/publish.md").await;
}

#[tokio::test]
async fn operate() {
    runs("docs/operate.md").await;
}

#[tokio::test]
async fn examples() {
    runs("docs/examples/README.md").await;
}
