//! A queue on a disk that loses its power, fails at any call, or fills up: what was acknowledged comes out of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use spanlight::export::Load;
use spanlight::export::queue::disk::{DiskQueue, Settings};
use spanlight::export::queue::{DiskAck, Portion, QueueConfig, Storage};
use spanlight::health::Health;
use spanlight::otlp::{Batch, Signal};

use crate::disk::{MemoryDisk, Trouble};

const DIR: &str = "/data/queues/otlp/traces";
const PORTION: Portion = Portion { items: 5, ..Portion::USUAL };

fn open(disk: &MemoryDisk, ack: DiskAck, health: &Health) -> Result<DiskQueue, String> {
    let queue = QueueConfig { storage: Storage::Disk, ack: Some(ack), max_gib: Some(0.001), ..QueueConfig::default() };
    let settings = Settings { id: "otlp".into(), signal: "traces".into(), queue };
    DiskQueue::open_on(Arc::new(disk.clone()), Path::new(DIR), &settings, health)
}

/// A batch of one span with a number.
fn numbered(number: u64) -> Load {
    let mut trace_id = vec![1; 16];
    trace_id[..8].copy_from_slice(&number.to_be_bytes());
    let span = Span { trace_id, span_id: vec![1; 8], name: "x".repeat(number as usize % 300), ..Span::default() };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    let bytes = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    Load::Batches(vec![Batch::read(Signal::Traces, bytes.into()).unwrap().batch])
}

fn numbers(load: &Load) -> Vec<u64> {
    let Load::Batches(batches) = load else { return Vec::new() };
    let spans = batches.iter().flat_map(|batch| {
        let request = ExportTraceServiceRequest::decode(batch.bytes().clone()).unwrap();
        request.resource_spans.into_iter().flat_map(|of| of.scope_spans).flat_map(|of| of.spans).collect::<Vec<_>>()
    });
    spans.map(|span| u64::from_be_bytes(span.trace_id[..8].try_into().unwrap())).collect()
}

/// Puts numbers in, one after the other; those that were acknowledged.
async fn put(queue: &DiskQueue, numbers: std::ops::Range<u64>) -> BTreeSet<u64> {
    let mut acknowledged = BTreeSet::new();
    for number in numbers {
        if let Ok(mut writing) = queue.put(&[numbered(number)])
            && writing.written().await.is_ok()
        {
            acknowledged.insert(number);
        }
    }
    acknowledged
}

/// Takes out what there is, and settles all of it.
async fn take(queue: &DiskQueue, most: usize) -> Vec<u64> {
    let mut taken = Vec::new();
    while taken.len() < most && queue.size().0 > 0 {
        let popped = tokio::time::timeout(Duration::from_millis(100), queue.pop(&PORTION)).await;
        let Ok(Some(portion)) = popped else { break };
        taken.extend(numbers(&portion.load));
        queue.settle(portion.place.unwrap());
    }
    taken
}

