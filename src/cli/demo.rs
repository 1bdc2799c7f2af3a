//! `spanlight demo`: made-up agents to look at, from their first event to the figures that come of them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use http::Uri;
use serde_json::{Value, json};

use super::client::takes_traces;
use super::configuration::load_for_run;
use super::outcome::outcome;
use super::signals::Signals;
use super::{Failure, RunArgs};
use crate::config::types::is_this_machine;
use crate::console::event::{Level, in_short, usd};
use crate::console::{self, Style};
use crate::demo::Program;
use crate::event::{Data, Filter};
use crate::measure::Summary;
use crate::pipeline::{Options, Running, start};
use crate::telemetry::{Guard, Subscription};

/// `spanlight demo`
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Let every other run go wrong: a tool that hangs, a critic that rejects, a person who has to look, no more money
    #[arg(long)]
    failure: bool,
    /// The same seed tells the same stories
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many times as fast as agents are
    #[arg(long, value_name = "X", default_value = "1", value_parser = speed)]
    speed: f64,
    /// How many runs, which overlap
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// A collector's OTLP over HTTP; if nobody answers there, one is started
    #[arg(long, value_name = "URL", default_value = TO)]
    to: String,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    /// Where the data of a collector goes that is started
    #[arg(long, value_name = "DIR", default_value = "spanlight-data")]
    data_dir: PathBuf,
}

/// Where a collector listens that nobody has told anything.
const TO: &str = "http://127.0.0.1:4318";
/// What a collector that is started tells of: critics that reject much.
const ALERT: &str = "name: picky critic, metric: critic_rejection_rate, above: 0.3, window: 15m, min_count: 2";
/// How long what is on its way may take at the end.
pub const PATIENCE: Duration = Duration::from_secs(10);

impl DemoArgs {
    fn program(&self) -> Program {
        Program { seed: self.seed, runs: self.runs, failure: self.failure, speed: self.speed }
    }
}

/// Plays it.
pub async fn demo(args: DemoArgs) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let collector = match takes_traces(&args.to).await? {
        true => None,
        false => Some(start_collector(&args).await?),
    };
    if !args.json {
        console::output(&banner(&args, collector.as_ref(), console::colours()));
    }
    let played = play(&args, &mut signals).await;
    if let Some(collector) = collector {
        // Whoever has ended the stories has seen enough.
        if matches!(played, Ok(Told::ToTheEnd)) && console::has_status() && !args.json {
            console::output("\nThe collector goes on, for you to look at; Ctrl-C ends it.");
            signals.next().await;
        }
        collector.stop(PATIENCE).await;
    }
    played.map(|_| ())
}

/// How far the stories were told.
enum Told {
    ToTheEnd,
    UntilInterrupted,
}

/// A collector in this process that listens where one was looked for.
async fn start_collector(args: &DemoArgs) -> Result<Running, Failure> {
    let uri: Uri = args.to.parse().map_err(Failure::usage)?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    if !is_this_machine(host) {
        return Err(Failure::new(format!("nobody listens at {}, and it is no address of this machine", args.to)));
    }
    // What features may cost in a day, the program sees to itself: told of by both, it would be told twice.
    let program = args.program();
    let (daily, monthly) = (program.daily_limit(), program.monthly_limit_of_a_feature());
    let daily = format!("{{name: daily, limit_usd: {daily}, per: day}}");
    let monthly = format!("{{name: monthly, limit_usd: {monthly}, per: month, each: feature}}");
    let mut set = vec![
        "service.pipelines.logs/events.exporters=[file]".to_owned(),
        format!("connectors.agent.budgets=[{daily}, {monthly}]"),
        format!("connectors.agent.alerts=[{{{ALERT}}}]"),
    ];
    if args.to.trim_end_matches('/') != TO {
        let host = if host == "localhost" { "127.0.0.1" } else { host };
        let address = if host.contains(':') { format!("'[{host}]") } else { format!("'{host}") };
        // Beside another collector, the usual ports are taken.
        set.push(format!("receivers.otlp.protocols.http.endpoint={address}:{}'", uri.port_u16().unwrap_or(80)));
        set.push("receivers.otlp.protocols.grpc.endpoint=127.0.0.1:0".to_owned());
        set.push("extensions.web.endpoint=127.0.0.1:0".to_owned());
    }
    let args = RunArgs { config: None, set, data_dir: args.data_dir.clone(), insecure_bind: false };
    let options = Options { data_dir: args.data_dir.clone(), insecure_bind: false, demo: None };
    start(load_for_run(&args)?, &options).await.map_err(Failure::new)
}

