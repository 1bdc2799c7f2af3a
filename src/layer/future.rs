//! Futures that run in a span and know whether they were done when they were dropped.

use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tracing::Span;

use super::span::SpanExt;

/// Runs a future in a span of work.
///
/// [`tracing::Instrument`] does that too, and what a span says of aborted tasks is the same. This one also sees a
/// future that is called off in the same breath as it is polled, as by a timeout or by `select!`, where nobody else
/// can: its work was canceled.
///
/// ```
/// use spanlight::{FutureExt, Telemetry, llm_span};
/// use std::time::Duration;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let telemetry = Telemetry::builder().build();
/// let _default = tracing::subscriber::set_default(telemetry.subscriber());
/// let answer = std::future::pending::<String>().in_span(llm_span!("gpt-4o"));
/// assert!(tokio::time::timeout(Duration::from_millis(10), answer).await.is_err());
/// telemetry.flush(Duration::from_secs(5)).unwrap();
/// assert_eq!(telemetry.get_events(0).events[1].1.event().name, *"llm.canceled");
/// # });
/// ```
pub trait FutureExt: Future + Sized {
    /// Runs it in a span. The span ends with it.
    fn in_span(self, span: Span) -> InSpan<Self> {
        InSpan { future: Some(self), span }
    }
}

impl<F: Future> FutureExt for F {}

pin_project! {
    /// A future in a span, made by [`FutureExt::in_span`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct InSpan<F> {
        #[pin]
        future: Option<F>,
        span: Span,
    }

    impl<F> PinnedDrop for InSpan<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                if !std::thread::panicking() {
                    this.span.record_canceled();
                }
                // What it holds ends within the span.
                let _entered = this.span.enter();
                this.future.set(None);
            }
        }
    }
}

impl<F: Future> Future for InSpan<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let entered = this.span.enter();
        let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Pending };
        let polled = future.poll(context);
        drop(entered);
        if polled.is_ready() {
            // Entering it at once to drop what is done is the sign by which the work counts as done.
            this.span.in_scope(|| this.future.set(None));
            // Whoever keeps what is done does not keep its span.
            *this.span = Span::none();
        }
        polled
    }
}
