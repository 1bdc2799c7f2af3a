//! `spanlight show`: one run as a tree.

use clap::Args;
use serde_json::Value;

use super::client::{encode, get, get_bytes};
use super::runs::{cost, style, took};
use super::{Failure, Target};
use crate::console::{self, Style, counted, event};

/// `spanlight show`
#[derive(Args, Debug)]
pub struct ShowArgs {
    #[command(flatten)]
    target: Target,
    /// The run's id, or its beginning
    run: String,
}

/// Shows a run.
pub async fn show(args: ShowArgs) -> Result<(), Failure> {
    let id = full_id(&args.target, &args.run).await?;
    let path = format!("/api/v1/runs/{}", encode(&id));
    if args.target.json {
        let body = get_bytes(&args.target, &path).await?;
        console::output(&String::from_utf8_lossy(&body));
        return Ok(());
    }
    let run = get(&args.target, &path).await?;
    console::output(&render(&run, console::colours()));
    Ok(())
}

/// Nobody types 32 digits.
pub async fn full_id(target: &Target, id: &str) -> Result<String, Failure> {
    let runs = get(target, "/api/v1/runs?limit=1000").await?;
    let ids = runs["runs"].as_array().into_iter().flatten().filter_map(|run| run["id"].as_str());
    let fitting: Vec<&str> = ids.filter(|known| known.starts_with(id)).collect();
    match fitting.as_slice() {
        whole if whole.contains(&id) => Ok(id.to_owned()),
        [only] => Ok((*only).to_owned()),
        [] => Ok(id.to_owned()),
        several => {
            let (count, first) = (several.len(), several[..several.len().min(5)].join(", "));
            Err(Failure::usage(format!("`{id}` fits {count} runs, such as {first}; write more of it")))
        }
    }
}

fn render(run: &Value, colours: bool) -> String {
    let text = |key: &str| run[key].as_str().unwrap_or_default();
    let figures = &run["figures"];
    let count = |key: &str| figures[key].as_u64().unwrap_or(0);
    let mut out = format!(
        "{} {}  {}\n",
        Style::Bold.paint(&console::safe(text("name")), colours),
        style(text("status")).paint(text("status"), colours),
        Style::Dim.paint(text("id"), colours),
    );
    let facts = [
        run["duration_ms"].as_f64().map(took),
        Some(counted(count("llm_calls") + count("llm_failed"), "model call")),
        Some(counted(count("tool_calls"), "tool call")),
        Some(format!("{} → {} tokens", count("input_tokens"), count("output_tokens"))),
        Some(cost(figures)),
        run["service"].as_str().map(|service| format!("from {}", console::safe(service))),
    ];
    out.push_str(&facts.into_iter().flatten().collect::<Vec<_>>().join(" · "));
    out.push('\n');
    if let Some(error) = run["error"].as_str() {
        out.push_str(&Style::Red.paint(&format!("✗ {}", console::safe(error)), colours));
        out.push('\n');
    }
    if let Some(missing) = run["missing_parents"].as_u64() {
        let note = format!("{missing} spans that others name as their parent have not arrived");
        out.push_str(&Style::Yellow.paint(&note, colours));
        out.push('\n');
    }
    out.push('\n');
    let roots = run["tree"].as_array().cloned().unwrap_or_default();
    for root in &roots {
        branch(&mut out, root, "", "", colours);
    }
    out
}

fn branch(out: &mut String, node: &Value, first: &str, rest: &str, colours: bool) {
    let width = console::width();
    let line = console::cut(&node_line(node), width.saturating_sub(first.chars().count()).max(30));
    let line = match node["status"].as_str() {
        Some("failed" | "lost") => Style::Red.paint(&line, colours),
        Some("running") => Style::Yellow.paint(&line, colours),
        _ => line,
    };
    out.push_str(&format!("{}{line}\n", Style::Dim.paint(first, colours)));
    let children = node["children"].as_array().cloned().unwrap_or_default();
    for (index, child) in children.iter().enumerate() {
        let last = index + 1 == children.len();
        let (own, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        branch(out, child, &format!("{rest}{own}"), &format!("{rest}{below}"), colours);
    }
}

fn node_line(node: &Value) -> String {
    let text = |key: &str| node[key].as_str();
    let name = text("name").or(text("model")).unwrap_or_default();
    let mut parts =
        vec![format!("{} {}", text("operation").unwrap_or_default(), console::safe(name)).trim().to_owned()];
    parts.extend(node["duration_ms"].as_f64().map(took));
    if let (Some(input), Some(output)) = (node["input_tokens"].as_u64(), node["output_tokens"].as_u64()) {
        parts.push(format!("{input} → {output} tokens"));
    }
    if node["counts"] == false && node["input_tokens"].is_u64() {
        parts.push("counted elsewhere".into());
    }
    parts.extend(node["cost_usd"].as_f64().map(event::usd));
    match text("status") {
        Some("completed") | None => {}
        Some(status) => parts.push(status.to_owned()),
    }
    parts.extend(text("error").map(console::safe));
    parts.join("  ")
}
