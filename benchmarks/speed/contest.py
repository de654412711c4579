"""Runs several entrants alternately, each in its own process.

Machines are shared and noisy, so times measured at different hours do not compare. All entrants are set up and warmed
up first, and then take turns of some seconds while the others sleep. The figure is a ratio: the median over rounds of
one entrant's rate over another's in the same round.
"""

import importlib
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

Round = Callable[[], float]
"""Does some work, and returns how much of it."""


@dataclass(frozen=True)
class Entrant:
    """One entrant.

    Attributes:
        name: Name in tables.
        setup: ``module:function``, which takes ``options``, warms up and returns a ``Round``.
        options: Keyword arguments of ``setup``.
        backend: Keras backend of its process; by default that of the benchmark. PyTorch entrants set it to keep
            TensorFlow out of their processes.
    """

    name: str
    setup: str
    options: dict[str, Any] = field(default_factory=dict)
    backend: str = os.environ.get("KERAS_BACKEND", "tensorflow")


@dataclass(frozen=True)
class How:
    """Settings of a part.

    Attributes:
        rounds: Turns of every entrant.
        work: Factor of the usual work per round.
        say: Receives lines for the terminal.
        without: Pattern of the names of entrants to leave out.
    """

    rounds: int
    work: float
    say: Callable[[str], None]
    without: str = ""

    def times(self, usual: float, least: int = 1) -> int:
        """Returns the number of repetitions in a round, where ``usual`` is the number that two cores do in seconds."""
        return max(least, round(usual * self.work))


@dataclass
class Result:
    """Rates of one entrant, round by round.

    Attributes:
        rates: Work per second.
        cpu_rates: Work per core second, which other programs affect less.
        error: Reason why it could not take part; there are no rates then.
    """

    rates: list[float]
    error: str = ""
    cpu_rates: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """The median round."""
        return statistics.median(self.rates)

    def summary(self) -> dict[str, Any]:
        """Returns median, slowest and fastest round."""
        if self.error:
            return {"error": self.error}
        return {
            "rate": self.rate,
            "slowest": min(self.rates),
            "fastest": max(self.rates),
            "cpu_rate": statistics.median(self.cpu_rates),
            "rounds": len(self.rates),
        }


def told_by_a_new_process(module: str, *arguments: str) -> dict[str, float]:
    """Runs a module of the benchmark in a new process; returns the JSON in its last line."""
    command = [sys.executable, "-m", module, *arguments]
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=quiet)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def contest(entrants: Sequence[Entrant], how: How) -> dict[str, Result]:
    """Runs all entrants alternately; returns their results by name."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when a process imports TensorFlow, before _serve runs
    context = get_context("spawn")
    results, waiting = {}, {}
    try:
        for entrant in entrants:
            if how.without and re.search(how.without, entrant.name):
                results[entrant.name] = Result([], "left out: not asked for")
                continue
            ours, theirs = context.Pipe()
            os.environ["KERAS_BACKEND"] = entrant.backend  # read when the new process imports Keras
            process = context.Process(target=_serve, args=(theirs, entrant), daemon=True)
            process.start()
            theirs.close()
            error = _answer(ours)
            results[entrant.name] = Result([], error or "")
            how.say(f"{entrant.name}: {error or 'ready'}")
            if error is None:
                waiting[entrant.name] = (ours, process)
        for turn in range(how.rounds):
            for name, (ours, _) in waiting.items():
                ours.send("go")
                rate, cpu_rate = _answer(ours)
                results[name].rates.append(rate)
                results[name].cpu_rates.append(cpu_rate)
            how.say(
                f"round {turn + 1} of {how.rounds}: " + ", ".join(f"{n} {results[n].rates[-1]:,.4g}" for n in waiting)
            )
    finally:
        for _, process in waiting.values():
            process.terminate()
            process.join()
    return results


def ratio(one: Result, other: Result) -> float | None:
    """Returns the median over rounds of one entrant's rate over another's; None if either is missing.

    Rates are by wall-clock time: idle cores count against an entrant.
    """
    if not one.rates or not other.rates:
        return None
    return statistics.median(a / b for a, b in zip(one.rates, other.rates, strict=True))


def _answer(connection: Connection) -> Any:
    try:
        return connection.recv()
    except EOFError:
        return "its process ended before it was ready"


def _serve(connection: Connection, entrant: Entrant) -> None:
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several processes share an accelerator
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    module, function = entrant.setup.split(":")
    try:
        work: Round = getattr(importlib.import_module(module), function)(**entrant.options)
    except ImportError as error:
        connection.send(f"left out: {error}")
        return
    connection.send(None)
    while True:
        connection.recv()
        started, spent = time.perf_counter(), time.process_time()
        amount = work()
        connection.send((amount / (time.perf_counter() - started), amount / (time.process_time() - spent)))
