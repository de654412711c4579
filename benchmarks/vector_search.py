"""Searches among stored vectors: milliseconds a query, exact and with faiss, beside NumPy; recall, memory, building.

    python -m benchmarks.vector_search [--million] [--vectors FILE.npy] [--write part.json]

Without ``--million`` there are 100,000 vectors of 512 dimensions, float16. Their world is made to resemble pooled
features of Flickr8k (PCA, 512 dimensions): a scene mixes two of 1,000 topics, which are used by Zipf's law, and has a
part of its own; an image is one of 20,000 scenes, whose sizes are log-normal, and half its variance is its own; the
spectrum falls slowly. In a sample of 8,000, cosines to the 1st, 10th and 100th neighbour (0.38, 0.24, 0.14) and the
spread of all cosines (0.059) are near those of Flickr8k (0.41, 0.29, 0.16; 0.053). ``--vectors`` repeats real vectors
with noise instead (cosine 0.95 to the original).

Queries are images that are not stored. Each search answers one query, in turns with the others, against NumPy's
``argpartition(vectors @ query)`` of float32 vectors in memory. Recall is measured against the exact search, also for
queries that are all moved in one direction, as texts are from images. The worst case of the exact search, uniform
vectors, is measured last.
"""

import argparse
import gc
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from capsmith.retrieval.vectors import ExactSearch, FaissSearch

SIZE, TOP = 512, 10
_TOPICS, _SCENES, _BLOCK = 1000, 20_000, 50_000
_SHARES = np.array([0.35, 0.15, 0.5])  # of the variance: topics, the scene, the image
NOTES = {
    "search.exact_ms_1m": "exact search, one query among 1,000,000 clustered vectors of 512 dimensions, median",
    "search.faiss_ms_1m": "faiss, candidates rescored, the same vectors and queries, median",
    "search.faiss_recall10": "share of the exact 10 nearest that faiss finds, the same vectors, 200 queries",
}


class World:
    """Clustered unit vectors; see the module."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        deviations = (1 + np.arange(SIZE) / 6) ** -0.25
        parts = np.sqrt(_SHARES)[:, None] * deviations * np.sqrt(SIZE / np.sum(deviations**2))
        topic, scene, self._own = parts.astype(np.float32)
        topics = rng.standard_normal((_TOPICS, SIZE), np.float32) * topic
        use = np.arange(1, _TOPICS + 1) ** -0.7
        first, second = rng.choice(_TOPICS, (2, _SCENES), p=use / use.sum())
        own = rng.standard_normal((_SCENES, SIZE), np.float32) * scene
        self._scenes = np.float32(0.8) * topics[first] + np.float32(0.6) * topics[second] + own
        sizes = rng.lognormal(size=_SCENES)
        self._sizes = sizes / sizes.sum()

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Returns vectors (count, d), float32."""
        values = rng.standard_normal((count, SIZE), np.float32)
        values *= self._own
        values += self._scenes[rng.choice(_SCENES, count, p=self._sizes)]
        return unit(values)


class Repeated:
    """Real vectors (P, d), repeated with noise."""

    def __init__(self, path: Path) -> None:
        self._vectors = unit(np.load(path).astype(np.float32))

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Returns vectors (count, d), float32, each with a cosine of about 0.95 to one of the real ones."""
        values = self._vectors[rng.integers(len(self._vectors), size=count)]
        noise = rng.standard_normal(values.shape, np.float32)
        return unit(values + noise * np.float32(np.sqrt((0.95**-2 - 1) / values.shape[1])))


class Uniform:
    """Vectors without any structure."""

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Returns vectors (count, d), float32."""
        return unit(rng.standard_normal((count, SIZE), np.float32))


def unit(values: np.ndarray) -> np.ndarray:
    """Returns rows divided by their lengths."""
    scaled: np.ndarray = values / np.linalg.norm(values, axis=1, keepdims=True)
    return scaled


