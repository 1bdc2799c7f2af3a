//! The demonstration, for whoever looks at the page before there is anything to see.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use super::Shared;
use super::api::refuse;

/// Plays made-up agents to this collector, one performance at a time.
pub struct Demo {
    play: Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
    stage: Arc<Semaphore>,
}

impl Demo {
    /// What `play` returns plays once, to its end.
    pub fn new(play: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Demo {
        Demo { play: Box::new(play), stage: Arc::new(Semaphore::new(1)) }
    }
}

/// `POST /api/v1/demo`: begins it, and does not wait for its end.
pub async fn demo(state: Shared) -> Response {
    let Some(demo) = &state.demo else {
        let message = "this collector cannot play to itself: it takes no OTLP over HTTP, or is open to other machines";
        return refuse(StatusCode::NOT_FOUND, message);
    };
    let Ok(performance) = demo.stage.clone().try_acquire_owned() else {
        return refuse(StatusCode::CONFLICT, "the demonstration is being played; wait for its end");
    };
    let play = (demo.play)();
    tokio::spawn(async move {
        play.await;
        drop(performance);
    });
    StatusCode::ACCEPTED.into_response()
}
