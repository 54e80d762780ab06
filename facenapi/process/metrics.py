"""Figures for Prometheus. One object, owned by the application; nothing is registered globally."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from facenapi import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counts requests and stages, and reads gauges when it is asked.

    ``gauges``: returns figures by name and labels at the moment of a scrape.
    """

    def __init__(self, gauges: Callable[[], Iterable[tuple[str, Mapping[str, str], float]]]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)  # memory, file descriptors, processor time
        Gauge("facenapi_build_info", "The version that runs", ["version"], registry=self._registry).labels(
            __version__
        ).set(1)
        self._registry.register(_Gauges(gauges))
        self._requests = Counter(
            "facenapi_requests", "Requests answered", ["handler", "method", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "facenapi_request_seconds", "Time to answer", ["handler"], buckets=_SECONDS, registry=self._registry
        )
        self._stages = Histogram(
            "facenapi_stage_seconds", "Time per stage of a request", ["stage"], buckets=_SECONDS,
            registry=self._registry,
        )  # fmt: skip
        self._batches = Histogram(
            "facenapi_batch_rows", "Pictures, candidates or faces in a run of a network", ["network"], buckets=_ROWS,
            registry=self._registry,
        )  # fmt: skip
        self._lag = Histogram(
            "facenapi_loop_lag_seconds", "How late the event loop woke up", buckets=_SECONDS, registry=self._registry
        )
        self._worst_lag = self._maximum("facenapi_loop_lag_max_seconds", "Latest wake-up since the start")
        self._worst_busy = self._maximum("facenapi_loop_busy_max_seconds", "Longest delay by the loop's own work")

    def _maximum(self, name: str, text: str) -> _Maximum:
        return _Maximum(Gauge(name, text, registry=self._registry))

    def request(self, handler: str, method: str, status: int, seconds: float, stages: Mapping[str, float]) -> None:
        """Count an answered request. ``handler`` is the class, never the path."""
        self._requests.labels(handler, method, str(status)).inc()
        self._seconds.labels(handler).observe(seconds)
        for name, spent in stages.items():
            self._stages.labels(name).observe(spent)

    def batch(self, network: str, rows: int) -> None:
        """Count a run of a network. From any thread."""
        self._batches.labels(network).observe(rows)

    def lag(self, late_s: float, busy_s: float) -> None:
        """Record how late the event loop was, and how much of that it spent computing itself."""
        self._lag.observe(late_s)
        self._worst_lag.see(late_s)
        self._worst_busy.see(busy_s)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)


class _Maximum:
    """The largest value seen."""

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._largest = 0.0

    def see(self, value: float) -> None:
        if value > self._largest:
            self._largest = value
            self._gauge.set(value)


class _Gauges(Collector):
    def __init__(self, read: Callable[[], Iterable[tuple[str, Mapping[str, str], float]]]) -> None:
        self._read = read

    def collect(self) -> Iterable[Any]:
        families: dict[str, GaugeMetricFamily] = {}
        for name, labels, value in self._read():
            if name not in families:
                families[name] = GaugeMetricFamily(f"facenapi_{name}", name.replace("_", " "), labels=list(labels))
            families[name].add_metric(list(labels.values()), value)
        return families.values()
