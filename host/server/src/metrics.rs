//! Figures for Prometheus. They name routes and reasons, never rooms, parties or keys.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use glovebox_contract::reason::ReasonCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::app::App;
use crate::error::HttpError;

const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the latency histogram, in seconds.
const SECONDS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// All figures.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answer, Counter>,
    latency: Family<Route, Histogram, fn() -> Histogram>,
    refusals: Family<Reason, Counter>,
    runs: Family<Outcome, Counter>,
    running: Gauge<i64, AtomicI64>,
    queued: Gauge<i64, AtomicI64>,
    upload: Counter,
    rooms: Gauge<i64, AtomicI64>,
    connections: Gauge<i64, AtomicI64>,
}

fn latencies() -> Histogram {
    Histogram::new(SECONDS)
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("glovebox"),
            requests: Family::default(),
            latency: Family::new_with_constructor(latencies),
            refusals: Family::default(),
            runs: Family::default(),
            running: Gauge::default(),
            queued: Gauge::default(),
            upload: Counter::default(),
            rooms: Gauge::default(),
            connections: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("http_requests", "Requests by route and status", self.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time from the head of a request to the head of its answer",
            Unit::Seconds,
            self.latency.clone(),
        );
        registry.register("refusals", "Answers that are errors, by reason", self.refusals.clone());
        registry.register("runs", "Runs that ended, by outcome", self.runs.clone());
        registry.register("runs_running", "Runs that are going on", self.running.clone());
        registry.register("runs_queued", "Runs that wait for a place", self.queued.clone());
        registry.register_with_unit(
            "upload",
            "Bytes that parties have uploaded",
            Unit::Bytes,
            self.upload.clone(),
        );
        registry.register("rooms", "Rooms of this host", self.rooms.clone());
        registry.register("connections", "Open connections", self.connections.clone());
    }

    /// A request was answered. `route` is a pattern of the router, so there are few of them.
    pub(crate) fn answered(
        &self,
        method: &Method,
        route: &str,
        status: StatusCode,
        took: Duration,
        reason: Option<ReasonCode>,
    ) {
        let method = known(method).to_owned();
        let answer = Answer { method, route: route.into(), status: status.as_u16() };
        self.requests.get_or_create(&answer).inc();
        self.latency.get_or_create(&Route { route: route.into() }).observe(took.as_secs_f64());
        if let Some(reason) = reason {
            self.refusals.get_or_create(&Reason { reason: reason.as_str() }).inc();
        }
    }

    /// A run ended: `succeeded`, `failed` or `refused`.
    pub(crate) fn run_ended(&self, outcome: &'static str) {
        self.runs.get_or_create(&Outcome { outcome }).inc();
    }

    /// A run has begun, until the value is dropped.
    pub(crate) fn running(&self) -> Counted {
        Counted::new(&self.running)
    }

    /// A run waits, until the value is dropped.
    pub(crate) fn queued(&self) -> Counted {
        Counted::new(&self.queued)
    }

    /// A connection is open, until the value is dropped.
    pub(crate) fn connected(&self) -> Counted {
        Counted::new(&self.connections)
    }

    /// A chunk of an upload was taken.
    pub(crate) fn uploaded(&self, bytes: usize) {
        self.upload.inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

/// One more of something, as long as it lives.
pub(crate) struct Counted(Gauge<i64, AtomicI64>);

impl Counted {
    fn new(gauge: &Gauge<i64, AtomicI64>) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The methods of HTTP by name; a caller may send any word.
fn known(method: &Method) -> &str {
    match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::PATCH
        | Method::DELETE
        | Method::OPTIONS => method.as_str(),
        _ => "other",
    }
}

/// `GET /metrics`
pub(crate) async fn show(State(app): State<Arc<App>>) -> Result<Response, HttpError> {
    app.metrics.rooms.set(i64::try_from(app.catalog.len()).unwrap_or(i64::MAX));
    let mut text = String::new();
    encode(&mut text, &app.metrics.registry).map_err(|error| HttpError::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, TEXT)], text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_in_the_format_of_openmetrics() {
        let metrics = Metrics::new();
        let took = Duration::from_millis(3);
        let method = Method::from_bytes(b"BREW").unwrap();
        let reason = Some(ReasonCode::NotFound);
        metrics.answered(&method, "/v1/rooms", StatusCode::NOT_FOUND, took, reason);
        metrics.run_ended("failed");
        metrics.uploaded(10);
        let running = metrics.running();
        let mut text = String::new();
        encode(&mut text, &metrics.registry).unwrap();
        for line in [
            r#"glovebox_http_requests_total{method="other",route="/v1/rooms",status="404"} 1"#,
            r#"glovebox_http_request_duration_seconds_bucket{le="0.005",route="/v1/rooms"} 1"#,
            r#"glovebox_refusals_total{reason="not-found"} 1"#,
            r#"glovebox_runs_total{outcome="failed"} 1"#,
            "glovebox_runs_running 1",
            "glovebox_upload_bytes_total 10",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        drop(running);
        assert_eq!(metrics.running.get(), 0);
    }
}
