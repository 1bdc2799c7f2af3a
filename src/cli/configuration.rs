//! `spanlight config`: check, print, components.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{Failure, RunArgs};
use crate::config::{self, Config, Override, Problem, Section};
use crate::console;
use crate::pipeline::{Plan, additions, components, plan};

/// `spanlight config`
#[derive(Args, Debug)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Find every problem of a configuration, with line, key and what was meant
    Check(FileArgs),
    /// Print a configuration as it is in force; secrets are hidden
    Print(FileArgs),
    /// List the components there are
    Components,
}

#[derive(Args, Debug)]
struct FileArgs {
    /// The configuration; without one, the default
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Set a single value of the configuration
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
}

/// Runs the command.
pub fn configuration(args: &ConfigArgs) -> Result<(), Failure> {
    match &args.command {
        ConfigCommand::Check(args) => {
            let (_, plan) = load(args.file.as_deref(), &args.set)?;
            let name = name_of(args.file.as_deref());
            for warning in &plan.warnings {
                console::output(&format!("{name}: warning: {warning}"));
            }
            let pipelines: Vec<&str> = plan.pipelines.iter().map(|pipeline| pipeline.id.as_str()).collect();
            console::output(&format!("{name}: good; pipelines {}", pipelines.join(", ")));
        }
        ConfigCommand::Print(args) => {
            let (config, _) = load(args.file.as_deref(), &args.set)?;
            console::output(&config::print(&config.tree));
        }
        ConfigCommand::Components => {
            for section in Section::ALL {
                console::output(section.name());
                for (name, does) in components(section) {
                    console::output(&format!("  {name:<16} {does}"));
                }
            }
        }
    }
    Ok(())
}

/// The configuration and plan of `spanlight run`.
pub(super) fn load_for_run(args: &RunArgs) -> Result<Plan, Failure> {
    load(args.config.as_deref(), &args.set).map(|(_, plan)| plan)
}

fn load(file: Option<&Path>, set: &[String]) -> Result<(Config, Plan), Failure> {
    let text = match file {
        None => config::DEFAULT.to_owned(),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?,
    };
    let variable = |name: &str| std::env::var(name).ok();
    let added = if file.is_none() { additions(&variable) } else { Vec::new() };
    let overrides: Result<Vec<Override>, String> = added.iter().chain(set).map(|text| Override::parse(text)).collect();
    let overrides = overrides.map_err(Failure::usage)?;
    let (config, mut problems) = Config::parse(&text, &overrides, &variable);
    let planned = config.map(|config| plan(&config).map(|plan| (config, plan)));
    match planned {
        Some(Ok(good)) if problems.is_empty() => return Ok(good),
        Some(Err(more)) => problems.extend(more),
        Some(Ok(_)) | None => {}
    }
    Err(failure(file, &problems))
}

fn failure(file: Option<&Path>, problems: &[Problem]) -> Failure {
    let mut problems = problems.to_vec();
    problems.sort_by_key(|problem| problem.place);
    let name = name_of(file);
    let lines: Vec<String> = problems.iter().map(|problem| format!("  {name}: {problem}")).collect();
    let count = match problems.len() {
        1 => "one problem".to_owned(),
        n => format!("{n} problems"),
    };
    Failure::usage(format!("the configuration has {count}:\n{}", lines.join("\n")))
}

fn name_of(file: Option<&Path>) -> String {
    file.map_or("the default configuration".into(), |path| path.display().to_string())
}
