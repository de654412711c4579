"""Captions a second through ``capsmith serve``, beside other ways to serve the same captioner, and beside no server.

    python -m benchmarks.serving throughput [MODEL] [--clients 1 8 32] [--rounds 3] [--requests 40] [--write part.json]
        [--litserve /tmp/vlit/bin/python] [--bentoml /tmp/vbento/bin/python]

In each round every side is started, warmed up, measured and stopped, one after the other: the captioner called one by
one in its own process; ``capsmith serve``; a plain FastAPI handler with a lock; LitServe and BentoML with batches, each
with one and with two workers, in environments of their own that have only onnxruntime, NumPy and Pillow besides. All
give caption, log probability and word probabilities. The clients are a process of their own on the same cores; their
CPU time is stated, and is part of what every server has to share. Rates are medians of the rounds; latencies are those
of all requests.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.serving.servers import Server, free_port, serving
from benchmarks.serving.wire import TARGETS, Answer, differs

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = ROOT.parent / "shared" / "flickr8k" / "Images"
Results = dict[tuple[str, int], list[dict[str, Any]]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("model", nargs="?", default="starter", help="a run or an export; by default the starter")
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--images", type=int, default=64, help="different photographs")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--requests", type=int, default=40, help="for each client; at least 160, at most 480 in all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sides", nargs="+", help="only these: single capsmith fastapi litserve litserve-2 …")
    parser.add_argument("--litserve", metavar="PYTHON", help="the Python of an environment with litserve")
    parser.add_argument("--bentoml", metavar="PYTHON", help="the Python of an environment with bentoml")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figures as JSON")


def measure(args: argparse.Namespace) -> int:
    """Prints the rates, and returns 1 if an answer was lost or wrong."""
    paths = photographs(args.photos, args.images)
    expected = [Answer(*own.values()) for own in _single(args.model, paths, len(paths))["answers"]]
    expected = [one._replace(probabilities=tuple(one.probabilities)) for one in expected]
    results: Results = defaultdict(list)
    for turn in range(args.rounds):
        for name in args.sides or _sides(args):
            if name == "single":
                results[name, 1].append(_single(args.model, paths, min(480, max(160, args.requests))))
            else:
                _one_server(args, name, paths, expected, results)
            _print(turn, name, results)
    _table(results)
    figures = _figures(results)
    print(json.dumps(figures))
    if args.write:
        args.write.write_text(json.dumps(_part(args, figures, results), indent=2) + "\n", encoding="utf-8")
    return int(any(one["failed"] for (name, _), runs in results.items() for one in runs if name == "capsmith"))


def photographs(folder: Path, count: int) -> list[str]:
    """Returns some of the JPEG files of a folder, evenly spaced by name."""
    paths = [str(path) for path in sorted(folder.glob("*.jpg"))]
    if not paths:
        raise SystemExit(f"{folder} has no *.jpg: name another folder by --photos")
    return paths[:: max(1, len(paths) // count)][:count]


def _sides(args: argparse.Namespace) -> list[str]:
    peers = [name for name in ("litserve", "bentoml") if getattr(args, name)]
    return ["single", "capsmith", "fastapi", *(side for name in peers for side in (name, f"{name}-2"))]


def _single(model: str, paths: list[str], count: int) -> dict[str, Any]:
    found = in_process(
        [sys.executable, "-m", "benchmarks.serving.single"], {"model": model, "paths": paths, "count": count}
    )
    return found | {"rate": count / found["wall"], "server_cpu": found["cpu"], "requests": count, "failed": 0}


def in_process(command: list[str], job: Any) -> Any:
    """Runs a module of this package, which reads a job and writes its results as JSON."""
    done = subprocess.run(
        command, input=json.dumps(job), capture_output=True, text=True, timeout=1800, env=environment()
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return json.loads(done.stdout)


def environment(**more: str) -> dict[str, str]:
    """Returns the environment of a process, in which this checkout is found."""
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "CUDA_VISIBLE_DEVICES": "", **more}


def command_of(name: str, model: str, port: int, args: argparse.Namespace) -> list[str]:
    """Returns the command of a side."""
    kind, _, workers = name.partition("-")
    python = getattr(args, kind, None) or sys.executable
    apps = "benchmarks.serving.apps"
    return {
        "capsmith": [python, "-m", "capsmith", "serve", model, "--port", str(port)],
        "fastapi": [python, "-m", "uvicorn", f"{apps}.plain:app", "--port", str(port), "--log-level", "warning"],
        "litserve": [python, "-m", f"{apps}.lit", str(port), workers or "1"],
        "bentoml": [python, "-m", "bentoml", "serve", f"{apps}.bento:Captions", "--port", str(port)]
        + ["--host", "127.0.0.1"],
    }[kind]


def _one_server(
    args: argparse.Namespace, name: str, paths: list[str], expected: list[Answer], results: Results
) -> None:
    """Measures one server with each number of clients."""
    kind, _, workers = name.partition("-")
    port, target = free_port(), TARGETS[kind]
    env = environment(MODEL=args.model, WORKERS=workers or "1", BENTOML_DO_NOT_TRACK="true")
    with serving(command_of(name, args.model, port, args), port, env) as server:
        server.wait(target.path, target.request(Path(paths[0]).read_bytes()))
        _clients(server, kind, paths, 4, 32)  # warms up
        for clients in args.clients:
            count = min(480, max(160, args.requests * clients))
            cpu = server.cpu()
            found = _clients(server, kind, paths, clients, count)
            wrong = [
                one
                for one in found["answers"]
                if differs(one["answer"] and Answer(*one["answer"]), expected[one["image"]])
            ]
            results[name, clients].append(
                {
                    "rate": count / found["wall"],
                    "server_cpu": server.cpu() - cpu,
                    "client_cpu": found["cpu"],
                    "requests": count,
                    "failed": len(wrong) + count - len(found["answers"]),
                    "examples": wrong[:2],
                    "seconds": [one["seconds"] for one in found["answers"]],
                    "memory": server.memory(),
                }
            )


def _clients(server: Server, target: str, paths: list[str], clients: int, count: int) -> dict[str, Any]:
    job = {"target": target, "port": server.port, "clients": clients, "count": count, "paths": paths}
    return in_process([sys.executable, "-m", "benchmarks.serving.client"], job)


def _print(turn: int, name: str, results: Results) -> None:
    for (side, clients), runs in results.items():
        if side == name:
            failed = f", {runs[-1]['failed']} FAILED {runs[-1].get('examples')}" if runs[-1]["failed"] else ""
            print(f"round {turn + 1}: {name}, {clients} clients: {runs[-1]['rate']:.1f} captions/s{failed}", flush=True)


def _rate(results: Results, name: str, clients: int) -> float:
    return statistics.median(run["rate"] for run in results[name, clients])


def percentile(seconds: list[float], share: float) -> float:
    """Returns the smallest value that a share of all values does not exceed."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _table(results: Results) -> None:
    print(f"{'side':12}{'clients':>8}{'rate':>8}{'slowest':>9}{'fastest':>9}{'p50 ms':>8}{'p99 ms':>8}", end="")
    print(f"{'CPU ms':>8}{'client':>8}{'MB':>6}{'failed':>8}")
    for (name, clients), runs in sorted(results.items(), key=lambda item: item[0]):
        rates = [run["rate"] for run in runs]
        seconds = [one for run in runs for one in run.get("seconds", [])] or [1 / rate for rate in rates]
        total = sum(run["requests"] for run in runs)
        cpu, client = (1000 * sum(run.get(key, 0) for run in runs) / total for key in ("server_cpu", "client_cpu"))
        row = (percentile(seconds, share) * 1000 for share in (0.5, 0.99))
        print(f"{name:12}{clients:8}{statistics.median(rates):8.1f}{min(rates):9.1f}{max(rates):9.1f}", end="")
        print("".join(f"{value:8.1f}" for value in (*row, cpu, client)), end="")
        print(f"{max(run.get('memory', 0) for run in runs) / 1e6:6.0f}{sum(run['failed'] for run in runs):8}")


