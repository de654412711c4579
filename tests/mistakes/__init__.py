"""Bad input, by mistake or by malice: each case is a way to call ``capsmith`` that must be refused.

A case prepares its own folder and returns the command line. It passes if the command exits with code 2 and prints one
line that names the file, key or value; if nothing was executed from a file; and if every file that existed before is
unchanged, byte for byte, and no temporary file is left.

The expected texts of a case name files, keys and values, with at most one stable keyword. They are not sentences, so
that messages can be reworded.

``tests/test_bad_input.py`` runs the cases, and so does ``benchmarks/bad_input.py``.
"""

import contextlib
import copy
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import toy

LOG_LINE = re.compile(r"[a-z](?!.*(Warning|Error))")
"""The start of a line that capsmith logs; warnings of Python and messages of C libraries start otherwise."""
LONGEST_LINE = 700


@dataclass(frozen=True)
class Toy:
    """The originals that cases copy: a dataset, a run trained on it, and its feature store."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def store(self) -> Path:
        return next(self.cache.iterdir())


def make_toy(root: Path) -> Toy:
    """Trains the toy captioner in some seconds."""
    from capsmith.cli import main

    made = Toy(root)
    toy.make_data(made.data)
    config = toy.write_config(root / "toy.yaml", toy.settings(made.data, made.cache))
    if main(["train", "--config", str(config), "--run", str(made.run)]):
        raise RuntimeError("the toy run cannot be trained, so no mistake can be tried on it")
    return made


class Workshop:
    """The folder of one case.

    Attributes:
        folder: The folder of the case's files.
        toy: The originals, read only; ``data``, ``run`` and ``store`` copy from it.
        sentinel: A file that malicious content tries to create.
    """

    def __init__(self, folder: Path, made: Toy) -> None:
        self.folder, self.toy = folder, made
        self.sentinel = folder / "EXECUTED"
        self.sections: dict[str, Any] = toy.settings(made.data, folder / "cache")

    def data(self) -> Path:
        """Copies the dataset; the config uses the copy."""
        shutil.copytree(self.toy.data, self.folder / "data")
        self.sections["data"]["root"] = str(self.folder / "data")
        return self.folder / "data"

    def run(self, name: str = "run") -> Path:
        """Copies the trained run."""
        return Path(shutil.copytree(self.toy.run, self.folder / name))

    def store(self) -> Path:
        """Copies the feature store; the config uses the copy."""
        folder = Path(shutil.copytree(self.toy.store, self.folder / "store"))
        self.sections["features"]["store"] = str(folder)
        return folder

    def config(self, **changes: dict[str, Any]) -> str:
        """Writes the config with changes to its sections; returns its path."""
        values = copy.deepcopy(self.sections)
        for section, change in changes.items():
            values[section] = {**values[section], **change} if isinstance(change, dict) else change
        return str(toy.write_config(self.folder / "config.yaml", values))

    def write(self, name: str, content: str | bytes) -> Path:
        """Writes a file in the folder of the case."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def __truediv__(self, name: str) -> Path:
        return self.folder / name


