//! The command line: what can be asked of `spanlight`, and what it answers.

mod breakdown;
mod budgets;
mod client;
mod configuration;
mod conformance;
mod demo;
mod demo_button;
mod explain;
mod export;
mod filter;
mod health;
mod import;
mod open_files;
mod outcome;
mod recorded;
mod replay;
mod report;
mod run;
mod runs;
mod service;
mod shell;
mod show;
mod signals;
mod tail;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Everything went well.
const OK: u8 = 0;
/// Something did not.
const FAILED: u8 = 1;
/// What was asked makes no sense.
const USAGE: u8 = 2;

/// How long whoever reads may take over the last words.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Shows what AI agents are doing, what they cost and whether it was worth it.
#[derive(Debug, Parser)]
#[command(name = "spanlight", version, about, long_about = None, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the collector (what a bare `spanlight` does)
    Run(RunArgs),
    /// Play made-up agents to look at, in a collector that is started if none runs
    Demo(demo::DemoArgs),
    /// List runs, the latest first
    Runs(runs::RunsArgs),
    /// Show one run as a tree with durations, tokens, cost and errors
    Show(show::ShowArgs),
    /// Show the outcome metrics and the cost ledger
    Report(report::ReportArgs),
    /// Show events as they happen
    Tail(Box<tail::TailArgs>),
    /// Write the events of a collector, or of a data directory, as JSON lines
    Export(Box<export::ExportArgs>),
    /// Take events or telemetry from files into a running collector; what it has already counts once
    Import(import::ImportArgs),
    /// Play recorded events again, at their pace
    Replay(replay::ReplayArgs),
    /// Check or print a configuration, or list the components there are
    Config(configuration::ConfigArgs),
    /// Try on a receiver of OTLP, this one or another's, whether it keeps the rules of the specification
    Conformance(Box<conformance::ConformanceArgs>),
    /// Say whether a running collector moves: ends with 0 if it does, else with 1
    Health(Target),
    /// Write completions for a shell
    Completions(shell::CompletionsArgs),
    /// Write the man page
    Man,
}

/// What the collector is told beside its configuration.
#[derive(Args, Clone, Debug)]
struct RunArgs {
    /// The configuration; without one, OTLP on 4317 and 4318 and the web endpoint on 3010 of this machine
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set a single value of the configuration
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Where data goes
    #[arg(long, value_name = "DIR", default_value = "spanlight-data")]
    data_dir: PathBuf,
    /// Allow listening beyond this machine without authentication
    #[arg(long)]
    insecure_bind: bool,
}

/// What every command that asks a running collector is told.
#[derive(Args, Clone, Debug)]
struct Target {
    /// The web endpoint of the collector to ask
    #[arg(long, value_name = "URL", env = "SPANLIGHT_URL", default_value = "http://127.0.0.1:3010")]
    url: String,
    /// The token it asks for, if it asks for one
    #[arg(long, value_name = "TOKEN", env = "SPANLIGHT_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The authorities to trust instead of the system's, as PEM, where the URL is of TLS
    #[arg(long, value_name = "FILE", env = "SPANLIGHT_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// Our certificate, as PEM, where the collector asks for one
    #[arg(long, value_name = "FILE", env = "SPANLIGHT_CERT_FILE", requires = "key_file")]
    cert_file: Option<PathBuf>,
    /// The key of our certificate, as PEM
    #[arg(long, value_name = "FILE", env = "SPANLIGHT_KEY_FILE", requires = "cert_file")]
    key_file: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Why a command failed, for whoever ran it.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn new(message: impl ToString) -> Failure {
        Failure { code: FAILED, message: message.to_string() }
    }

    fn usage(message: impl ToString) -> Failure {
        Failure { code: USAGE, message: message.to_string() }
    }

    fn is_usage(&self) -> bool {
        self.code == USAGE
    }
}

/// Parses the command line and runs what it says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            crate::console::line(&format!("error: cannot start: {error}"));
            return ExitCode::from(FAILED);
        }
    };
    let result = runtime.block_on(async {
        match cli.command.unwrap_or(Command::Run(cli.run)) {
            Command::Run(args) => run::run(args).await,
            Command::Demo(args) => demo::demo(args).await,
            Command::Runs(args) => runs::runs(args).await,
            Command::Show(args) => show::show(args).await,
            Command::Report(args) => report::report(args).await,
            Command::Tail(args) => tail::tail(*args).await,
            Command::Export(args) => export::export(*args).await,
            Command::Import(args) => import::import(args).await,
            Command::Replay(args) => replay::replay(args).await,
            Command::Config(args) => configuration::configuration(&args),
            Command::Conformance(args) => conformance::conformance(*args).await,
            Command::Health(target) => health::health(target).await,
            Command::Completions(args) => shell::completions(&args),
            Command::Man => shell::man(),
        }
    });
    let code = match result {
        Ok(()) => OK,
        Err(failure) => {
            // Configurations have problems in several lines; a collector's words may hold anything.
            let lines: Vec<String> = failure.message.lines().map(crate::console::safe).collect();
            crate::console::line(&format!("error: {}", lines.join("\n")));
            failure.code
        }
    };
    // What a disk or a reader still holds up has been reported; the program ends all the same.
    crate::console::settle(LAST_WORDS);
    runtime.shutdown_timeout(LAST_WORDS);
    ExitCode::from(code)
}
