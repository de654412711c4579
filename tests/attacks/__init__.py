"""Attacks on the caption service and the studio: each plays one hostile client, over a real connection.

An attack sends what it likes to a server in a process of its own and returns the answers. It is handled if

- each answer has an expected status; closing the connection without an answer counts as status 0,
- errors are problem documents (RFC 9457), with the security headers, and tell nothing about the machine,
- the server captions a photo correctly right afterwards, and
- the memory that it took meanwhile is bounded.

``tests/deploy/serving/test_attacks.py`` plays the quick ones, ``benchmarks/attacks.py`` all.
"""

import contextlib
import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.attacks.server import FINDING, KEY, Server, running
from tests.attacks.wire import Answer

Played = Answer | list[Answer] | None

SERVERS: dict[str, tuple[str, ...]] = {
    "serve": ("images", "forms", "documents", "protocol", "origins", "paths", "crowds", "page"),
    "keyed": ("keys",),
    "studio": ("studio", "browser"),
    "finding": ("finding",),
}
"""The modules with attacks, by the server on which they are played."""
SECRETS = (b"Traceback", b"root:x:0", b"site-packages", b".py", b"/tmp/", b"secret-of-this-machine")
"""What no answer may contain."""
NOSNIFF = ("x-content-type-options", "nosniff")


class Breach(Exception):
    """The attack got what it wanted."""


@dataclass(frozen=True)
class Attack:
    """One way to attack.

    Attributes:
        kind: Module of the attack.
        name: What it does.
        expected: Possible statuses of its answers; 0 for none.
        play: Plays it.
        slow: It takes more than two seconds, so tests leave it out.
        bare: The server's HTTP parser answers, before there is a request that could be answered as a problem.
    """

    kind: str
    name: str
    expected: tuple[int, ...]
    play: Callable[[Server], Played]
    slow: bool = False
    bare: bool = False


ATTACKS: list[Attack] = []


def attack(
    name: str, *expected: int, slow: bool = False, bare: bool = False
) -> Callable[[Callable[[Server], Played]], Callable[[Server], Played]]:
    """Registers a function as an attack of its module."""

    def register(play: Callable[[Server], Played]) -> Callable[[Server], Played]:
        ATTACKS.append(Attack(play.__module__.rpartition(".")[2], name, expected, play, slow, bare))
        return play

    return register


def load(server: str) -> list[Attack]:
    """Returns the attacks that are played on one of ``SERVERS``."""
    for name in SERVERS[server]:
        importlib.import_module(f"tests.attacks.{name}")
    names = [attack.name for attack in ATTACKS]
    assert len(set(names)) == len(names), [name for name in names if names.count(name) > 1]
    return [attack for attack in ATTACKS if attack.kind in SERVERS[server]]


@contextlib.contextmanager
def target(name: str, folder: Path) -> Iterator[Server]:
    """Starts one of ``SERVERS`` in an empty folder; yields it when it answers."""
    if name == "keyed":
        file = folder / "keys"
        file.write_text(f"# the only one\n{KEY}\n")
        file.chmod(0o600)
        with running("serve", ["--api-key-file", str(file), "--verbose"], folder) as server:
            yield server
    elif name == "finding":
        from capsmith.deploy.search import build_index
        from tests.support.finding import colour_photos
        from tests.support.toy_embedder import ToyEmbedder

        (folder / "secret.txt").write_text("secret-of-this-machine")
        index = folder / "photos.index"
        build_index(colour_photos(folder / "photos"), index, ToyEmbedder(), runs=[folder])
        words = folder / "social.csv"
        words.write_text("caption,description\nRosy,red\nCalm,blue\n")
        options = ["--recommend", "run", "--captions", str(words), "--search", f"colours={index}", "--verbose"]
        with running("serve", options, folder, FINDING) as server:
            yield server
    elif name == "studio":
        from tests.attacks.studio import make_folder

        make_folder(folder / "images")
        with running("studio", ["--images", str(folder / "images")], folder) as server:
            yield server
    else:
        with running("serve", ["--verbose"], folder) as server:
            yield server


@dataclass
class Outcome:
    """What an attack did.

    Attributes:
        statuses: The statuses of the answers.
        faults: Why it was not handled; empty if it was.
        caption_seconds: Time of the good caption afterwards.
        peak: Most memory that the server took meanwhile, in bytes above the memory before the first attack.
    """

    statuses: list[int]
    faults: list[str] = field(default_factory=list)
    caption_seconds: float = 0.0
    peak: int = 0


def carry_out(case: Attack, server: Server, patience: float, memory: int) -> Outcome:
    """Plays an attack.

    Args:
        case: The attack.
        server: The server.
        patience: Seconds within which a good request must be answered afterwards.
        memory: Bytes that the server may take meanwhile, above those before the first attack.
    """
    server.reset_peak()
    outcome = Outcome([])
    try:
        played = case.play(server)
    except Breach as breach:
        outcome.faults.append(f"breach: {breach}")
        played = []
    except Exception as error:  # the attack itself, such as an element that a page no longer has
        outcome.faults.append(f"not played: {type(error).__name__}: {str(error).splitlines()[:1]}")
        played = []
    answers = played if isinstance(played, list) else [played] if played is not None else []
    outcome.statuses = [answer.status for answer in answers] or ([] if played == [] else [0])
    if wrong := sorted({status for status in outcome.statuses if status not in case.expected}):
        outcome.faults.append(f"status {', '.join(map(str, wrong))}, expected {', '.join(map(str, case.expected))}")
    for answer in answers:
        outcome.faults += [fault for fault in faults(answer, case.bare) if fault not in outcome.faults]
    outcome.faults += server.good_caption(patience)
    outcome.caption_seconds = server.seconds
    outcome.peak = server.peak()
    if outcome.peak > memory:
        outcome.faults.append(f"{outcome.peak / 1e6:,.0f} MB of memory")
    outcome.faults += server.log_faults()
    return outcome


def faults(answer: Answer, bare: bool = False) -> Iterator[str]:
    """Yields what is wrong with an answer, whatever the attack was."""
    for secret in SECRETS:
        if secret in answer.body and not answer.header("content-type").startswith(("text/javascript", "text/css")):
            yield f"the answer contains {secret.decode()}"
    if bare and answer.status == 400:
        return
    if answer.header(NOSNIFF[0]) != NOSNIFF[1]:
        yield "no nosniff"
    if answer.status < 400 and answer.header("cross-origin-resource-policy") != "same-origin":
        yield "other sites can embed it"
    if answer.header("access-control-allow-origin"):
        yield "CORS is on"
    if answer.status >= 400 and answer.status not in (499,):
        yield from _problem_faults(answer)


def _problem_faults(answer: Answer) -> Iterator[str]:
    if not answer.header("content-type").startswith("application/problem+json"):
        yield f"{answer.status} is no problem document, but {answer.header('content-type') or 'untyped'}"
        return
    if not answer.body:
        return  # to HEAD
    document = json.loads(answer.body)
    if document.get("status") != answer.status or not {"type", "title", "detail"} <= set(document):
        yield "the problem document is incomplete"
    if answer.status == 429 and not answer.header("retry-after").isdigit():
        yield "no Retry-After"
    if len(answer.body) > 20_000:
        yield f"a problem of {len(answer.body):,} bytes"
