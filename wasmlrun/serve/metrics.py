"""What the server counts, in the form of Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from wasmlrun.serve.pool import Pool

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counters of one server."""

    def __init__(self, *pools: Pool) -> None:
        registry = self._registry = CollectorRegistry()
        self._known: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self.requests = Counter(
            "wasmlrun_requests_total", "Requests.", ("route", "status"), registry=registry
        )
        self.seconds = Histogram(
            "wasmlrun_request_seconds",
            "From a request's first line to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        for name, text, value in (
            ("wasmlrun_children_busy", "Children at work.", lambda: sum(p.busy for p in pools)),
            (
                "wasmlrun_queue_length",
                "Calls that wait for a child.",
                lambda: sum(p.waiting for p in pools),
            ),
            (
                "wasmlrun_child_crashes",
                "Children that died with a call.",
                lambda: sum(p.crashes for p in pools),
            ),
        ):
            Gauge(name, text, registry=registry).set_function(value)

    def count(self, route: str, status: int, seconds: float) -> None:
        """A request was answered. `route` is a pattern or a name, never what a client wrote."""
        found = self._known.get((route, status))
        if found is None:  # labels are looked up by what takes longer than counting
            found = self.requests.labels(route, str(status)), self.seconds.labels(route)
            self._known[route, status] = found
        found[0].inc()
        found[1].observe(seconds)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)