#[tokio::test]
async fn what_was_acknowledged_as_durable_survives_the_loss_of_power() {
    for seed in 0..40 {
        let mut disk = MemoryDisk::default();
        let (mut acknowledged, mut delivered) = (BTreeSet::new(), BTreeSet::new());
        for life in 0..4 {
            let queue = open(&disk, DiskAck::Durable, &Health::default()).unwrap();
            let first = life * 1000;
            // Three at a time share syncs, and something is sent meanwhile.
            let (one, two, three, sent) = tokio::join!(
                put(&queue, first..first + 10),
                put(&queue, first + 100..first + 110),
                put(&queue, first + 200..first + 210),
                take(&queue, seed as usize % 17),
            );
            acknowledged.extend([one, two, three].into_iter().flatten());
            delivered.extend(sent);
            // These are on their way when it happens.
            let unheard: Vec<_> =
                (0..5).filter_map(|number| queue.put(&[numbered(first + 300 + number)]).ok()).collect();
            disk.cut_power();
            drop((unheard, queue));
            disk = disk.after_power_loss(seed * 10 + life);
        }
        let queue = open(&disk, DiskAck::Durable, &Health::default()).unwrap();
        delivered.extend(take(&queue, usize::MAX).await);
        assert_eq!(acknowledged.len(), 120);
        let lost: Vec<_> = acknowledged.difference(&delivered).collect();
        assert!(lost.is_empty(), "{seed}: {lost:?} are lost");
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_whichever_call_of_the_disk_fails() {
    for at in (0..160).step_by(3) {
        for calls in [1, 4, 1000] {
            let disk = MemoryDisk::default();
            let (mut acknowledged, mut delivered) = (BTreeSet::new(), BTreeSet::new());
            let health = Health::default();
            let queue = open(&disk, DiskAck::Journal, &health).unwrap();
            acknowledged.extend(put(&queue, 0..10).await);
            disk.fail(Trouble { at, calls });
            acknowledged.extend(put(&queue, 10..25).await);
            delivered.extend(take(&queue, 10).await);
            acknowledged.extend(put(&queue, 25..40).await);
            disk.heal();
            // It goes on by itself …
            let after = put(&queue, 40..50).await;
            assert_eq!(after.len(), 10, "{at} {calls}");
            acknowledged.extend(after);
            drop(queue);
            // … and after the end of the process.
            let queue = open(&disk, DiskAck::Journal, &health).unwrap();
            delivered.extend(take(&queue, usize::MAX).await);
            let lost: Vec<_> = acknowledged.difference(&delivered).collect();
            assert!(lost.is_empty(), "{at} {calls}: {lost:?} are lost");
            // What was refused is no loss.
            assert_eq!((queue.size(), health.sum("spanlight.dropped", &[])), ((0, 0), 0), "{at} {calls}");
        }
    }
}

#[tokio::test]
async fn a_disk_that_is_full_refuses_and_takes_again_when_it_is_not() {
    let (disk, health) = (MemoryDisk::default(), Health::default());
    let queue = open(&disk, DiskAck::Journal, &health).unwrap();
    disk.limit(Some(3000));
    let kept = put(&queue, 0..30).await;
    assert!(!kept.is_empty() && kept.len() < 30, "{kept:?}");
    assert_eq!(queue.size().0, kept.len());
    disk.limit(None);
    assert_eq!(put(&queue, 30..40).await.len(), 10);
    let taken = take(&queue, usize::MAX).await;
    assert_eq!(taken, kept.iter().copied().chain(30..40).collect::<Vec<_>>());
    // What was refused is no loss.
    assert_eq!((queue.size(), health.sum("spanlight.dropped", &[])), ((0, 0), 0));
}

#[tokio::test]
async fn after_a_loss_of_power_all_that_is_sent_again_is_counted() {
    let disk = MemoryDisk::default();
    let queue = open(&disk, DiskAck::Durable, &Health::default()).unwrap();
    put(&queue, 0..10).await;
    assert_eq!(take(&queue, 5).await.len(), 5);
    disk.cut_power();
    drop(queue);
    let health = Health::default();
    let queue = open(&disk.after_power_loss(3), DiskAck::Durable, &health).unwrap();
    let again = take(&queue, usize::MAX).await;
    assert!(again.len() >= 5, "{again:?}");
    assert_eq!(health.sum("spanlight.exporter.repeated", &[("reason", "unknown")]), again.len() as u64);
}

#[tokio::test]
async fn one_that_nobody_takes_does_not_hold_up_those_behind_it_and_is_there_after_a_start() {
    let disk = MemoryDisk::default();
    let queue = open(&disk, DiskAck::Journal, &Health::default()).unwrap();
    put(&queue, 0..20).await;
    let held_back = queue.pop(&PORTION).await.unwrap();
    assert_eq!(numbers(&held_back.load), [0, 1, 2, 3, 4]);
    assert_eq!(take(&queue, 15).await.len(), 15);
    assert_eq!(queue.size().0, 5);
    drop(queue);
    let health = Health::default();
    let queue = open(&disk, DiskAck::Journal, &health).unwrap();
    // Those behind it were sent, but are not known to have been.
    assert_eq!(take(&queue, usize::MAX).await, (0..20).collect::<Vec<_>>());
    assert_eq!(health.sum("spanlight.exporter.repeated", &[("reason", "unfinished")]), 20);
}
