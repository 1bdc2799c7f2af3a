//! What goes up: all that is sealed, once, however long the storage is away, and what is said of it.

use serde_json::json;

use crate::read::{all_of, query};
use crate::storage::{Storage, port_for_later};
use crate::support::client::post;
use crate::support::collector::{Collector, Ended, Port, run_in};
use crate::support::until;
use crate::{archived, are_all, at, config, figure, files, said, sized, tell};

#[tokio::test]
async fn sealed_segments_come_to_the_bucket_with_signatures_that_are_looked_at() {
    let mut storage = Storage::start().await;
    let collector = Collector::with(&config(&at(&storage))).await;
    tell(&collector, 0..1000).await;
    let end = archived(&collector).await;
    let names = storage.names().await;
    are_all(&names, end);
    let epoch = collector.json("/api/v1/events").await["epoch"].clone();
    for name in &names {
        let rest = name.strip_prefix("of/team/date=2026-11-2").unwrap_or_else(|| panic!("{name}"));
        assert!(rest[2..].starts_with(epoch.as_str().unwrap()), "{name}");
    }
    assert!(names.iter().any(|name| name.contains("date=2026-11-20/")), "{names:?}");
    assert!(names.iter().any(|name| name.contains("date=2026-11-21/")), "{names:?}");
    assert_eq!(figure(&collector, "events").await, end as f64);
    assert_eq!(figure(&collector, "objects").await, names.len() as f64);
    assert_eq!(figure(&collector, "failures").await, 0.0);
    let objects = collector.dir.path().join("objects");
    storage.save(&objects).await;
    let bytes: usize = files(&objects).values().map(Vec::len).sum();
    assert_eq!(figure(&collector, "written_bytes").await, bytes as f64);
    assert!(!collector.written().concat().contains("WARN"), "{:?}", collector.written());
}

#[tokio::test]
async fn wrong_keys_are_said_without_the_secret_and_nothing_else_suffers() {
    let mut storage = Storage::start().await;
    let wrong = said(&storage.endpoint, &storage.key, "s0-secret-that-it-is-wrong");
    let collector = Collector::with(&config(&wrong)).await;
    let with_token = config(&format!("{wrong}, session_token: 's0-secret-token'"));
    std::fs::write(collector.dir.path().join("token.yaml"), with_token).unwrap();
    let printed = run_in(collector.dir.path(), &["config", "print", "token.yaml"]).await;
    let shown = format!("{printed:?}");
    assert!(printed.stdout.contains("session_token") && !shown.contains("s0-secret"), "{shown}");
    tell(&collector, 0..600).await;
    let line = collector.line("WARN archive").await;
    assert!(line.contains("SignatureDoesNotMatch") && line.contains("s3://agents/of/team"), "{line}");
    assert!(figure(&collector, "failures").await >= 1.0);
    let page = collector.json("/api/v1/events?from=599").await;
    assert_eq!(page["events"][0]["event"]["data"]["number"], json!(599));
    assert!(storage.names().await.is_empty());
    let ended = collector.stop().await;
    assert!(ended.status.success() && !format!("{ended:?}").contains("s0-secret"), "{ended:?}");
}

#[tokio::test]
async fn a_storage_is_waited_for_and_so_is_its_bucket() {
    let port = port_for_later();
    let collector = Collector::with(&config(&said(&format!("http://127.0.0.1:{port}"), "any", "any"))).await;
    tell(&collector, 0..600).await;
    let line = collector.line("WARN archive").await;
    assert!(line.contains("refused") && line.contains("it is tried again until it works"), "{line}");
    let mut storage = Storage::without_bucket(port, false).await;
    let line = collector.line("NoSuchBucket").await;
    assert!(line.contains("WARN archive") && line.contains(" now until it works"), "{line}");
    storage.make_bucket().await;
    let end = archived(&collector).await;
    are_all(&storage.names().await, end);
    let line = collector.line("it goes on").await;
    assert!(line.contains("INFO archive") && line.contains("attempts in vain"), "{line}");
}

#[tokio::test]
async fn a_storage_that_is_away_costs_nothing_while_the_journal_has_room() {
    let port = port_for_later();
    let endpoint = format!("http://127.0.0.1:{port}");
    let collector = Collector::with(&sized(&said(&endpoint, "any", "any"), 0.01)).await;
    tell(&collector, 0..6000).await;
    let line = collector.line("WARN archive").await;
    assert!(line.contains("refused"), "{line}");
    let mut storage = Storage::without_bucket(port, false).await;
    storage.make_bucket().await;
    let first = archived(&collector).await;
    are_all(&storage.names().await, first);
    storage.kill().await;
    tell(&collector, 6000..12_000).await;
    let mut storage = Storage::without_bucket(port, false).await;
    storage.make_bucket().await;
    let end = archived(&collector).await;
    assert!(end > first);
    let starts: Vec<_> = storage.names().await.iter().map(|name| crate::offsets(name).start).collect();
    assert_eq!(starts.iter().min(), Some(&first), "what it had acknowledged is not sent again");
    assert_eq!(figure(&collector, "events").await, end as f64);
}