def main() -> int:
    """Prints the figures; returns the exit code, 0 if a million vectors keep the bars (150 ms, 10 ms, recall 0.95)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--million", action="store_true", help="1,000,000 vectors: about 5 GB of memory")
    parser.add_argument("--vectors", type=Path, metavar="FILE", help="real vectors (P, d) to repeat with noise")
    parser.add_argument("--queries", type=int, default=40, help="timed queries of each search")
    parser.add_argument("--recall-queries", type=int, default=200)
    parser.add_argument("--no-uniform", action="store_true", help="leave the worst case out")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figures of a million vectors as JSON")
    args = parser.parse_args()
    count = 1_000_000 if args.million else 100_000
    figures = clustered(args, Repeated(args.vectors) if args.vectors else World(), count)
    gc.collect()
    if not args.no_uniform:
        worst_case(args.queries, count)
    print(json.dumps(figures))
    if args.million and args.write:
        write(args.write, figures)
    exact, approximate, recall = figures.values()
    return int(args.million and not (exact <= 150 and approximate <= 10 and recall >= 0.95))


def clustered(args: argparse.Namespace, world: Any, count: int) -> dict[str, float]:
    """Measures all searches among vectors of a world; returns the figures by name."""
    vectors, queries = stored(world, count), world.draw(args.recall_queries, np.random.default_rng(2))
    print(f"{count:,} vectors of {vectors.shape[1]} dimensions, float16; load {os.getloadavg()[0]:.1f}")
    exact = built("exact", lambda: ExactSearch(vectors))
    with tempfile.TemporaryDirectory() as folder:
        built("faiss", lambda: FaissSearch.build(vectors, Path(folder)))
        gc.collect()
        approximate = built("faiss, from its folder", lambda: FaissSearch.load(vectors, Path(folder)))
    plain = built("NumPy, float32", lambda: vectors.astype(np.float32))
    searches: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "exact": lambda query: exact.nearest(query[None], TOP)[0][0],
        "faiss": lambda query: approximate.nearest(query[None], TOP)[0][0],
        "NumPy": lambda query: np.sort(np.argpartition(plain @ query, -TOP)[-TOP:]),
    }
    times, found = in_turns(searches, queries[: args.queries])
    equal = np.mean([set(a) == set(b) for a, b in zip(found["exact"], found["NumPy"], strict=True)])
    print(f"exact and NumPy find the same {TOP} rows: {equal:.1%} of queries (float32 cannot tell nearest ones apart)")
    true, seconds, cpu = clocked(lambda: exact.nearest(queries, TOP))
    per = 1000 / len(queries)
    print(f"exact, {len(queries)} queries in one call: {seconds * per:.1f} ms each, CPU {cpu * per:.1f} ms")
    recall = recall_of(approximate, queries, true[0])
    moved = unit(queries + unit(np.random.default_rng(3).standard_normal((1, queries.shape[1]), np.float32)))
    print(f"faiss, recall@{TOP}: {recall:.4f}")
    print(f"faiss, recall@{TOP}, queries moved away: {recall_of(approximate, moved, exact.nearest(moved, TOP)[0]):.4f}")
    return {"search.exact_ms_1m": times["exact"], "search.faiss_ms_1m": times["faiss"], "search.faiss_recall10": recall}


def worst_case(queries: int, count: int) -> None:
    """Measures the exact search among uniform vectors."""
    vectors = stored(Uniform(), count)
    search = built("exact, uniform vectors", lambda: ExactSearch(vectors))
    in_turns(
        {"exact, uniform": lambda query: search.nearest(query[None], TOP)[0][0]},
        Uniform().draw(queries, np.random.default_rng(2)),
    )


def stored(world: Any, count: int) -> np.ndarray:
    """Returns vectors (count, d), float16."""
    rng = np.random.default_rng(1)
    vectors = np.empty((count, world.draw(1, np.random.default_rng(0)).shape[1]), np.float16)
    for first in range(0, count, _BLOCK):
        vectors[first : first + _BLOCK] = world.draw(min(_BLOCK, count - first), rng)
    return vectors


def built(name: str, build: Callable[[], Any]) -> Any:
    """Builds a search; prints seconds and how much the memory of the process grew."""
    before = resident()
    result, seconds, cpu = clocked(build)
    print(f"{name}: built in {seconds:.1f} s, CPU {cpu:.1f} s, {(resident() - before) / 1e9:.2f} GB", flush=True)
    return result


def in_turns(
    searches: dict[str, Callable[[np.ndarray], np.ndarray]], queries: np.ndarray
) -> tuple[dict[str, float], dict[str, list[np.ndarray]]]:
    """Times one query at a time, each search in turn; prints times and returns medians in ms, and what was found."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in searches}
    found: dict[str, list[np.ndarray]] = {name: [] for name in searches}
    for search in searches.values():
        search(queries[0])  # starts threads, fills caches
    for query in queries:
        for name, search in searches.items():
            rows, seconds, cpu = clocked(lambda: search(query))  # noqa: B023
            times[name].append((1000 * seconds, 1000 * cpu))
            found[name].append(rows)
    for name, pairs in times.items():
        wall, cpu = (sorted(column) for column in zip(*pairs, strict=True))
        middle, late = statistics.median(wall), wall[int(0.95 * (len(wall) - 1))]
        print(f"{name}: {middle:.2f} ms a query, p95 {late:.2f} ms, CPU {statistics.median(cpu):.2f} ms")
    print(f"load {os.getloadavg()[0]:.1f}")
    return {name: round(statistics.median(wall for wall, _ in pairs), 2) for name, pairs in times.items()}, found


def clocked(function: Callable[[], Any]) -> tuple[Any, float, float]:
    """Returns a result, and the seconds and CPU seconds that it took."""
    start, cpu = time.perf_counter(), time.process_time()
    result = function()
    return result, time.perf_counter() - start, time.process_time() - cpu


def recall_of(search: FaissSearch, queries: np.ndarray, true: np.ndarray) -> float:
    """Returns the share of the true neighbours that a search finds."""
    found = search.nearest(queries, TOP)[0]
    return round(float(np.mean([np.isin(a, b).mean() for a, b in zip(true, found, strict=True)])), 4)


def resident() -> int:
    """Returns the memory of the process in bytes; 0 where it is unknown."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def write(path: Path, figures: dict[str, float]) -> None:
    """Writes figures in the form of ``results/summary.json``."""
    command = "python -m benchmarks.vector_search " + " ".join(sys.argv[1:])
    part = {
        name: {"value": value, "unit": "ms" if "_ms_" in name else "", "command": command, "note": NOTES[name]}
        for name, value in figures.items()
    }
    path.write_text(json.dumps(part, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