@dataclass(frozen=True)
class Case:
    """One mistake.

    Attributes:
        name: The mistake.
        prepare: Creates the files; returns the arguments of ``capsmith``.
        says: What the error message must contain: names of files, keys and values.
        errors: The number of errors that the message must list.
        around: A context in which the command runs.
        may_change: Names of files that the command may rewrite.
        works: Text that standard output must contain: results that do not depend on the mistake.
    """

    name: str
    prepare: Callable[[Workshop], list[str]]
    says: tuple[str, ...]
    errors: int = 1
    around: Callable[[Workshop], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext
    may_change: tuple[str, ...] = ()
    works: tuple[str, ...] = ()


CASES: list[Case] = []


def mistake(
    name: str, *says: str, **more: Any
) -> Callable[[Callable[[Workshop], list[str]]], Callable[[Workshop], list[str]]]:
    """Registers the decorated function as the ``prepare`` of a case."""

    def enter(prepare: Callable[[Workshop], list[str]]) -> Callable[[Workshop], list[str]]:
        CASES.append(Case(name, prepare, says, **more))
        return prepare

    return enter


@dataclass
class Outcome:
    """The result of a command, and its faults."""

    code: int | None
    output: str
    errors: str
    faults: list[str] = field(default_factory=list)

    @property
    def message(self) -> list[str]:
        """The lines of the error message."""
        lines = self.errors.splitlines()
        first = next((n for n, line in enumerate(lines) if line.startswith("capsmith: ")), len(lines))
        return lines[first:]


def attempt(case: Case, workshop: Workshop) -> Outcome:
    """Prepares a case, runs it in this process, and collects faults."""
    arguments = case.prepare(workshop)
    before = snapshot(workshop.folder) | snapshot(workshop.toy.root)
    with case.around(workshop):
        outcome = run(arguments)
    outcome.faults = [
        *_message_faults(case, outcome),
        *_file_faults(case, before, snapshot(workshop.folder) | snapshot(workshop.toy.root)),
    ]
    if workshop.sentinel.exists():
        outcome.faults.append("code from a file was executed")
    return outcome


def run(arguments: list[str]) -> Outcome:
    """Calls ``capsmith`` in this process; captures all output, including that of C libraries."""
    from capsmith.cli import main

    with _captured() as read:
        try:
            code: int | None = main(arguments)
        except SystemExit as leaving:  # argparse
            code = leaving.code if isinstance(leaving.code, int) else None
        except BaseException:  # a user would see a traceback
            import traceback

            traceback.print_exc()
            code = 1
        output, errors = read()
    return Outcome(code, output, errors)


@contextlib.contextmanager
def _captured() -> Iterator[Callable[[], tuple[str, str]]]:
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile("w+", errors="backslashreplace")) for _ in range(2)]
        for number, file in enumerate(files, start=1):
            kept = os.dup(number)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, number)
            os.dup2(file.fileno(), number)
        stack.enter_context(contextlib.redirect_stdout(files[0]))
        stack.enter_context(contextlib.redirect_stderr(files[1]))

        def read() -> tuple[str, str]:
            for file in files:
                file.flush()
                file.seek(0)
            return files[0].read(), files[1].read()

        yield read


def snapshot(folder: Path) -> dict[Path, str]:
    """Returns a digest of every file below a folder."""
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def _message_faults(case: Case, outcome: Outcome) -> Iterator[str]:
    text = "\n".join(outcome.message)
    if outcome.code != 2:
        yield f"exit code {outcome.code} instead of 2"
    if "Traceback" in outcome.errors:
        yield "a traceback: " + outcome.errors.splitlines()[-1]
        return
    if outcome.errors.count("capsmith: ") != 1:
        yield f"{outcome.errors.count('capsmith: ')} error messages instead of 1"
    expected = 1 if case.errors == 1 else case.errors + 1
    if len(outcome.message) != expected:
        yield f"{len(outcome.message)} lines of message instead of {expected}"
    for line in outcome.errors.splitlines()[: -len(outcome.message) or None]:
        if not LOG_LINE.match(line):
            yield f"a line that is neither log nor error: {line}"
    for words in case.says:
        if words not in text:
            yield f"the message does not say '{words}'"
    if any(len(line) > LONGEST_LINE for line in outcome.message):
        yield "a line too long to read"
    if not all(character.isprintable() or character == "\n" for character in text):
        yield "control characters in the message"
    for words in case.works:
        if words not in outcome.output:
            yield f"the output lacks '{words}'"
    if not case.works and outcome.output:
        yield f"output in spite of the error: {outcome.output[:80]}"


def _file_faults(case: Case, before: dict[Path, str], after: dict[Path, str]) -> Iterator[str]:
    for path, digest in before.items():
        if path.name in ("log.txt", ".lock", *case.may_change):
            continue
        if path not in after:
            yield f"{path} is gone"
        elif after[path] != digest:
            yield f"{path} was changed"
    for path in after.keys() - before.keys():
        if any(part.startswith(".") and part != ".lock" for part in path.parts[-3:]):
            yield f"{path} is left over"
        if path.name == "log.txt" and not any(
            (path.parent / name).exists() for name in ("captioner.json", "state.npz")
        ):
            yield f"{path.parent} is left over, a run directory with nothing in it"


from tests.mistakes import (  # noqa: E402, F401 - importing registers the cases
    broken_images,
    captions,
    checkpoints,
    components,
    configs,
    describing,
    detecting,
    encoders,
    exporting,
    exports,
    external,
    features,
    folders,
    hub_captioners,
    hub_encoders,
    image_folders,
    images,
    indexes,
    names,
    outputs,
    pickles,
    plugins,
    readers,
    recommending,
    run_files,
    scoring,
    searching,
    sharded_data,
    sharding,
    starter,
    state,
    stores,
    tables,
    terminal,
    writing,
)
