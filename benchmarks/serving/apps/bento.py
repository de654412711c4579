"""BentoML with adaptive batches: ``bentoml serve benchmarks.serving.apps.bento:Captions``."""

import os
from pathlib import Path
from typing import Any

import bentoml

from benchmarks.serving.apps.captioning import answer, load


@bentoml.service(workers=int(os.environ.get("WORKERS", "1")), traffic={"timeout": 60, "concurrency": 64})
class Captions:
    """Captions images."""

    def __init__(self) -> None:
        self.captioner = load()

    @bentoml.api(batchable=True, max_batch_size=16, max_latency_ms=10_000)
    def caption(self, images: list[Path]) -> list[dict[str, Any]]:
        """Captions a batch."""
        return [answer(one) for one in self.captioner.caption(list(images), probabilities=True)]
