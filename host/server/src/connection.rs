//! Connections: so many at once, and none that holds a place without saying or taking anything.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum_server::accept::Accept;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

use crate::app::App;
use crate::metrics::Counted;

/// The first bytes of a connection, by which the server tells the version of HTTP. Until they are
/// here no other timer runs.
const FIRST_BYTES: usize = 24;

/// Accepts connections as `inner` does, within the limits.
#[derive(Clone)]
pub(crate) struct Guard<A> {
    inner: A,
    app: Arc<App>,
    places: Arc<Semaphore>,
}

impl<A> Guard<A> {
    pub(crate) fn new(inner: A, app: Arc<App>, places: Arc<Semaphore>) -> Self {
        Self { inner, app, places }
    }
}

impl<A, S> Accept<TcpStream, S> for Guard<A>
where
    A: Accept<TcpStream, S>,
    A::Future: Send + 'static,
    A::Stream: Send + 'static,
    A::Service: Send + 'static,
{
    type Stream = Guarded<A::Stream>;
    type Service = A::Service;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            tracing::warn!("a connection was closed: there are too many");
            return Box::pin(std::future::ready(Err(io::ErrorKind::ConnectionRefused.into())));
        };
        // Answers are written whole, so waiting for more to send gains nothing.
        let _ = stream.set_nodelay(true);
        let counted = self.app.metrics.connected();
        let limits = &self.app.limits;
        let (header_time, idle_time) = (limits.header_time, limits.idle_time);
        let accepting = self.inner.accept(stream, service);
        Box::pin(async move {
            let (stream, service) = accepting.await?;
            let guarded = Guarded {
                stream,
                idle_time,
                missing: FIRST_BYTES,
                first: Box::pin(tokio::time::sleep(header_time)),
                stalled: None,
                _held: (place, counted),
            };
            Ok((guarded, service))
        })
    }
}

/// A connection that ends when its first bytes do not come, or when its peer takes nothing of what
/// is written to it.
pub(crate) struct Guarded<S> {
    stream: S,
    idle_time: Duration,
    missing: usize,
    first: Pin<Box<Sleep>>,
    stalled: Option<Pin<Box<Sleep>>>,
    _held: (OwnedSemaphorePermit, Counted),
}

impl<S> Guarded<S> {
    /// `result` of a write; an error when there has been none for too long.
    fn in_time<T>(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stalled = None;
            return result;
        }
        let until = Instant::now() + self.idle_time;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        if self.missing == 0 {
            return result;
        }
        if result.is_ready() {
            let read = buffer.filled().len().saturating_sub(before);
            self.missing = self.missing.saturating_sub(read);
            return result;
        }
        ready!(self.first.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(context, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        self.in_time(context, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(context);
        self.in_time(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.in_time(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