def _figures(results: Results) -> dict[str, float]:
    """Returns the ratios at 8 clients; beside a peer, that of its faster setting."""
    if ("capsmith", 8) not in results:
        return {}
    own, figures = _rate(results, "capsmith", 8), {}
    sides = {name for name, clients in results if clients == 8}
    if ("single", 1) in results:
        figures["serve.throughput_vs_single"] = own / _rate(results, "single", 1)
    for name, kind in (
        ("throughput_vs_plain_fastapi", "fastapi"),
        ("throughput_vs_litserve", "litserve"),
        ("throughput_vs_bentoml", "bentoml"),
    ):
        rates = [_rate(results, side, 8) for side in sides if side.partition("-")[0] == kind]
        if rates:
            figures[f"serve.{name}"] = own / max(rates)
    figures["serve.captions_per_second"] = own
    seconds = [one for run in results["capsmith", 8] for one in run["seconds"]]
    figures["serve.p50_ms"], figures["serve.p99_ms"] = (1000 * percentile(seconds, share) for share in (0.5, 0.99))
    return {name: round(value, 1 if "ms" in name or "second" in name else 2) for name, value in figures.items()}


NOTES = {
    "serve.throughput_vs_single": "captions a second of the service with 8 clients, to the model called one by one",
    "serve.throughput_vs_plain_fastapi": "the same, to a plain FastAPI handler around Captioner.caption",
    "serve.throughput_vs_litserve": "the same, to LitServe with batches, the faster of one and two workers",
    "serve.throughput_vs_bentoml": "the same, to BentoML with adaptive batches, the faster of one and two workers",
    "serve.captions_per_second": "through the service with 8 clients on the same two cores",
    "serve.p50_ms": "median latency of a caption with 8 clients",
    "serve.p99_ms": "99th percentile of the latency of a caption with 8 clients",
}


def _part(args: argparse.Namespace, figures: dict[str, float], results: Results) -> dict[str, Any]:
    units = {"serve.captions_per_second": "captions/s", "serve.p50_ms": "ms", "serve.p99_ms": "ms"}
    requests = sum(run["requests"] for run in results["capsmith", 8])
    return {
        name: {
            "value": value,
            "unit": units.get(name, ""),
            "command": f"python -m benchmarks.serving throughput {args.model}",
            "note": f"{NOTES[name]}; {requests} requests in {args.rounds} rounds in turns",
        }
        for name, value in figures.items()
    }