/// Letters in which no compressor finds anything.
fn noise(seed: u64, letters: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let letter = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(ALPHABET[(state >> 58) as usize])
    };
    (0..letters).map(letter).collect()
}

#[tokio::test]
async fn what_is_large_goes_up_in_parts_and_is_one_object() {
    let mut storage = Storage::start().await;
    let config = sized(&at(&storage), 0.15).replace("{agent: }", "{agent: {max_value_bytes: 0}}");
    let collector = Collector::with(&config).await;
    let web = collector.url(Port::Web).await;
    for number in 0..300u64 {
        let event =
            json!({"name": "my.noise", "timestamp": "2026-11-21T06:00:00Z", "data": {"noise": noise(number, 100_000)}});
        assert_eq!(post(&format!("{web}/v1/events"), &[], event.to_string().into()).await.status, 200);
    }
    until("the events", async || collector.json("/api/v1/events?from=299").await["events"].get(0).map(drop)).await;
    let end = archived(&collector).await;
    let objects = collector.dir.path().join("objects");
    let names = storage.save(&objects).await;
    are_all(&names, end);
    let largest = files(&objects).values().map(Vec::len).max().unwrap();
    assert!(largest > 9 << 20, "{largest} bytes are one part");
    let found = query(&format!("SELECT count(*), sum(length(event->>'$.data.noise')) FROM {}", all_of(&objects))).await;
    assert_eq!(found, json!([[end, end * 100_000]]));
}

#[tokio::test]
async fn what_the_journal_has_no_room_for_is_counted_and_said() {
    let port = port_for_later();
    let collector = Collector::with(&config(&said(&format!("http://127.0.0.1:{port}"), "any", "any"))).await;
    tell(&collector, 0..600).await;
    collector.line("WARN archive").await;
    tell(&collector, 600..6000).await;
    let line = collector.line("ERROR archive").await;
    assert!(line.contains("were deleted before they were archived"), "{line}");
    let mut storage = Storage::without_bucket(port, false).await;
    storage.make_bucket().await;
    let end = archived(&collector).await;
    let lost = collector.sample(r#"spanlight_dropped_total{component="archive",reason="unread"}"#).await.unwrap();
    assert!(lost > 0.0);
    assert_eq!(figure(&collector, "events").await + lost, end as f64, "every event is there or counted");
}

#[tokio::test]
async fn what_was_deleted_before_a_start_is_said_and_the_rest_is_archived() {
    let port = port_for_later();
    let collector = Collector::with(&config(&said(&format!("http://127.0.0.1:{port}"), "any", "any"))).await;
    tell(&collector, 0..6000).await;
    collector.line("were deleted before they were archived").await;
    let collector = collector.killed_and_started_again().await;
    let line = collector.line("neither archived nor in the journal").await;
    assert!(line.contains("ERROR archive") && line.contains("offsets 0 to"), "{line}");
    let first = collector.sample(r#"spanlight_dropped_total{component="archive",reason="journal_gap"}"#).await.unwrap();
    let mut storage = Storage::without_bucket(port, false).await;
    storage.make_bucket().await;
    let end = archived(&collector).await;
    assert_eq!(figure(&collector, "events").await, end as f64 - first);
}

#[tokio::test]
async fn a_directory_does_as_well_and_needs_no_journal_to_be_named() {
    let bucket = tempfile::tempdir().unwrap();
    let url = format!("url: 'file://{}/below'", bucket.path().display());
    let config = config(&url);
    let collector = Collector::with(&config).await;
    tell(&collector, 0..600).await;
    let end = archived(&collector).await;
    let names: Vec<String> = files(&bucket.path().join("below")).into_keys().collect();
    are_all(&names, end);
    // The journal goes on being one whoever names it, and an archive that is taken away holds nothing.
    let without = config.replace("extensions: [web, journal, archive]", "extensions: [web, journal]");
    std::fs::write(collector.dir.path().join("collector.yaml"), without).unwrap();
    let collector = collector.killed_and_started_again().await;
    tell(&collector, 600..601).await;
    until("the archive to be forgotten", async || {
        let held = std::fs::read_to_string(collector.data("journal/cursors")).unwrap();
        (!held.contains("archive")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_meant_is_said_with_its_place() {
    async fn checked(archive: &str) -> Ended {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("collector.yaml"), config(archive)).unwrap();
        run_in(dir.path(), &["config", "check", "collector.yaml"]).await
    }
    for (archive, says) in [
        ("url: 'gs://agents'", "s3://BUCKET/PREFIX"),
        ("url: 's3://agents', access_key_id: 'k'", "belong together"),
        ("url: 's3://agents', bucket: 'b'", "bucket"),
        ("region: 'x'", "url"),
    ] {
        let ended = checked(archive).await;
        assert!(!ended.status.success(), "{archive}");
        assert!(ended.stderr.contains("extensions.archive") && ended.stderr.contains(says), "{archive}: {ended:?}");
    }
    let good = checked("url: 's3://agents'").await;
    assert!(good.status.success(), "{good:?}");
}
