"""What the service counts, for Prometheus. Labels have few values: a path that does not exist is ``unknown``."""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_BATCHES = (1, 2, 4, 8, 16, 32, 64)
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"))


class Metrics:
    """The metrics of one service, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        made: dict[str, Any] = {"registry": self.registry, "namespace": "capsmith"}
        self._requests = Counter("http_requests", "Requests answered.", ("method", "route", "status"), **made)
        self._seconds = Histogram("http_request_seconds", "Time to answer.", ("route",), buckets=_SECONDS, **made)
        self._captions = Counter("captions", "Images captioned.", ("model",), **made)
        self._recommended = Counter("recommendations", "Images for which captions were recommended.", **made)
        self._detected = Counter("detections", "Images whose objects were detected.", **made)
        self._described = Counter("descriptions", "Images that were described.", **made)
        self._searches = Counter("searches", "Searches of an index.", ("index", "query"), **made)
        self._rejected = Counter("rejected", "Requests refused because of load.", ("reason",), **made)
        self._batches = Histogram("batch_images", "Images in a batch.", ("model", "stage"), buckets=_BATCHES, **made)
        self._waiting = Gauge("queue_images", "Images that wait for a model.", ("model",), **made)
        self._uploads = Gauge("upload_bytes", "Bytes of uploads in memory.", **made)
        self._known: dict[tuple[str, str, int], Any] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts an answer; status 499 is a client that went away."""
        key = (method if method in _METHODS else "other", route, status)
        if (counters := self._known.get(key)) is None:
            counters = self._known[key] = (self._requests.labels(*key), self._seconds.labels(route))
        counters[0].inc()
        counters[1].observe(seconds)

    def captioned(self, model: str, images: int) -> None:
        """Counts images that were captioned."""
        self._captions.labels(model).inc(images)

    def recommended(self, images: int) -> None:
        """Counts images for which captions were recommended."""
        self._recommended.inc(images)

    def detected(self, images: int) -> None:
        """Counts images whose objects were detected."""
        self._detected.inc(images)

    def described(self, images: int) -> None:
        """Counts images that were described."""
        self._described.inc(images)

    def searched(self, index: str, query: str) -> None:
        """Counts a search: of which index, and by ``text``, ``image``, ``like`` or ``words``."""
        self._searches.labels(index, query).inc()

    def rejected(self, reason: str) -> None:
        """Counts a request that was refused because of load."""
        self._rejected.labels(reason).inc()

    def batch(self, model: str, stage: str, images: int, seconds: float) -> None:
        """Counts a batch: ``encode`` or ``search``, and its images."""
        self._batches.labels(model, stage).observe(images)

    def text(self, waiting: dict[str, int], upload_bytes: int) -> bytes:
        """Returns all metrics as Prometheus reads them.

        Args:
            waiting: Images that wait now, by model.
            upload_bytes: Bytes of uploads in memory now.
        """
        for model, images in waiting.items():
            self._waiting.labels(model).set(images)
        self._uploads.set(upload_bytes)
        return generate_latest(self.registry)
