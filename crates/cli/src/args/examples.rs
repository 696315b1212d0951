//! The command line with an example in the help of each command.

use clap::{Command, CommandFactory};

use super::Hookfleet;

/// Each command, and lines that a shell takes as they are; the words behind a `#` tell what they do.
const EXAMPLES: &[(&str, &str)] = &[
    ("serve", "hookfleet serve --data-dir ./hookfleet-data --allow-http --allow-private-networks 127.0.0.0/8"),
    ("api", "hookfleet api --listen 0.0.0.0:8080   # with HOOKFLEET_AMQP_URL, _REDIS_URL, _MASTER_KEY, _ADMIN_TOKEN"),
    ("worker", "hookfleet worker --concurrency 1024   # with HOOKFLEET_AMQP_URL, _REDIS_URL, _MASTER_KEY"),
    ("endpoint", "hookfleet endpoint create --to https://your-service.example/hook --events 'order.*'"),
    ("endpoint create", "hookfleet endpoint create --to https://your-service.example/hook --events 'order.*' --retry 5s,1m,10m"),
    ("endpoint list", "hookfleet endpoint list --tenant acme --active false   # which are switched off"),
    ("endpoint show", "hookfleet endpoint show ep_019aa0c4d5e07f3ab1c2d3e4f5a6b7c8"),
    ("endpoint update", "hookfleet endpoint update ep_019aa0c4d5e07f3ab1c2d3e4f5a6b7c8 --active true"),
    ("endpoint delete", "hookfleet endpoint delete ep_019aa0c4d5e07f3ab1c2d3e4f5a6b7c8"),
    ("endpoint test", "hookfleet endpoint test ep_019aa0c4d5e07f3ab1c2d3e4f5a6b7c8"),
    ("endpoint rotate-secret", "hookfleet endpoint rotate-secret ep_019aa0c4d5e07f3ab1c2d3e4f5a6b7c8 --grace 1h"),
    ("endpoint recover", "hookfleet endpoint recover ep_019aa0c4d5e07f3ab1c2d3e4f5a6b7c8 --since 2026-11-20T00:00:00Z"),
    ("endpoint attempts", "hookfleet endpoint attempts ep_019aa0c4d5e07f3ab1c2d3e4f5a6b7c8 --limit 100 --output json"),
    ("endpoint preview", "hookfleet endpoint preview --to https://your-service.example/hook   # before it is registered
hookfleet endpoint preview ep_019aa0c4d5e07f3ab1c2d3e4f5a6b7c8 --event 019aa0c4-d5e0-7f3a-b1c2-d3e4f5a6b7c8"),
    ("event", "hookfleet event publish --type order.paid --data '{\"order\":1}'"),
    ("event publish", "hookfleet event publish --type order.paid --data '{\"order\":1}' --idempotency-key order-1
hookfleet event publish --type order.paid --data @order.json --wait 30   # and what the endpoints said
hookfleet event publish --ndjson events.ndjson"),
    ("event list", "hookfleet event list --type 'order.*' --since 2026-11-20T00:00:00Z"),
    ("event content", "hookfleet event content 019aa0c4-d5e0-7f3a-b1c2-d3e4f5a6b7c8"),
    ("event show", "hookfleet event show 019aa0c4-d5e0-7f3a-b1c2-d3e4f5a6b7c8"),
    ("event resend", "hookfleet event resend 019aa0c4-d5e0-7f3a-b1c2-d3e4f5a6b7c8"),
    ("dead", "hookfleet dead list --since 2026-11-20T00:00:00Z"),
    ("dead list", "hookfleet dead list --event-type order.paid --reason exhausted"),
    ("dead show", "hookfleet dead show 5f0c1c9e-6a52-5d1a-9f7e-2a4b6c8d0e1f"),
    ("dead replay", "hookfleet dead replay --event-type order.paid --dry-run   # how many would it be?
hookfleet dead replay --event-type order.paid --rate 50/s"),
    ("dead discard", "hookfleet dead discard --reason malformed --until 2026-11-01T00:00:00Z"),
    ("dead export", "hookfleet dead export --tenant acme > dead.ndjson"),
    ("dead reindex", "hookfleet dead reindex"),
    ("job", "hookfleet job list"),
    ("job list", "hookfleet job list --limit 10 --output json"),
    ("job show", "hookfleet job show job_019aa0c4d5e07f3ab1c2d3e4f5a6b7c8"),
    ("tenant", "hookfleet tenant list"),
    ("tenant list", "hookfleet tenant list --output json"),
    ("token", "hookfleet token create --tenant acme --name publisher"),
    ("token create", "hookfleet token create --tenant acme --name dashboard --read-only"),
    ("token list", "hookfleet token list --tenant acme"),
    ("token revoke", "hookfleet token revoke --tenant acme tok_019aa0c4d5e07f3ab1c2d3e4f5a6b7c8"),
    ("stats", "hookfleet stats show --tenant acme --step hour"),
    ("stats show", "hookfleet stats show --tenant acme --step hour"),
    ("stats endpoints", "hookfleet stats endpoints --worst slowest"),
    ("console", "hookfleet console link --tenant acme --ttl 1h"),
    ("console link", "hookfleet console link --tenant acme --ttl 1h --read-only"),
    ("system", "hookfleet system"),
    ("listen", "hookfleet listen --port 9000 --status 503   # as a receiver that is down
hookfleet listen --port 9000 --forward http://localhost:3000   # to your own program"),
    ("export", "hookfleet export --data-dir ./hookfleet-data > export.ndjson"),
    ("import", "hookfleet import export.ndjson   # with the settings of where it goes"),
    ("bench", "hookfleet bench --quick"),
    ("doctor", "hookfleet doctor --data-dir ./hookfleet-data"),
    ("completions", "hookfleet completions bash > ~/.local/share/bash-completion/completions/hookfleet"),
    ("manual", "hookfleet manual ~/.local/share/man/man1"),
];

/// The command line.
pub fn program() -> Command {
    let program = EXAMPLES.iter().fold(Hookfleet::command(), |program, (path, examples)| {
        let words: Vec<&str> = path.split(' ').collect();
        with(program, &words, &shown(examples))
    });
    program.after_help(shown("hookfleet serve   # and `hookfleet COMMAND --help` for examples"))
}

fn with(command: Command, path: &[&str], examples: &str) -> Command {
    match path.split_first() {
        None => command.after_help(examples.to_owned()),
        Some((name, rest)) => command.mut_subcommand(name, |below| with(below, rest, examples)),
    }
}

fn shown(examples: &str) -> String {
    let lines = examples.lines().map(|line| format!("  {line}"));
    format!("Example:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// The words of a command as a shell would give them to the program.
    fn words(line: &str) -> Vec<String> {
        let line = line.split("   #").next().unwrap_or_default();
        let line = line.split(" > ").next().unwrap_or_default();
        let (mut words, mut is_quoted) = (vec![String::new()], false);
        for c in line.trim().chars() {
            match c {
                '\'' => is_quoted = !is_quoted,
                ' ' if !is_quoted => words.push(String::new()),
                c => words.last_mut().unwrap().push(c),
            }
        }
        words
    }

    fn check(command: &Command, path: &str) {
        for below in command.get_subcommands() {
            let path = format!("{path} {}", below.get_name()).trim().to_owned();
            let (_, examples) = EXAMPLES.iter().find(|(name, _)| *name == path).expect(&path);
            for example in examples.lines() {
                assert!(
                    example.starts_with(&format!("hookfleet {path} "))
                        || example == format!("hookfleet {path}"),
                    "{example}"
                );
                let parsed = Hookfleet::try_parse_from(words(example));
                assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
            }
            check(below, &path);
        }
    }

    #[test]
    fn every_command_has_an_example_that_parses() {
        check(&Hookfleet::command(), "");
        program().debug_assert();
    }
}
