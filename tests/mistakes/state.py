"""Training state and histories of members that are damaged or forged."""

import json
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.mistakes import Workshop, mistake
from tests.mistakes.checkpoints import _resume
from tests.mistakes.features import _edit, _npy
from tests.mistakes.special import DEEP, pipe

VERSIONS = {"may_change": ("versions.json",)}


# --- training state ---------------------------------------------------------------------------------------------------


def _state(shop: Workshop, **changes: Any) -> list[str]:
    """Resumes a run whose state has other arrays."""
    run = shop.run()
    with np.load(run / "state.npz") as saved:
        arrays = dict(saved)
    np.savez(run / "state.npz", **{**arrays, **changes})
    return _resume(shop, run)


def _progress(shop: Workshop, **changes: Any) -> list[str]:
    """Resumes a run whose state has another progress."""
    with np.load(shop.toy.run / "state.npz") as saved:
        progress = {**json.loads(saved["progress"].tobytes()), **changes}
    return _state(shop, progress=_text(json.dumps(progress)))


def _text(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


def _first(shop: Workshop) -> np.ndarray:
    with np.load(shop.toy.run / "state.npz") as saved:
        return saved["v0"]


def _rows(shop: Workshop, **changes: Any) -> list[dict[str, Any]]:
    with np.load(shop.toy.run / "state.npz") as saved:
        return [{**row, **changes} for row in json.loads(saved["progress"].tobytes())["rows"]]


@mistake("a training state of text weights", "state.npz", "damaged", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _state(shop, v0=_first(shop).astype("U32"))


@mistake("a training state of complex weights", "state.npz", "complex", "damaged", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _state(shop, v0=_first(shop).astype("complex64"))


@mistake("a training state of dates", "state.npz", "datetime64", "damaged", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _state(shop, v0=np.zeros(_first(shop).shape, "M8[s]"))


@mistake("a training state of whole weights", "state.npz", "floating-point", "damaged", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _state(shop, v0=np.ones(_first(shop).shape, "int64"))


@mistake("a training state of a struct type", "state.npz", "damaged", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _state(shop, v0=np.zeros(_first(shop).shape, [("a", "<f4"), ("b", "<i4")]))


@mistake("a training state with NaN", "state.npz", "'v0'", "damaged", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _state(shop, v0=np.full_like(_first(shop), np.nan))


@mistake("a training state with a surplus array", "state.npz", "'more'", "damaged", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _state(shop, more=np.zeros(3))


@mistake("a training state whose progress is of fractions", "state.npz", "'progress'", "damaged", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _state(shop, progress=np.zeros(9))


@mistake("a training state nested 100,000 deep", "state.npz", "damaged", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _state(shop, progress=_text(DEEP))


PASS = {"epoch": 1, "step": 0, "loss": 1.0, "words": 3, "rate": 0.1, "seconds": 1.0}
PROGRESSES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "a training state at a step of 0.5": (("within an epoch", "step"), {"pass": {**PASS, "step": 0.5}}),
    "a training state at a step beyond its epoch": (("batch 99 of epoch 2",), {"pass": {**PASS, "step": 99}}),
    "a training state in an epoch that is done": (("batch 0 of epoch 1",), {"pass": {**PASS, "epoch": 0}}),
    "a training state with a pass that knows more": (("within an epoch", "more"), {"pass": {**PASS, "more": 1}}),
    "a training state with rewards that are texts": (("rewards.0",), {"pass": {**PASS, "rewards": ["1"]}}),
    "a training state whose scale is no number": (("NaN",), {"scale": float("nan")}),
    "a training state whose scale is below zero": (("damaged history", "scale"), {"scale": -1}),
    "a training state of another metric": (("damaged history", "dev_spice"), {"metric": "spice"}),
    "a training state whose rows are no list": (("damaged history", "rows"), {"rows": {"epoch": 1}}),
}


def _progress_case(changes: dict[str, Any]) -> Callable[[Workshop], list[str]]:
    return lambda shop: _progress(shop, **changes)


for _name, (_all, _changes) in PROGRESSES.items():
    mistake(_name, "state.npz", *_all, **VERSIONS)(_progress_case(_changes))


@mistake("a training state whose losses are texts", "state.npz", "rows.0.loss", "damaged", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _progress(shop, rows=_rows(shop, loss="3.5"))


@mistake("a training state with epochs out of order", "state.npz", "damaged", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _progress(shop, rows=_rows(shop, epoch=7))


@mistake("a training state that decides by a metric with no rows", "state.npz", "'spice'", "damaged", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _progress(shop, rows=_rows(shop, dev_spice=0.1), metric="spice")


def _repacked(shop: Workshop, change: Callable[[zipfile.ZipFile], None], **more: Any) -> list[str]:
    """Resumes a run whose state is packed differently."""
    run = shop.run()
    with zipfile.ZipFile(shop.toy.run / "state.npz") as old, zipfile.ZipFile(run / "state.npz", "w", **more) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a duplicate name
            change(new)
    return _resume(shop, run)


@mistake("a training state with an array twice", "state.npz", "'v0.npy'", "damaged", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _repacked(shop, lambda archive: archive.writestr("v0.npy", _npy(np.zeros(3))))


@mistake("a training state that unpacks to 40 MB", "state.npz", "damaged", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    zeros = _npy(np.zeros(0)) + bytes(40_000_000)
    return _repacked(shop, lambda archive: archive.writestr("more.npy", zeros), compression=zipfile.ZIP_DEFLATED)


@mistake("a training state packed with lzma", "state.npz", "damaged", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _repacked(shop, lambda archive: None, compression=zipfile.ZIP_LZMA)


@mistake("a training state with a note among its arrays", "state.npz", "damaged", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    return _repacked(shop, lambda archive: archive.writestr("README", "hello"))


@mistake("a training state whose header promises more", "state.npz", "damaged", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    small = _npy(np.zeros(10)).replace(b"(10,)", b"(99,)")
    return _repacked(shop, lambda archive: archive.writestr("more.npy", small))


@mistake("a training state of 60,000 arrays", "state.npz", "damaged", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    def many(archive: zipfile.ZipFile) -> None:
        for number in range(60_000):
            archive.writestr(f"surplus-array-number-{number}.npy", b"")

    return _repacked(shop, many)


@mistake("a training state that is a pipe", "state.npz", "pipe", **VERSIONS)
def _(shop: Workshop) -> list[str]:
    run = shop.run()
    pipe(run / "state.npz")
    return _resume(shop, run)


@mistake("a run begun in a precision that is none", "versions.json", "precision", "damaged")
def _(shop: Workshop) -> list[str]:
    run = shop.run()
    _edit(run / "versions.json", precision="float8")
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("precision: float32", "precision: auto"))
    shop.sections["training"]["precision"] = "auto"
    return _resume(shop, run)


# --- histories of members ---------------------------------------------------------------------------------------------


def _member(shop: Workshop, change: Callable[[list[str]], list[str] | bytes]) -> list[str]:
    """Trains an ensemble of which one member's history is damaged."""
    member = shop.run("member")
    lines = (member / "history.csv").read_text().splitlines()
    changed = change(lines)
    content = changed if isinstance(changed, bytes) else ("\n".join(changed) + "\n").encode()
    (member / "history.csv").write_bytes(content)
    shop.sections["ensemble"] = [{"run": str(member), "config": shop.config()}]
    return _resume(shop, shop.run())


def _cell(lines: list[str], place: int, text: str) -> list[str]:
    cells = lines[1].split(",")
    cells[place] = text
    return [lines[0], ",".join(cells)]


HISTORIES: dict[str, tuple[str, Callable[[list[str]], list[str] | bytes]]] = {
    "a member's history of letters": ("'abc'", lambda lines: _cell(lines, 1, "abc")),
    "a member's history that is binary": ("codec", lambda lines: bytes(range(256)) * 9),
    "a member's history with a cell too many": ("line 2", lambda lines: [lines[0], lines[1] + ",7"]),
    "a member's history with a cell too few": ("line 2", lambda lines: [lines[0], lines[1].rpartition(",")[0]]),
    "a member's history with a blank cell of spaces": ("' '", lambda lines: _cell(lines, 1, "   ")),
    "a member's history without its epoch": ("row 1", lambda lines: _cell(lines, 0, "")),
    "a member's history with an infinite loss": ("'inf'", lambda lines: _cell(lines, 1, "inf")),
    "a member's history with a column twice": ("line 1", lambda lines: [lines[0].replace("loss", "epoch"), lines[1]]),
    "a member's history with a quote that stays open": ("line 2", lambda lines: _cell(lines, 1, '"3')),
    "a member's history with epochs out of order": ("row 2", lambda lines: [*lines, lines[1]]),
}
for _name, (_says, _change) in HISTORIES.items():
    mistake(_name, "member/history.csv", "damaged", _says, **VERSIONS)(
        lambda shop, change=_change: _member(shop, change)
    )
