//! What others read: DuckDB, which shares no code with the writer, finds the events as they are in the API.

use std::path::Path;

use serde_json::{Value, json};

use crate::storage::python;
use crate::support::collector::Collector;
use crate::support::tools::{feed, file};
use crate::{archived, sized, tell};

/// What DuckDB gives.
pub async fn query(sql: &str) -> Value {
    let mut command = python();
    command.arg(file("tests/archive/query.py"));
    let output = feed(command, sql).await;
    assert!(output.status.success(), "{sql}\n{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

pub fn all_of(bucket: &Path) -> String {
    format!("read_parquet('{}/**/*.parquet', hive_partitioning = true)", bucket.display())
}

#[tokio::test]
async fn duckdb_finds_every_event_under_its_offset_and_day() {
    let bucket = tempfile::tempdir().unwrap();
    let collector = Collector::with(&sized(&format!("url: 'file://{}'", bucket.path().display()), 0.005)).await;
    tell(&collector, 0..3000).await;
    let end = archived(&collector).await;
    let table = all_of(bucket.path());
    let sum: f64 = (0..end).map(|number| number as f64).sum();
    let found = query(&format!(
        "SELECT count(*), count(DISTINCT \"offset\"), min(\"offset\"), max(\"offset\"), sum(input_tokens)::DOUBLE, sum(cost_usd),
                count(*) FILTER (date = \"timestamp\"::DATE), count(DISTINCT journal) FROM {table}"
    ))
    .await;
    assert_eq!(found, json!([[end, end, 0, end - 1, sum, end as f64 / 4.0, end, 1]]));
    let epoch = collector.json("/api/v1/events").await["epoch"].clone();
    let rows = query(&format!(
        "SELECT event, journal, name, execution_id, feature, model, output_tokens, event_id, event->>'$.data.number'
         FROM {table} WHERE \"offset\" = 17"
    ))
    .await;
    let page = collector.json("/api/v1/events?from=17&limit=1").await;
    let of_api = &page["events"][0]["event"];
    let mut event: Value = serde_json::from_str(rows[0][0].as_str().unwrap()).unwrap();
    event["offset"] = of_api["offset"].clone();
    event.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    assert_eq!(&event, of_api);
    let expected = json!([epoch, "llm.completed", "run 7", "essays", "gpt-4o", null, of_api["event_id"], "17"]);
    assert_eq!(json!(rows[0].as_array().unwrap()[1..]), expected);
}

/// The queries of the guide are asked as they stand there.
#[tokio::test]
async fn the_queries_of_the_guide_give_what_it_says() {
    let bucket = tempfile::tempdir().unwrap();
    let collector = Collector::with(&sized(&format!("url: 'file://{}'", bucket.path().display()), 0.005)).await;
    tell(&collector, 0..2000).await;
    archived(&collector).await;
    let guide = std::fs::read_to_string(file("docs/archive.md")).unwrap();
    let queries: Vec<&str> = guide.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!queries.is_empty());
    for sql in queries {
        let sql = sql.replace("s3://agents/spanlight", bucket.path().to_str().unwrap());
        let found = query(&sql).await;
        assert!(!found.as_array().unwrap().is_empty(), "{sql}");
    }
}
