"""Figures for Prometheus. One object, owned by the application; nothing is registered globally."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counts requests and stages, and reads gauges when it is asked.

    ``gauges``: returns figures by name and labels at the moment of a scrape.
    """

    def __init__(self, gauges: Callable[[], Iterable[tuple[str, Mapping[str, str], float]]]) -> None:
        self._registry = CollectorRegistry()
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
        self._lag = Histogram(
            "facenapi_loop_lag_seconds", "How late the event loop woke up", buckets=_SECONDS, registry=self._registry
        )
        self._worst = Gauge(
            "facenapi_loop_lag_max_seconds", "Latest wake-up since the start", registry=self._registry
        )
        self.worst_lag = 0.0

    def request(self, handler: str, method: str, status: int, seconds: float, stages: Mapping[str, float]) -> None:
        """Count an answered request. ``handler`` is the class, never the path."""
        self._requests.labels(handler, method, str(status)).inc()
        self._seconds.labels(handler).observe(seconds)
        for name, spent in stages.items():
            self._stages.labels(name).observe(spent)

    def lag(self, seconds: float) -> None:
        """Record how late the event loop was."""
        self._lag.observe(seconds)
        if seconds > self.worst_lag:
            self.worst_lag = seconds
            self._worst.set(seconds)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)


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
