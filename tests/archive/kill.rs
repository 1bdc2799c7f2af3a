//! Killed at any moment and started again: the same objects, byte by byte, none twice and none missing.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::front::{Front, Moment};
use crate::storage::Storage;
use crate::support::collector::Collector;
use crate::{archived, are_all, config, files, offsets, said, sized, tell};

#[tokio::test]
async fn a_collector_that_is_killed_within_an_upload_does_it_again_and_nothing_comes_of_it() {
    let mut storage = Storage::start().await;
    let front = Front::of(&storage.endpoint).await;
    let mut collector = Collector::with(&config(&said(&front.endpoint, &storage.key, &storage.secret))).await;
    let mut seen = BTreeMap::new();
    let mut told = 0;
    for moment in [
        Moment::Within(100),
        Moment::BehindAnswer,
        Moment::Within(2000),
        Moment::BeforeAnswer,
        Moment::Within(8_000),
        Moment::BeforeAnswer,
    ] {
        front.stand_still(moment);
        tell(&collector, told..told + 400).await;
        told += 400;
        front.stands_still().await;
        collector = collector.killed_and_started_again().await;
        let end = archived(&collector).await;
        let objects = tempfile::tempdir().unwrap();
        are_all(&storage.save(objects.path()).await, end);
        let now = files(objects.path());
        for (name, bytes) in &seen {
            assert!(now.get(name) == Some(bytes), "{name} is another after {moment:?}");
        }
        seen = now;
    }
    assert!(seen.len() > 6);
}

#[tokio::test]
async fn kills_at_odd_moments_leave_one_object_for_each_segment() {
    let bucket = tempfile::tempdir().unwrap();
    let mut collector = Collector::with(&sized(&format!("url: 'file://{}'", bucket.path().display()), 0.004)).await;
    let mut told = 0;
    let mut seen: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for round in 0..12 {
        tell(&collector, told..told + 500).await;
        told += 500;
        // Not what is waited for, but when it happens: about a second behind, it looks.
        tokio::time::sleep(Duration::from_millis(97 * round)).await;
        collector = collector.killed_and_started_again().await;
        // A file of the store's own that was being written is not under its name yet.
        let now: BTreeMap<_, _> =
            files(bucket.path()).into_iter().filter(|(name, _)| name.ends_with(".parquet")).collect();
        for (name, bytes) in &seen {
            assert!(now.get(name) == Some(bytes), "{name} is another");
        }
        seen = now;
    }
    let end = archived(&collector).await;
    let names: Vec<String> = files(bucket.path()).into_keys().filter(|name| name.ends_with(".parquet")).collect();
    are_all(&names, end);
    assert!(names.iter().any(|name| offsets(name).start == 0));
}
