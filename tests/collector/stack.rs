//! The stack of `docker-compose.yml`, as far as it can be judged without an engine: it is valid by the specification's
//! schema, and keeps the rules that a stack on somebody's machine should. And what else a package of this program installs.

use serde_json::{Map, Value};

use super::support::collector::{Collector, Port, run};
use super::support::tools;

/// The file with its merges done; the schema has had a look at it.
async fn stack(text: &str) -> Result<Value, String> {
    let mut command = tools::node_for_specs();
    command.arg(tools::file("tests/specs/compose.mjs"));
    let output = tools::feed(command, text).await;
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn services(stack: &Value) -> &Map<String, Value> {
    stack["services"].as_object().unwrap()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn compose() -> String {
    std::fs::read_to_string(tools::file("docker-compose.yml")).unwrap()
}

#[tokio::test]
async fn the_stack_is_valid_and_what_is_not_is_found() {
    let stack = stack(&compose()).await.unwrap();
    let of_profile = |profile: Option<&str>| -> Vec<&str> {
        let is_of = |service: &Value| service["profiles"].get(0).and_then(Value::as_str) == profile;
        services(&stack).iter().filter(|(_, service)| is_of(service)).map(|(name, _)| name.as_str()).collect()
    };
    let always = ["grafana", "jaeger", "otel-collector", "probe", "prometheus", "redis", "spanlight"];
    let mut found = of_profile(None);
    found.sort_unstable();
    assert_eq!(found, always);
    assert_eq!((of_profile(Some("kafka")).len(), of_profile(Some("tempo")).len()), (2, 2));
    let broken = compose().replace("    mem_limit: 512m\n", "    mem_limits: 512m\n");
    assert!(super::stack::stack(&broken).await.unwrap_err().contains("mem_limits"));
}

#[tokio::test]
async fn every_service_is_pinned_hardened_bounded_and_looked_after() {
    let stack = stack(&compose()).await.unwrap();
    let probes: String = services(&stack).values().map(|service| service["healthcheck"]["test"].to_string()).collect();
    for (name, service) in services(&stack) {
        let (_, tag) = service["image"].as_str().unwrap().rsplit_once(':').unwrap_or_else(|| panic!("{name}: no tag"));
        assert!(tag.contains('.') && tag.contains(|c: char| c.is_ascii_digit()), "{name}: `{tag}` may be anything");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(texts(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        assert!(service["privileged"].is_null() && service["network_mode"].is_null(), "{name}");
        assert_eq!(service["read_only"], Value::Bool(name != "kafka"), "{name}");
        assert!(service["mem_limit"].is_string(), "{name} may take all memory");
        let check = &service["healthcheck"];
        let is_asked_by_another = check["disable"] == true && probes.contains(&format!("http://{name}:"));
        assert!(!texts(&check["test"]).is_empty() || is_asked_by_another, "nobody asks {name} how it is");
    }
}

#[tokio::test]
async fn only_pages_and_receivers_are_published_and_only_to_this_machine() {
    let stack = stack(&compose()).await.unwrap();
    let mut published: Vec<&str> = services(&stack).values().flat_map(|service| texts(&service["ports"])).collect();
    published.sort_unstable();
    let expected = [
        "127.0.0.1:14317:14317",
        "127.0.0.1:14318:14318",
        "127.0.0.1:16686:16686",
        "127.0.0.1:3000:3000",
        "127.0.0.1:3010:3010",
        "127.0.0.1:3011:3010",
        "127.0.0.1:4317:4317",
        "127.0.0.1:4318:4318",
        "127.0.0.1:9090:9090",
    ];
    assert_eq!(published, expected);
    assert_eq!(stack["networks"]["redis"]["internal"], true);
    assert_eq!(texts(&stack["services"]["redis"]["networks"]), ["redis"]);
}

#[tokio::test]
async fn what_is_kept_is_in_volumes_that_are_declared_and_what_is_read_is_mounted_so() {
    let stack = stack(&compose()).await.unwrap();
    let declared: Vec<&String> = stack["volumes"].as_object().unwrap().keys().collect();
    let mut used = Vec::new();
    for (name, service) in services(&stack) {
        for mount in texts(&service["volumes"]) {
            let (source, _) = mount.split_once(':').unwrap();
            match source.strip_prefix("./") {
                Some(path) => {
                    assert!(mount.ends_with(":ro"), "{name} may write {mount}");
                    let folder = path.split('/').next().unwrap();
                    let is_there = tools::file(path).exists() || !tools::file(folder).exists();
                    assert!(is_there, "{name}: there is no {path}");
                }
                None => used.push(source.to_owned()),
            }
        }
    }
    used.sort();
    let mut declared: Vec<String> = declared.into_iter().cloned().collect();
    declared.sort();
    assert_eq!(used, declared);
}

#[test]
fn the_image_runs_without_a_shell_or_a_name_and_its_command_is_one() {
    let text = std::fs::read_to_string(tools::file("Dockerfile")).unwrap();
    let stages: Vec<&str> = text.split("\nFROM ").skip(1).collect();
    let [build, last] = stages.as_slice() else { panic!("{} stages", stages.len()) };
    let rust = include_str!("../../Cargo.toml").lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap();
    assert!(
        build.starts_with(&format!("rust:{}.", rust.trim_matches('"'))),
        "built by another Rust than Cargo.toml wants"
    );
    assert!(last.contains("\nUSER 65532:65532\n") && last.contains(":nonroot\n") && !last.contains("\nRUN "), "{last}");
    assert!(last.contains(r#"CMD ["/usr/local/bin/spanlight", "health"]"#), "{last}");
    let command = last.lines().find_map(|line| line.strip_prefix("CMD ")).unwrap();
    let command: Vec<String> = serde_json::from_str(command).unwrap();
    assert_eq!(command.last().map(String::as_str), Some("--insecure-bind"));
    // Whatever is copied must have been let into the context.
    let ignored = std::fs::read_to_string(tools::file(".dockerignore")).unwrap();
    let copied = build.lines().filter_map(|line| line.strip_prefix("COPY "));
    for source in copied.flat_map(|line| line.split(' ').collect::<Vec<_>>().split_last().unwrap().1.to_vec()) {
        let is_let_in = source == "Cargo.lock" || ignored.lines().any(|line| line == format!("!{source}"));
        assert!(is_let_in && tools::file(source).exists(), "{source} is not in the context");
    }
}

#[tokio::test]
async fn health_says_whether_a_collector_moves() {
    let collector = Collector::start().await;
    let url = collector.url(Port::Web).await;
    let ready = run(&["health", "--url", &url]).await;
    assert_eq!((ready.status.code(), ready.stdout.as_str()), (Some(0), "ready\n"), "{ready:?}");
    let json = run(&["health", "--json", "--url", &url]).await;
    assert_eq!(json.stdout, format!("{{\"ready\":true,\"url\":\"{url}\"}}\n"));
    collector.stop().await;
    let gone = run(&["health", "--url", &url]).await;
    assert_eq!((gone.status.code(), gone.stdout.as_str()), (Some(1), ""), "{gone:?}");
    assert!(gone.stderr.contains("cannot reach"), "{gone:?}");
}

#[tokio::test]
async fn completions_and_the_man_page_know_every_command() {
    let help = run(&["--help"]).await.stdout;
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    // What is said of one may go on in the next line, further in.
    let command = |line: &'_ str| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')).map(str::to_owned);
    let commands: Vec<String> = commands.lines().filter_map(command).collect();
    let commands: Vec<&str> = commands.iter().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.len() > 8, "{help}");
    let page = run(&["man"]).await;
    assert!(page.status.success() && page.stdout.contains(".TH spanlight 1"), "{page:?}");
    for command in commands.iter().filter(|command| **command != "help") {
        assert!(page.stdout.contains(&format!(".SS \"spanlight {command}\"")), "the man page lacks {command}");
    }
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let written = run(&["completions", shell]).await;
        assert!(written.status.success(), "{written:?}");
        for command in &commands {
            assert!(written.stdout.contains(command), "{shell} lacks {command}");
        }
    }
}
