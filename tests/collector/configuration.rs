//! `spanlight config`: every problem with its place and what was meant, and configurations printed back.

use super::support::collector::{Collector, Ended, run, run_in};

/// Checks a configuration, with more arguments.
async fn check(config: &str, args: &[&str]) -> Ended {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("collector.yaml"), config).unwrap();
    run_in(dir.path(), &[&["config", "check", "collector.yaml"], args].concat()).await
}

/// Something small that is good.
const GOOD: &str = "receivers: {otlp: {protocols: {http: {endpoint: '127.0.0.1:0'}}}}
exporters: {debug: }
service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}
";

#[tokio::test]
async fn every_problem_is_found_at_once_with_its_line_and_what_was_meant() {
    let config = "
receivers:
  otlp:
    protocols:
      grpc: {endpiont: 127.0.0.1:4317}
  zipkin: {}
processors:
  batch: {send_batch_size: many}
  memory_limter: {limit_mib: 5}
exporters:
  otlphttp:
    endpoint: ${env:NOWHERE_TO_BE_FOUND}
    compression: gzp
  debug:
    level: loud
servce: {}
service:
  extensions: [web]
  pipelines:
    traces: {receivers: [otpl], processors: [batch], exporters: [otlphttp]}
    trace: {receivers: [otlp], exporters: [debug]}
    logs: {receivers: [otlp]}
";
    let ended = check(config, &[]).await;
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert_eq!(ended.stdout, "");
    let expected = "error: the configuration has 12 problems:
  collector.yaml: line 5: receivers.otlp.protocols.grpc: unknown key `endpiont`; did you mean `endpoint`?
  collector.yaml: line 6: receivers.zipkin: `zipkin` is not among the receivers of Spanlight; there are otlp
  collector.yaml: line 8: processors.batch.send_batch_size: `many` is not a whole number from 0 up
  collector.yaml: line 9: processors.memory_limter: `memory_limter` is not among the processors of Spanlight; did you mean `memory_limiter`?
  collector.yaml: line 12: the environment has no NOWHERE_TO_BE_FOUND; set it, or write ${env:NOWHERE_TO_BE_FOUND:-a default}
  collector.yaml: line 13: exporters.otlphttp.compression: `gzp` is not one of none, gzip, zstd; did you mean `gzip`?
  collector.yaml: line 14: exporters.debug: `loud` is no level; it is one of debug, info, warn, error, off
  collector.yaml: line 16: unknown key `servce`; did you mean `service`?
  collector.yaml: line 18: service.extensions: `web` is not among the extensions of this configuration
  collector.yaml: line 20: service.pipelines.traces.receivers: `otpl` is not among the receivers of this configuration; did you mean `otlp`?
  collector.yaml: line 21: service.pipelines: unknown key `trace`; did you mean `traces`?
  collector.yaml: line 22: service.pipelines.logs: a pipeline needs at least one of `exporters`
";
    // New components may join the list of those that there are.
    let listed = |text: &str| text.lines().map(|line| line.split("there are").next().unwrap().to_owned()).collect();
    let (found, expected): (Vec<String>, Vec<String>) = (listed(&ended.stderr), listed(expected));
    assert_eq!(found, expected);
}

#[tokio::test]
async fn what_is_wrong_with_alerts_is_said_with_the_remedy() {
    for (alert, problem) in [
        ("metric: eror_rate, above: 1", "alerts: `metric: eror_rate` is not one of agent_utilization,"),
        ("metric: eror_rate, above: 1", "; did you mean `error_rate`?"),
        ("metric: runs", "alerts: from where on? say `above: NUMBER` or `below: NUMBER`"),
        ("metric: runs, above: 1, below: 0", "alerts: say `above` or `below`, not both; two alerts can watch both"),
        ("metric: runs, above: 1, match: {agent: x, tool: y}", "`match` takes one of agent, feature, model and tool"),
        ("metric: runs, above: 1, window: 7d", "`window` is a minute at least and a day at most: 1m to 24h"),
        ("metric: runs, abov: 1, below: 2", "unknown key `abov`; did you mean `above`?"),
    ] {
        let config = format!("connectors:\n  agent:\n    alerts:\n      - {{name: a, {alert}}}\n{GOOD}");
        let ended = check(&config, &[]).await;
        assert!(ended.stderr.contains("line 4: connectors.agent.alerts"), "{ended:?}");
        assert!(ended.stderr.contains(problem), "{problem}: {ended:?}");
    }
    let twice =
        "connectors: {agent: {alerts: [{name: a, metric: runs, above: 1}, {name: a, metric: runs, below: 1}]}}\n";
    let ended = check(&format!("{twice}{GOOD}"), &[]).await;
    assert!(ended.stderr.contains("two alerts are called `a`"), "{ended:?}");
}