/// Where to look.
fn banner(args: &DemoArgs, collector: Option<&Running>, colours: bool) -> String {
    const USUAL: &str = "http://127.0.0.1:3010";
    let title = Style::Bold.paint("Spanlight demo.", colours);
    let started = collector.and_then(|running| running.addresses().web).map(|web| web.url());
    let is_usual = args.to.trim_end_matches('/') == TO;
    let begun = if started.is_some() { "A collector was started at" } else { "Sending to" };
    let Some(web) = started.or(is_usual.then(|| USUAL.to_owned())) else {
        return format!("{title} {begun} {}.\nLook at it meanwhile on the page of that collector.\n", args.to);
    };
    let url = if web == USUAL { String::new() } else { format!(" --url {web}") };
    let command = |text: &str| Style::Cyan.paint(&format!("spanlight {text}{url}"), colours);
    format!("{title} {begun} {}.\nLook at it meanwhile: {web}, {}, {}\n", args.to, command("runs"), command("tail"),)
}

/// Plays the stories, shows what happens, and what they came to.
async fn play(args: &DemoArgs, signals: &mut Signals) -> Result<Told, Failure> {
    let program = args.program();
    let guard = program.telemetry().otlp(&args.to).init();
    let telemetry = guard.telemetry().clone();
    let shown = tokio::spawn(show(telemetry.subscribe(Filter::default()), args.json));
    let began = Instant::now();
    let name = task_name();
    let told = tokio::select! {
        () = program.play(&name) => Told::ToTheEnd,
        () = signals.next() => Told::UntilInterrupted,
    };
    let all_sent = end(guard).await?;
    shown.await.map_err(Failure::new)?;
    let minutes = began.elapsed().as_secs() / 60 + 1;
    show_summary(&telemetry.metrics_of(Duration::from_secs(minutes * 60)), minutes, args.json);
    if all_sent { Ok(told) } else { Err(Failure::new("not everything was delivered")) }
}

/// How the names of its tasks begin: every time it is played, they are others.
pub fn task_name() -> String {
    let seconds = crate::event::Timestamp::now().as_micros().div_euclid(1_000_000) as u32;
    format!("demo-{:x}", std::process::id() ^ (seconds << 16))
}

/// Ends telemetry, which waits for what is on its way; whether nothing was lost.
async fn end(guard: Guard) -> Result<bool, Failure> {
    let ended = tokio::task::spawn_blocking(move || {
        let report = guard.telemetry().shutdown(PATIENCE);
        drop(guard);
        report.is_clean()
    });
    ended.await.map_err(Failure::new)
}

/// Shows events until telemetry has ended and there are no more.
async fn show(mut events: Subscription, json: bool) {
    let colours = console::colours();
    while let Some(record) = events.next().await {
        if json {
            console::output(&record.event().to_json());
        } else if Level::of(record.event()) > Level::Debug {
            console::output(&in_short(record.event(), colours, console::width()));
        }
    }
}

fn show_summary(summary: &Summary, minutes: u64, json: bool) {
    let figures = Value::Object(Data::build(|data| summary.write(data)).to_map());
    if json {
        console::output(&json!({"summary": figures}).to_string());
        return;
    }
    let title = format!("What came of it, in a window of {}", console::counted(minutes, "minute"));
    console::output("");
    console::output(&Style::Bold.paint(&title, console::colours()));
    console::output(outcome(&figures, None, console::colours()).trim_end());
    console::output(&format!("{} for {} tokens", usd(summary.total_cost_usd), summary.tokens));
}

/// How many times as fast.
pub fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "a number such as 10 or 0.5".to_owned())?;
    if (0.01..=1_000_000.0).contains(&speed) { Ok(speed) } else { Err("from 0.01 to 1000000".to_owned()) }
}
