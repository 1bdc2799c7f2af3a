//! `spanlight run`: the collector, from its banner to its last words.

use std::time::Duration;

use super::configuration::load_for_run;
use super::demo_button::play_to;
use super::service::Service;
use super::signals::{Hangups, Signals};
use super::{Failure, RunArgs};
use crate::console::{self, Style, counted, event::usd};
use crate::duration::display;
use crate::pipeline::{Addresses, Options, Report, Running, Status, start};

/// How long draining may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs until told to stop.
pub async fn run(args: RunArgs) -> Result<(), Failure> {
    let plan = load_for_run(&args)?;
    let options = Options { data_dir: args.data_dir.clone(), insecure_bind: args.insecure_bind, demo: Some(play_to) };
    for warning in &plan.warnings {
        crate::report::warn(&warning.to_string());
    }
    super::open_files::raise_limit();
    let (mut signals, mut hangups) = (Signals::new()?, Hangups::new()?);
    console::write_in_background();
    let running = start(plan, &options).await.map_err(Failure::new)?;
    console::output(&banner(running.addresses(), console::colours()));
    console::output("");
    let service = Service::of_environment();
    service.iter().for_each(Service::is_ready);
    let watchdog = service.as_ref().and_then(|service| service.watchdog);
    let mut signs = tokio::time::interval(watchdog.unwrap_or(Duration::from_secs(3600)));
    let mut interval = tokio::time::interval(Duration::from_secs(1));
    let mut last = Status::default();
    loop {
        tokio::select! {
            _ = interval.tick(), if console::has_status() => last = show_status(&running, &last),
            _ = signs.tick(), if watchdog.is_some() => service.iter().for_each(Service::is_alive),
            () = signals.next() => break,
            is_end = hangups.next() => match is_end {
                true => break,
                false => running.reload(),
            },
        }
    }
    service.iter().for_each(Service::stops);
    console::status("");
    console::output("Stopping: taking no more, delivering what is on its way. Once more to stop at once.");
    let report = tokio::select! {
        report = running.stop(PATIENCE) => report,
        () = signals.next() => return Err(Failure::new("stopped before everything was delivered")),
    };
    console::output(&last_words(&report));
    if report.left.iter().all(|left| left.items == 0) {
        Ok(())
    } else {
        Err(Failure::new("not everything was delivered"))
    }
}

/// Where everything is, and what to paste into an agent's environment.
fn banner(addresses: &Addresses, colours: bool) -> String {
    let title = |text: &str| Style::Bold.paint(text, colours);
    let mut text = format!("{} {}\n\n", title("Spanlight"), env!("CARGO_PKG_VERSION"));
    let mut line = |name: &str, value: &str| text.push_str(&format!("  {name:<12} {value}\n"));
    for port in &addresses.receivers {
        line(&format!("OTLP/{}", port.transport), &port.url());
    }
    if let Some(web) = addresses.web {
        line("page", &web.url());
        line("API", &format!("{}/api/v1/runs", web.url()));
        line("metrics", &format!("{}/metrics", web.url()));
    }
    for (what, url) in &addresses.beside {
        line(what, url);
    }
    for file in &addresses.files {
        line("events", &file.display().to_string());
    }
    let http = addresses.receivers.iter().find(|port| port.transport == "http");
    if let Some(port) = http.or(addresses.receivers.first()) {
        let protocol = if port.transport == "http" { "http/protobuf" } else { "grpc" };
        text.push_str(&format!(
            "\nIn the environment of your agent:\n\n  {}\n  {}\n",
            Style::Cyan.paint(&format!("export OTEL_EXPORTER_OTLP_ENDPOINT={}", port.url()), colours),
            Style::Cyan.paint(&format!("export OTEL_EXPORTER_OTLP_PROTOCOL={protocol}"), colours),
        ));
    }
    text
}

fn show_status(running: &Running, last: &Status) -> Status {
    let status = running.status();
    let per_second = status.accepted.saturating_sub(last.accepted);
    console::status(&console::cut(&status_line(&status, per_second), console::width().saturating_sub(1)));
    status
}

fn status_line(status: &Status, per_second: u64) -> String {
    let mut parts = vec![
        format!("{} running", status.running),
        counted(status.llm_calls, "model call"),
        counted(status.tool_calls, "tool call"),
        status.cost_usd.map_or("no cost yet".into(), usd),
    ];
    let troubles = [("unpriced", status.unpriced_calls), ("refused", status.refused), ("dropped", status.dropped)];
    parts.extend(troubles.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{count} {name}")));
    parts.push(format!("{per_second}/s"));
    format!("▶ {}", parts.join(" · "))
}

fn last_words(report: &Report) -> String {
    let status = &report.status;
    let mut text = format!(
        "Ran for {}: {} taken over, {}, {}, {}.\n",
        display(report.ran_for),
        counted(status.accepted, "item"),
        counted(status.llm_calls, "model call"),
        counted(status.tool_calls, "tool call"),
        status.cost_usd.map_or("no known cost".into(), usd),
    );
    if status.refused > 0 || status.dropped > 0 {
        text.push_str(&format!(
            "Refused {}, dropped {}; the page and /metrics had the reasons.\n",
            status.refused, status.dropped
        ));
    }
    match report.left.as_slice() {
        [] if status.dropped > 0 => text.push_str("Nothing was left on its way."),
        [] => text.push_str("Everything was delivered."),
        left => {
            for left in left {
                let exporter = &left.exporter;
                if left.items > 0 {
                    text.push_str(&format!("NOT delivered: {} of {exporter}\n", counted(left.items as u64, "item")));
                }
                if left.kept > 0 {
                    let kept = counted(left.kept as u64, "item");
                    text.push_str(&format!("On disk: {kept} of {exporter}, to be delivered after the next start\n"));
                }
            }
        }
    }
    text
}