#[tokio::test]
async fn a_collector_with_a_bad_configuration_does_not_start_and_says_the_same() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("collector.yaml"), "service: {pipelines: {traces: {receivers: [x]}}}").unwrap();
    let said = run_in(dir.path(), &["config", "check", "collector.yaml"]).await;
    let ended = run_in(dir.path(), &["run", "--config", "collector.yaml"]).await;
    assert_eq!((ended.status.code(), &ended.stderr), (Some(2), &said.stderr));
    assert!(ended.stderr.contains("`x` is not among the receivers"), "{ended:?}");
    assert!(!dir.path().join("spanlight-data").exists());
}

#[tokio::test]
async fn what_fits_nowhere_is_said() {
    for (config, problem) in [
        ("a: [1\nb", "line 3: this is not YAML"),
        ("[1]", "line 1: a configuration is a map, not a list"),
        ("", "there is no `service`; it says which pipelines run"),
        ("service: {}", "line 1: service: there are no `pipelines`, so nothing would run"),
        ("receivers:\n  otlp:\n  otlp:\n", "line 3: `otlp` stands here a second time; the first is in line 2"),
        (
            "receivers: {otlp: {protocols: {http: }}}\nconnectors: {agent: }\nexporters: {prometheus: , file: }\n\
             service:\n  pipelines:\n    traces: {receivers: [otlp], exporters: [prometheus, file]}\n",
            "line 3: exporters.file: missing field `path`",
        ),
    ] {
        let ended = check(config, &[]).await;
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(ended.stderr.contains(problem), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn components_that_do_not_fit_together_are_named() {
    let config = "receivers: {otlp: {protocols: {http: }}}
connectors: {agent: }
exporters: {prometheus: }
service:
  pipelines:
    traces: {receivers: [otlp], exporters: [prometheus]}
    metrics: {receivers: [otlp, agent], exporters: [agent]}
    logs: {receivers: [agent], exporters: [agent]}
";
    let ended = check(config, &[]).await;
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    for problem in [
        "line 6: service.pipelines.traces: `prometheus` takes metrics, not traces",
        "line 7: service.pipelines.metrics: this pipeline leads from the connector `agent` back into it",
        "line 8: service.pipelines.logs: this pipeline leads from the connector `agent` back into it",
    ] {
        assert!(ended.stderr.contains(problem), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_stream_that_is_read_is_not_written() {
    let config = "receivers: {redis: {url: localhost, streams: [work, spanlight:events]}}
connectors: {agent: }
exporters: {redis: {url: redis://127.0.0.1/0, stream: spanlight:events}}
service:
  pipelines:
    logs: {receivers: [redis], exporters: [agent]}
    logs/events: {receivers: [agent], exporters: [redis]}
";
    let ended = check(config, &[]).await;
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    let problem = "line 1: receivers.redis: `redis` reads what the exporter `redis` writes: \
                   the stream spanlight:events of localhost:6379/0";
    assert!(ended.stderr.contains(problem), "{}", ended.stderr);
    let another = check(config, &["--set", "exporters.redis.url=redis://localhost/1"]).await;
    assert_eq!(another.status.code(), Some(0), "{another:?}");
}

#[tokio::test]
async fn what_is_not_used_is_a_warning() {
    let config = GOOD.replace("{debug: }", "\n  debug:\n  file:\n    path: x.jsonl\n");
    let ended = check(&config, &[]).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let warning = "collector.yaml: warning: line 4: exporters: `file` is configured but not used by any pipeline or in service.extensions\n";
    assert_eq!(ended.stdout, format!("{warning}collector.yaml: good; pipelines traces\n"));
    // Whoever starts it hears it, too.
    Collector::with(&config).await.line("`file` is configured but not used").await;
}

#[tokio::test]
async fn single_values_can_be_set_and_are_checked_as_well() {
    let ended = check(GOOD, &["--set", "exporters.debug.level=warn", "--set", "service.extensions=[]"]).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    for (set, problem) in [
        ("nonsense", "`nonsense` is not PATH=VALUE, such as extensions.web.endpoint=127.0.0.1:3011"),
        ("a..b=1", "`a..b=1` is not PATH=VALUE"),
        ("exporters.debug.level=[", "`exporters.debug.level=[`: this is not YAML"),
        ("extension.web.endpoint=:1", "unknown key `extension`; did you mean `extensions`?"),
        ("exporters.debug.levl=warn", "exporters.debug: unknown key `levl`; did you mean `level`?"),
        ("receivers.otlp.protocols.http.endpoint=nowhere", "`nowhere` is no address to listen on"),
        ("receivers.otlp.protocols.http.endpoint.x=1", "a single value is expected here, not a map"),
        ("service.pipelines.traces.exporters=[file]", "`file` is not among the exporters of this configuration"),
    ] {
        let ended = check(GOOD, &["--set", set]).await;
        assert_eq!(ended.status.code(), Some(2), "{set}: {ended:?}");
        assert!(ended.stderr.contains(problem), "{set}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_and_a_command_that_does_not_exist_are_usage_errors() {
    for (args, message) in [
        (&["config", "check", "nowhere.yaml"][..], "cannot read nowhere.yaml: No such file"),
        (&["run", "--config", "nowhere.yaml"], "cannot read nowhere.yaml: No such file"),
        (&["cofnig"], "a similar subcommand exists: 'config'"),
        (&["run", "--cofnig", "x"], "a similar argument exists: '--config'"),
    ] {
        let ended = run(args).await;
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn what_is_printed_is_in_force_and_prints_the_same_again() {
    let dir = tempfile::tempdir().unwrap();
    let printed = run_in(dir.path(), &["config", "print", "--set", "exporters.debug.level=warn"]).await;
    assert!(printed.status.success(), "{printed:?}");
    assert!(printed.stdout.contains("  debug:\n    level: warn\n"), "{}", printed.stdout);
    assert!(!printed.stdout.contains("${"), "variables are replaced: {}", printed.stdout);
    std::fs::write(dir.path().join("again.yaml"), &printed.stdout).unwrap();
    let again = run_in(dir.path(), &["config", "print", "again.yaml"]).await;
    assert_eq!(again.stdout, printed.stdout);
    let checked = run_in(dir.path(), &["config", "check", "again.yaml"]).await;
    assert_eq!(checked.stdout, "again.yaml: good; pipelines traces, logs, logs/events, metrics, metrics/derived\n");
}

#[tokio::test]
async fn secrets_are_not_printed_and_odd_values_stay_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let config = "receivers: {otlp: {protocols: {http: }}}
processors:
  attributes: {actions: [{key: '$${x}', action: insert, value: '12'}, {key: b, action: insert, value: ']'}]}
exporters:
  otlphttp: {endpoint: 'http://ada:pa55@host:4318', headers: {authorization: Bearer s3cret, x-more: s3cret}}
service: {pipelines: {traces: {receivers: [otlp], processors: [attributes], exporters: [otlphttp]}}}
";
    std::fs::write(dir.path().join("collector.yaml"), config).unwrap();
    let printed = run_in(dir.path(), &["config", "print", "collector.yaml"]).await;
    assert!(printed.status.success(), "{printed:?}");
    assert!(!printed.stdout.contains("s3cret") && !printed.stdout.contains("pa55"), "{}", printed.stdout);
    assert!(printed.stdout.contains("value: \"12\"\n"), "{}", printed.stdout);
    std::fs::write(dir.path().join("again.yaml"), &printed.stdout).unwrap();
    let again = run_in(dir.path(), &["config", "print", "again.yaml"]).await;
    assert_eq!(again.stdout, printed.stdout, "{}", again.stderr);
}

#[tokio::test]
async fn the_components_are_listed() {
    let ended = run(&["config", "components"]).await;
    assert!(ended.status.success(), "{ended:?}");
    let mut section = "";
    let mut found = Vec::new();
    for line in ended.stdout.lines() {
        match line.strip_prefix("  ") {
            Some(component) => {
                let (name, does) = component.split_once(' ').unwrap();
                assert!(!does.trim().is_empty(), "{line}");
                found.push(format!("{section}/{name}"));
            }
            None => section = line,
        }
    }
    for known in [
        "receivers/otlp",
        "processors/memory_limiter",
        "processors/batch",
        "processors/filter",
        "processors/attributes",
        "processors/redaction",
        "connectors/agent",
        "exporters/file",
        "exporters/debug",
        "exporters/otlp",
        "exporters/otlphttp",
        "exporters/prometheus",
        "exporters/history",
        "extensions/web",
    ] {
        assert!(found.contains(&known.to_owned()), "{known} is missing in {found:?}");
    }
}

/// The examples of the documentation, as files of prices.
#[tokio::test]
async fn the_price_files_that_the_documentation_shows_are_good() {
    let text = include_str!("../../docs/cost.md");
    let blocks: Vec<&str> = text.split("```").skip(1).step_by(2).collect();
    let ours = blocks.iter().find_map(|block| block.strip_prefix("yaml\n").filter(|yaml| yaml.starts_with("prices:")));
    let litellm = blocks.iter().find_map(|block| block.strip_prefix("json\n"));
    for (name, prices) in [("prices.yaml", ours.unwrap()), ("prices.json", litellm.unwrap())] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(name), prices).unwrap();
        let config = format!(
            "receivers: {{otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:0'}}}}}}}}
connectors: {{agent: {{prices: {{overrides: {name}}}}}}}
service: {{pipelines: {{traces: {{receivers: [otlp], exporters: [agent]}}}}}}
"
        );
        std::fs::write(dir.path().join("collector.yaml"), config).unwrap();
        let ended = run_in(dir.path(), &["config", "check", "collector.yaml"]).await;
        assert_eq!(ended.stdout, "collector.yaml: good; pipelines traces\n", "{ended:?}");
        std::fs::write(dir.path().join(name), "prices: [{model: m}]").unwrap();
        let ended = run_in(dir.path(), &["config", "check", "collector.yaml"]).await;
        let expected = format!("connectors.agent.prices.overrides: {name}: line 1: prices.0: missing field `input`");
        assert!(ended.stderr.contains(&expected), "{ended:?}");
    }
}
