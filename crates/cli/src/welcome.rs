//! What a server on one machine says when it is ready: where it is, and what to try next.

use std::net::Ipv4Addr;

use crate::config::{Backend, Config};
use crate::{data_folder, output};

/// Says it on stdout.
pub fn print(config: &Config, listens: &str) {
    if let Backend::Embedded { folder, .. } = &config.backend {
        let program = std::env::args().next().unwrap_or_else(|| "hookfleet".to_owned());
        let folder = folder.path().display().to_string();
        // Whoever closed our stdout does not want to read it.
        drop(output::line(&text(config, (&program, listens, &folder))));
    }
}

fn text(config: &Config, (program, listens, folder): (&str, &str, &str)) -> String {
    let mut server = String::new();
    if listens != "127.0.0.1:8080" {
        server = format!(" --url http://{listens}");
    }
    if folder != data_folder::DEFAULT {
        server = format!("{server} --data-dir {folder}");
    }
    let local = Ipv4Addr::LOCALHOST.into();
    let reaches_local =
        config.endpoints.allow_http && config.endpoints.addresses.check(local).is_ok();
    let create = format!("endpoint create{server} --to");
    let publish =
        format!("event publish{server} --type post.published --data '{{\"title\":\"Hello\"}}'");
    let (commands, hint) = if reaches_local {
        let create = format!("{create} http://127.0.0.1:9000/hook");
        (["listen --port 9000".to_owned(), create, publish], "")
    } else {
        let create = format!("{create} https://your-service.example/hook");
        let hint = "\nDeliveries go to public https addresses. To try them on this machine, start \
            with\n  --allow-http --allow-private-networks 127.0.0.0/8\n";
        ([create, publish, format!("dead list{server}")], hint)
    };
    let commands = commands.map(|command| format!("  {program} {command}\n")).concat();
    format!(
        "\nHookfleet is ready. API: http://{listens}  Data: {folder}\n\n\
         Try, in another shell:\n{commands}{hint}"
    )
}
