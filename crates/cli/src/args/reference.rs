//! docs/cli.md and docs/configuration.md are made from the command line.

use std::collections::BTreeMap;
use std::fmt::Write;

use clap::{Arg, ArgAction, Command};
use expect_test::expect_file;
use hookfleet_domain::{BodyShape, Signature};

use super::program;

const CLI: &str = "# The command line

One binary, `hookfleet`. Commands that speak to a server find it by `--url` and authenticate by `--token`; beside a server on the same
machine they read its admin token by themselves. Results go to stdout, everything else to stderr; `--output json` is for programs.

Exit codes: 0 done · 1 failed · 2 usage · 3 not found · 4 refused (authentication, policy) · 5 server or broker out of reach.

`hookfleet completions SHELL` writes completions, `hookfleet manual FOLDER` manual pages. Colours and progress bars are for terminals; `NO_COLOR`
turns colours off.

This page is made from the code: `UPDATE_EXPECT=1 cargo test -p hookfleet-cli reference`. The settings of `serve`, `api`, `worker`, `doctor`,
`export` and `import` are in [configuration.md](configuration.md).
";

const CONFIGURATION: &str = "# Configuration

Each setting of a serving role is a flag, an environment variable, or a key of the TOML file that `--config` names; what is said first in
this order holds. A name that is not known, and a value that is out of range, stops the start with exit code 2. Durations and rates are
written `5s`, `10m`, `50/s`. Give secrets by the environment or the file: flags are seen in the list of processes.

```toml
# hookfleet.toml: `hookfleet serve --config hookfleet.toml`
listen = \"0.0.0.0:8080\"
allow_private_networks = \"10.1.0.0/16\"
archive_retention = \"30d\"
```

This page is made from the code: `UPDATE_EXPECT=1 cargo test -p hookfleet-cli reference`.

| flag | environment | key | what it is |
| --- | --- | --- | --- |
";

/// Commands whose flags are the settings.
const SERVING: [&str; 6] = ["serve", "api", "worker", "doctor", "export", "import"];

#[test]
fn cli_reference() {
    let program = program();
    let mut page = CLI.to_owned();
    for command in program.get_subcommands() {
        section(&mut page, "hookfleet", command);
    }
    expect_file!["../../../../docs/cli.md"].assert_eq(&page);
}

#[test]
fn configuration_reference() {
    let program = program();
    let serve = program.find_subcommand("serve").unwrap();
    let mut page = CONFIGURATION.to_owned();
    for arg in flags(serve) {
        let flag = arg.get_long().unwrap();
        let env = arg.get_env().unwrap().to_str().unwrap();
        let key =
            if flag == "config" { String::new() } else { format!("`{}`", flag.replace('-', "_")) };
        writeln!(page, "| `--{flag}` | `{env}` | {key} | {} |", help(arg)).unwrap();
    }
    expect_file!["../../../../docs/configuration.md"].assert_eq(&page);
}

/// docs/profiles.md is written by hand: its table is held to the code.
#[test]
fn reference_of_profiles() {
    let page = include_str!("../../../../docs/profiles.md");
    for name in ["standard", "entro", "auto-blogger", "penr", "content-engine", "entri"] {
        let settings = super::profile(name).unwrap().settings();
        let body = match settings.body {
            BodyShape::Standard => r#"`{"type","timestamp","data"}`"#,
            BodyShape::Raw => "the data as it is",
            BodyShape::Flat => r#"`{"event", …data}`"#,
            BodyShape::Wrapped => r#"`{"event","timestamp","data"}`"#,
            BodyShape::CloudEvents => "CloudEvents",
        };
        let signature = match settings.signature {
            Signature::None => "none; a token, see `auth`",
            Signature::Standard | Signature::StandardV1a => "Standard Webhooks",
            Signature::Hex { .. } => "hex",
            Signature::Sha256 { .. } => "`sha256=` and hex",
        };
        let waits: Vec<String> = settings.retry.into();
        let waits = if waits.is_empty() { "none".to_owned() } else { waits.join(", ") };
        let timeout = settings.timeout.as_secs();
        let row = format!("| `{name}` | {body} | {signature} | {waits} | {timeout}s |");
        assert!(page.contains(&row), "docs/profiles.md lacks {row}");
    }
}

fn section(page: &mut String, above: &str, command: &Command) {
    let name = format!("{above} {}", command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    write!(page, "\n## {name}\n\n{about}\n").unwrap();
    let below: Vec<&Command> = command.get_subcommands().collect();
    if below.is_empty() {
        let examples = command.get_after_help().unwrap().to_string();
        let examples = examples.trim_start_matches("Example:\n").replace("\n  ", "\n");
        write!(page, "\n```text\n{}\n```\n", examples.trim()).unwrap();
    }
    let is_serving = SERVING.contains(&command.get_name());
    let own: Vec<&Arg> = if is_serving { Vec::new() } else { flags(command).collect() };
    let given: Vec<&Arg> = command.get_positionals().collect();
    if !own.is_empty() || !given.is_empty() {
        page.push_str("\n| | |\n| --- | --- |\n");
    }
    for arg in given {
        let name = arg.get_value_names().map_or("ID", |names| names[0].as_str());
        writeln!(page, "| `{name}` | {} |", help(arg)).unwrap();
    }
    for arg in own {
        writeln!(page, "| `{}` | {}{} |", usage(arg), help(arg), fallback(arg)).unwrap();
    }
    for command in below {
        section(page, &name, command);
    }
}

fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| arg.get_long().is_some_and(|name| name != "help"))
}

fn usage(arg: &Arg) -> String {
    let aliases = arg.get_visible_aliases().unwrap_or_default();
    let flags = aliases.into_iter().chain(arg.get_long()).map(|name| format!("--{name}"));
    let flag = flags.collect::<Vec<_>>().join(", ");
    match (arg.get_action(), arg.get_value_names()) {
        (ArgAction::Set | ArgAction::Append, Some(names)) => format!("{flag} {}", names[0]),
        _ => flag,
    }
}

fn help(arg: &Arg) -> String {
    let text = arg.get_long_help().or(arg.get_help()).map(ToString::to_string);
    text.unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

fn fallback(arg: &Arg) -> String {
    let mut parts = BTreeMap::new();
    if let Some(env) = arg.get_env() {
        parts.insert("environment", format!("`{}`", env.to_str().unwrap()));
    }
    let values: Vec<&str> = arg.get_default_values().iter().filter_map(|v| v.to_str()).collect();
    if !values.is_empty() && arg.get_action().takes_values() {
        parts.insert("default", format!("`{}`", values.join(",")));
    }
    let possible = arg.get_possible_values();
    if !possible.is_empty() && arg.get_action().takes_values() {
        let names: Vec<&str> =
            possible.iter().map(clap::builder::PossibleValue::get_name).collect();
        parts.insert("one of", format!("`{}`", names.join("`, `")));
    }
    let parts: Vec<String> = parts.iter().map(|(name, value)| format!("{name} {value}")).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join("; ")) }
}
