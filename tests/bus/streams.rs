//! Streams: for tasks, and for threads that ask.

use std::time::Duration;

use futures_util::StreamExt;
use spanlight::bus::Bus;

use super::support::*;

#[tokio::test]
async fn a_task_gets_events_as_they_come_and_the_end() {
    let bus = Bus::new();
    let mut stream = bus.subscription("task").stream().unwrap();
    let task = tokio::spawn(async move {
        let mut tags = Vec::new();
        while let Some(delivery) = stream.next().await {
            tags.push(tag(delivery.event()));
        }
        (tags, stream.subscription().analytics())
    });
    for at in 0..100 {
        bus.publish(event(&at.to_string(), 5)).unwrap();
        tokio::task::yield_now().await;
    }
    assert!(tokio::task::spawn_blocking(move || bus.shutdown(PATIENCE)).await.unwrap().is_clean());
    let (tags, analytics) = tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
    assert_eq!(tags, (0..100).map(|at| at.to_string()).collect::<Vec<_>>());
    assert_eq!(analytics.delivered, 100);
    assert_conserved(&analytics);
}

#[tokio::test]
async fn it_is_a_stream_of_the_futures_crates_and_dropping_a_future_loses_nothing() {
    let bus = Bus::new();
    let mut stream = bus.subscription("task").stream().unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(1), stream.next()).await.is_err());
    ["a", "b", "c"].iter().for_each(|tag| _ = bus.publish(event(tag, 5)).unwrap());
    let tags: Vec<String> = StreamExt::take(&mut stream, 3).map(|delivery| tag(delivery.event())).collect().await;
    assert_eq!(tags.concat(), "abc");
    drop(stream);
    assert!(bus.find("task").is_none());
}

#[test]
fn a_thread_waits_for_a_time() {
    let bus = Bus::new();
    let mut stream = bus.subscription("thread").stream().unwrap();
    assert!(stream.recv_timeout(Duration::from_millis(1)).is_none() && stream.try_next().is_none());
    let publisher = bus.publisher("other");
    let other = std::thread::spawn(move || publisher.publish(event("x", 5)).map(|_| ()));
    assert_eq!(tag(stream.recv_timeout(PATIENCE).unwrap().event()), "x");
    other.join().unwrap().unwrap();
    stream.subscription().cancel();
    assert!(stream.recv_timeout(PATIENCE).is_none());
}
