//! `hookfleet completions` and `hookfleet manual`: what is made from the command line itself.

use std::fs;
use std::io::Write;
use std::path::Path;

use clap::Command;
use clap_complete::Shell;

use crate::args::program;
use crate::failure::Failure;
use crate::output;

/// Completions for a shell, on stdout.
pub fn completions(shell: Shell) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut program(), "hookfleet", &mut bytes);
    let written = std::io::stdout().lock().write_all(&bytes);
    written.map_err(|error| Failure::failed(format!("stdout: {error}")))
}

/// Manual pages, each a file of this folder.
pub fn manual(folder: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::failed(format!("{}: {error}", folder.display()));
    fs::create_dir_all(folder).map_err(failed)?;
    let mut program = program().disable_help_subcommand(true);
    program.build();
    let mut pages = 0;
    for command in with_all_below(&program) {
        let name = command.get_display_name().unwrap_or("hookfleet").to_owned();
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page).map_err(failed)?;
        fs::write(folder.join(format!("{name}.1")), page).map_err(failed)?;
        pages += 1;
    }
    output::tell(&format!("{pages} pages in {0}; try: man -l {0}/hookfleet.1", folder.display()));
    Ok(())
}

fn with_all_below(command: &Command) -> Vec<Command> {
    let below = command.get_subcommands().filter(|command| !command.is_hide_set());
    std::iter::once(command.clone()).chain(below.flat_map(with_all_below)).collect()
}
