//! `spanlight completions`, `spanlight man`: what a package of this program installs beside it.

use std::io::{self, Write};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Failure};

/// `spanlight completions`
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell that reads them
    shell: Shell,
}

/// Writes completions for a shell on standard output.
pub fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "spanlight", &mut out);
    write(&out)
}

/// Writes the man page on standard output: the program, and each of its commands as a section.
pub fn man() -> Result<(), Failure> {
    let mut out = Vec::new();
    render(&mut out).map_err(Failure::new)?;
    write(&out)
}

fn render(out: &mut Vec<u8>) -> io::Result<()> {
    let mut command = Cli::command();
    command.build();
    let page = clap_mangen::Man::new(command.clone());
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    writeln!(out, ".SH COMMANDS")?;
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        writeln!(out, ".SS \"spanlight {}\"", command.get_name())?;
        writeln!(out, "{about}.\n.PP")?;
        let page = clap_mangen::Man::new(command.clone());
        let mut options = Vec::new();
        page.render_options_section(&mut options)?;
        // The options of a command are not a section of the whole page.
        let options = String::from_utf8_lossy(&options).replace(".SH OPTIONS\n", "");
        out.write_all(options.as_bytes())?;
    }
    page.render_version_section(out)
}

fn write(text: &[u8]) -> Result<(), Failure> {
    // Whoever pipes into `head` has seen enough.
    match io::stdout().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(format!("cannot write: {error}"))),
        _ => Ok(()),
    }
}
