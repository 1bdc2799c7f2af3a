//! A real Prometheus that scrapes one collector, and its HTTP API.

use std::fmt::Write;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::filled::seconds_now;
use super::support::client;
use super::support::tools::{file, tool};
use super::support::until;

/// It ends when the test lets go of it.
pub struct Prometheus {
    url: String,
    process: Child,
    dir: TempDir,
}

/// One series of an answer: its labels, and its values that are numbers.
pub struct Series {
    pub labels: serde_json::Map<String, Value>,
    pub values: Vec<f64>,
}

impl Prometheus {
    /// Starts one that scrapes this address as the configuration in `prometheus/` scrapes Spanlight, only more often, and
    /// evaluates its rules.
    pub async fn scrapes(address: &str) -> Prometheus {
        let dir = tempfile::tempdir().unwrap();
        let config = std::fs::read_to_string(file("prometheus/prometheus.yml")).unwrap();
        let rules = file("prometheus/rules");
        let config = replaced(&config, "scrape_interval: 15s", "scrape_interval: 4s");
        let config = replaced(&config, "evaluation_interval: 30s", "evaluation_interval: 2s");
        let config = replaced(&config, "rules/*.yml", &format!("{}/*.yml", rules.display()));
        let config = replaced(&config, "spanlight:3010", address);
        std::fs::write(dir.path().join("prometheus.yml"), config).unwrap();

        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(tool("prometheus/usr/bin/prometheus"));
        command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--enable-feature=exemplar-storage"]);
        command.arg(format!("--web.listen-address={free}")).current_dir(dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let mut prometheus = Prometheus { url: format!("http://{free}"), process: command.spawn().unwrap(), dir };
        until("Prometheus to listen", async || {
            assert!(prometheus.process.try_wait().unwrap().is_none(), "Prometheus has ended");
            tokio::net::TcpStream::connect(free).await.ok()
        })
        .await;
        until("Prometheus to be ready", async || {
            (client::get(&format!("{}/-/ready", prometheus.url)).await.status == 200).then_some(())
        })
        .await;
        until("the first scrape", async || {
            let up = prometheus.at(r#"up{job="spanlight"} == 1"#, seconds_now()).await.unwrap();
            (!up.is_empty()).then_some(())
        })
        .await;
        prometheus
    }

    /// What an expression was at a time in seconds.
    pub async fn at(&self, expression: &str, time: f64) -> Result<Vec<Series>, String> {
        self.series("query", &[("query", expression), ("time", &time.to_string())]).await
    }

    /// What it was between two times in seconds, every two seconds up to the last.
    pub async fn between(&self, expression: &str, from: f64, to: f64) -> Result<Vec<Series>, String> {
        let (from, to) = ((to - ((to - from) / 2.0).ceil() * 2.0).to_string(), to.to_string());
        self.series("query_range", &[("query", expression), ("start", &from), ("end", &to), ("step", "2")]).await
    }

    async fn series(&self, what: &str, parameters: &[(&str, &str)]) -> Result<Vec<Series>, String> {
        let answer = self.ask(what, parameters).await;
        if answer["status"] != "success" {
            return Err(answer["error"].to_string());
        }
        let series = |one: &Value| {
            let points = one["values"].as_array().cloned().unwrap_or_else(|| vec![one["value"].clone()]);
            let numbers = points.iter().filter_map(|point| point[1].as_str()?.parse::<f64>().ok());
            let values = numbers.filter(|value| value.is_finite()).collect();
            Series { labels: one["metric"].as_object().cloned().unwrap_or_default(), values }
        };
        Ok(answer["data"]["result"].as_array().unwrap().iter().map(series).collect())
    }

    /// Asks the API.
    pub async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let pairs: Vec<String> =
            parameters.iter().map(|(key, value)| format!("{}={}", encoded(key), encoded(value))).collect();
        let url = format!("{}/api/v1/{path}?{}", self.url, pairs.join("&"));
        client::get(&url).await.json()
    }
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "`{from}` is not in {text}");
    text.replace(from, to)
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        write!(out, "%{byte:02X}").unwrap();
        out
    })
}
