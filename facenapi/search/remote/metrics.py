"""Figures of one shard for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

if TYPE_CHECKING:
    from facenapi.search.local import LocalShard


class Metrics:
    """What is counted and measured, and what is asked of the shard when somebody looks."""

    def __init__(self, shard: LocalShard) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # memory, file descriptors, processor time
        self.searches = Histogram(
            "facenapi_shard_search_seconds",
            "Time of a search.",
            registry=self.registry,
            buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5),
        )
        self.applied = Counter("facenapi_shard_changes", "Changes taken.", registry=self.registry)
        self.refused = Counter("facenapi_shard_refused", "Calls that failed.", ["status"], registry=self.registry)
        for name in ("ready", "faces", "segments", "waiting_buffers", "damages", "revision"):
            gauge = Gauge(f"facenapi_shard_{name}", f"The shard's {name}.", registry=self.registry)
            gauge.set_function(lambda name=name: float(shard.info()[name]))  # type: ignore[misc]
