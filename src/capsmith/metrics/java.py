"""METEOR 1.5 and SPICE: the original Java programs, from the package ``pycocoevalcap`` (extra ``[coco]``).

The programs are run here and not through that package's wrappers, which block or break ("broken pipe") when Java
fails, cannot stand a space in the path, and write into the installed package. METEOR is started once and its final
score is computed from the counts that it returns (Denkowski and Lavie 2014, section 2), so that intervals need no
second run.
"""

import importlib.util
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from capsmith.core.errors import CapsmithError, MissingExtraError
from capsmith.core.readers.json_files import parse_json

Floats = NDArray[np.float64]
_TITLES = {"meteor": "METEOR", "spice": "SPICE"}
_MODELS = "stanford-corenlp-3.6.0-models.jar"
# METEOR 1.5's English parameters, task "rank": alpha, beta, gamma, delta; weights of exact, stem, synonym, paraphrase.
_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
_WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])


def require(names: Iterable[str]) -> None:
    """Sees that what METEOR and SPICE need is there, before any work is done.

    Raises:
        MissingExtraError: ``pycocoevalcap`` is not installed.
        CapsmithError: There is no Java, or SPICE's models were not downloaded.
    """
    for name in names:
        if name not in _TITLES:
            continue
        title, folder = _TITLES[name], package_folder(name)
        if shutil.which("java") is None:
            raise CapsmithError(f"{title} needs Java, and there is no 'java' to run: install it, or leave {name} out")
        if name == "spice" and not (folder / "lib" / _MODELS).exists():
            fetch = "from pycocoevalcap.spice.get_stanford_models import get_stanford_models as get; get()"
            raise CapsmithError(f'SPICE needs a download of its own (about 400 MB, once): python -c "{fetch}"')


def meteor(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[Floats, Floats]:
    """Runs METEOR 1.5.

    Args:
        hypotheses: N captions, their tokens joined by spaces.
        references: The references of each, likewise.

    Returns:
        What ``combine_meteor`` computes scores from, (N, 23), and the score of each caption, (N,).

    Raises:
        CapsmithError: Java failed.
    """
    lines = [" ||| ".join(["SCORE", *map(_clean, group), _clean(h)]) for h, group in _pairs(hypotheses, references)]
    command = [
        "java",
        "-Xmx2G",
        "-Dfile.encoding=UTF-8",
        "-jar",
        "meteor-1.5.jar",
        "-",
        "-",
        "-stdio",
        "-l",
        "en",
    ]
    # The jar looks for its paraphrases by URL and fails on a space in the path: name them.
    command += ["-norm", "-a", "data/paraphrase-en.gz"]
    answer = _run("METEOR", command, package_folder("meteor"), "\n".join(lines) + "\n").split("\n")
    rows = [[float(number) for number in line.split()] for line in answer if line.strip()]
    if len(rows) != len(lines) or any(len(row) != 23 for row in rows):
        raise CapsmithError(f"METEOR answered {len(rows)} of {len(lines)} captions: {' '.join(answer)[-200:]!r}")
    statistics = np.array(rows, np.float64)
    # A caption that equals its reference is one chunk but not fragmented; the program adds no chunk for it.
    whole = (statistics[:, 20] == 1) & (statistics[:, 21:23] == statistics[:, 0:2]).all(axis=1)
    statistics[whole, 20] = 0
    return statistics, combine_meteor(statistics)


def combine_meteor(summed: Floats) -> Floats:
    """Computes METEOR from (summed) counts.

    Args:
        summed: (…, 23): lengths of hypothesis and reference, their function words, four numbers for each of four
            kinds of match (content and function words, in hypothesis and reference), chunks, matched words of both.

    Returns:
        (…): fractions.
    """
    lengths, functions = summed[..., 0:2], summed[..., 2:4]
    matches = summed[..., 4:20].reshape(*summed.shape[:-1], 4, 4)
    content, function = matches[..., 0:2], matches[..., 2:4]
    weighted = ((_DELTA * content + (1 - _DELTA) * function) * _WEIGHTS[:, None]).sum(axis=-2)
    total = _DELTA * (lengths - functions) + (1 - _DELTA) * functions
    chunks, matched = summed[..., 20], summed[..., 21:23]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, recall = np.moveaxis(np.where(total > 0, weighted / total, 0.0), -1, 0)
        mean = precision * recall / (_ALPHA * precision + (1 - _ALPHA) * recall)
        penalty = _GAMMA * (chunks / matched.mean(axis=-1)) ** _BETA
        return np.where(precision * recall > 0, mean * (1 - penalty), 0.0)


def spice(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """Runs SPICE 1.0.

    Args:
        hypotheses: N captions, their tokens joined by spaces.
        references: The references of each, likewise.

    Returns:
        The F-score of each caption, (N,); 0 where neither side holds a proposition.

    Raises:
        CapsmithError: Java failed.
    """
    rows = [
        {"image_id": number, "test": h, "refs": list(group)}
        for number, (h, group) in enumerate(_pairs(hypotheses, references))
    ]
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder, "captions.json"), Path(folder, "scores.json")
        given.write_text(json.dumps(rows), encoding="utf-8")
        command = ["java", "-Xmx8G", "-jar", "spice-1.0.jar", str(given), "-out", str(answer), "-silent"]
        _run("SPICE", command, package_folder("spice"), "")
        try:
            found = {
                row["image_id"]: row["scores"]["All"]["f"] for row in parse_json(answer.read_bytes(), strict=False)
            }
            scores = np.array([found[number] for number in range(len(rows))], np.float64)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CapsmithError(f"SPICE gave no usable answer: {error}") from error
    return np.nan_to_num(scores)


def package_folder(name: str) -> Path:
    """Returns a folder of the installed ``pycocoevalcap``: ``meteor``, ``spice`` or ``tokenizer``."""
    spec = importlib.util.find_spec("pycocoevalcap")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("pycocoevalcap", "coco", _TITLES.get(name, name))
    return Path(spec.submodule_search_locations[0]) / name


def _run(title: str, command: list[str], folder: Path, text: str) -> str:
    try:
        done = subprocess.run(command, cwd=folder, input=text.encode(), capture_output=True)  # noqa: S603
    except OSError as error:
        raise CapsmithError(f"{title}: cannot run {command[0]}: {error.strerror or error}") from error
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise CapsmithError(f"{title} failed in Java (exit code {done.returncode}): {lines[0][:200]}")
    return done.stdout.decode("utf-8", errors="replace")


def _clean(text: str) -> str:
    """Removes what METEOR's line protocol cannot carry."""
    return " ".join(text.replace("|||", " ").split())


def _pairs(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Iterable[tuple[str, Sequence[str]]]:
    return zip(hypotheses, references, strict=True)
