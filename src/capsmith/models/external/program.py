r"""``exec:COMMAND``: any program that captions images, such as a vision-language model that runs elsewhere.

The command is started once, without a shell. Each image is a line on its standard input: the path of a file. For each,
the program writes a line of JSON to its standard output and flushes it: ``{"caption": "a dog runs"}``, or several, best
first: ``{"captions": ["a dog runs", "a brown dog"]}``, or ``{"error": "why the image cannot be captioned"}``. It may
add other keys, and had better add ``image``, the path that it read: an answer to another path is an error. It ends when
its standard input ends.
"""

import hashlib
import json
import os
import queue
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from PIL import Image

from capsmith.core.errors import CapsmithError, ConfigError, ImageError, escaped
from capsmith.decoding.config import DecodingConfig, GreedyConfig
from capsmith.models.external.generation import Generated, Generation
from capsmith.vision.images import ImageSource, image_name, load_image, load_upright

TIMEOUT = "CAPSMITH_EXEC_TIMEOUT"
"""The variable of the environment that says how many seconds an image may take; by default 300."""
_SECONDS = 300.0
_LINE = 1_000_000  # bytes of an answer
_SHOWN = 300  # characters of a program's last words
_AHEAD = 4  # answers that are read before somebody asks for them
_LAST_WORDS = 10_000  # bytes of its standard error that are kept
_SIDE = 768  # pixels of images of the service
_LARGEST = 2048  # pixels of a side of other images that are not files
_HASHED = 50_000_000  # bytes of a file of the command
_CODE = frozenset(".py .sh .js .mjs .rb .pl .r .jl .lua .json .yaml .yml .toml .ini .txt".split())


def load_program(command: str) -> "ProgramEngine":
    """Returns the engine of a command. The program is started for the first image.

    Raises:
        ConfigError: The command is empty, cannot be read, or there is no such program.
    """
    try:
        parts = shlex.split(command)
    except ValueError as error:
        raise ConfigError(f"exec:{escaped(command)[:80]}: the command cannot be read ({error})") from error
    if not parts:
        raise ConfigError("exec: needs a command, such as exec:'python caption.py'")
    if shutil.which(parts[0]) is None:
        raise ConfigError(f"exec:{escaped(command)[:80]}: there is no program {escaped(parts[0])[:300]!r}")
    return ProgramEngine(command, parts)


class ProgramEngine:
    """A program that captions images; see the module for what it reads and writes.

    Args:
        command: The command for people.
        parts: Program and arguments.
    """

    decoding: DecodingConfig = GreedyConfig()
    settings = frozenset({"n"})
    image_sizes: Sequence[tuple[int, int]] = ((_SIDE, _SIDE),)

    def __init__(self, command: str, parts: Sequence[str]) -> None:
        self.name = f"exec:{escaped(command)[:200]}"
        self._parts, self._timeout = list(parts), _timeout()
        self._process: _Process | None = None

    @property
    def fingerprint(self) -> str:
        """Hash of the command, of its program, and of the scripts and settings that it names."""
        total = hashlib.sha256()
        for part in self._parts:
            total.update(part.encode("utf-8", "surrogateescape") + b"\0")
            is_program = part is self._parts[0]
            path = Path(shutil.which(part) or part) if is_program else Path(part)
            with suppress(OSError, ValueError):
                if (is_program or path.suffix.lower() in _CODE) and path.stat().st_size <= _HASHED:
                    total.update(hashlib.sha256(path.read_bytes()).digest())
        return total.hexdigest()[:16]

    def caption_file(self, image: ImageSource, generation: Generation) -> list[Generated]:
        """Returns the captions of an image, which is opened here first: a broken one does not reach the program."""
        if isinstance(image, str | Path):
            name = str(image)
            load_image(image, (16, 16))
            if "\n" not in name and "\r" not in name:
                return self._ask(os.path.abspath(image), name, generation)
        upright = load_upright(image)
        upright.thumbnail((_LARGEST, _LARGEST))
        return self._ask_copy(upright, escaped(image_name(image)), generation)

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Returns pixels (B, H, W, 3) as they are: the program does the rest."""
        return pixels

    def decode(self, features: np.ndarray, generation: Generation) -> list[list[Generated]]:
        """Returns the captions of pixels, which the program gets as files."""
        images = (Image.fromarray(np.asarray(pixels, np.uint8)) for pixels in features)
        return [self._ask_copy(image, "the image", generation) for image in images]

    def _ask_copy(self, image: Image.Image, name: str, generation: Generation) -> list[Generated]:
        with tempfile.TemporaryDirectory(prefix="capsmith-") as folder:
            path = Path(folder) / "image.png"
            image.save(path, compress_level=1)
            return self._ask(str(path), name, generation)

    def _ask(self, path: str, name: str, generation: Generation) -> list[Generated]:
        if self._process is None:
            self._process = _Process(self._parts, self.name)
        try:
            line = self._process.ask(path, self._timeout)
            captions = _captions(line, f"{self.name} answers {name}", name, path)
        except ImageError:
            raise
        except BaseException:  # whatever it answers now belongs to no image
            self._process.end()
            self._process = None
            raise
        return [Generated(text, 0.0, 0.0) for text in captions[: generation.n]]


class _Process:
    """The running program, with its children in a group of their own."""

    def __init__(self, parts: Sequence[str], name: str) -> None:
        self._name = name
        try:
            self._process = subprocess.Popen(  # noqa: S603  the user's own command, without a shell
                list(parts),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        except (OSError, ValueError) as error:
            raise CapsmithError(f"{name} cannot be started: {getattr(error, 'strerror', None) or error}") from error
        pipes = self._process.stdin, self._process.stdout, self._process.stderr
        self._input, output, errors = (cast(IO[bytes], pipe) for pipe in pipes)
        self._lines: queue.Queue[bytes] = queue.Queue(_AHEAD)
        self._words = bytearray()
        ended = threading.Event()
        threading.Thread(target=_read, args=(output, self._lines, ended), daemon=True).start()
        self._listener = threading.Thread(target=_listen, args=(errors, self._words), daemon=True)
        self._listener.start()
        self.end = weakref.finalize(self, _end, self._process, ended)

    def ask(self, path: str, seconds: float) -> bytes:
        """Returns the program's line for a path."""
        if early := self._early():
            raise CapsmithError(
                f"{self._name} wrote {_shown(early)!r} without having been asked: it may write one line for each path"
            )
        line = b""
        try:
            if early is None:
                self._input.write(os.fsencode(path) + b"\n")
                self._input.flush()
                line = self._lines.get(timeout=seconds)
        except queue.Empty:
            quotes = "" if " " in self._name else "is the whole command in quotation marks, and "
            raise CapsmithError(
                f"{self._name} did not answer within {seconds:g} s: {quotes}does it flush its output? {TIMEOUT} sets "
                "another number of seconds"
            ) from None
        except OSError:  # it has ended
            pass
        if line:
            return line
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        code = self._process.poll()
        how = "closed its output" if code is None else f"ended with exit code {code}"
        raise CapsmithError(f"{self._name} {how} before it answered{self._last_words()}")

    def _early(self) -> bytes | None:
        """Returns what it wrote before it is asked: nothing (None), a line, or the end of its output."""
        try:
            return self._lines.get_nowait()
        except queue.Empty:
            return None

    def _last_words(self) -> str:
        self._listener.join(timeout=0.5)
        lines = bytes(self._words).decode("utf-8", "replace").split("\n")
        said = next((line for line in reversed(lines) if line.strip()), "")
        return f": {escaped(said.strip())[:_SHOWN]}" if said else ""


def _read(output: IO[bytes], lines: "queue.Queue[bytes]", ended: threading.Event) -> None:
    """Hands on lines; an empty one is the end. Only this thread closes the pipe: a child of the program may keep it."""
    line = b"-"
    with suppress(OSError, ValueError), output:
        while line and not ended.is_set():
            line = output.readline(_LINE + 1)
            _hand_on(line, lines, ended)
    if line:
        _hand_on(b"", lines, ended)


def _hand_on(line: bytes, lines: "queue.Queue[bytes]", ended: threading.Event) -> None:
    while not ended.is_set():
        with suppress(queue.Full):
            return lines.put(line, timeout=0.5)


def _listen(errors: IO[bytes], words: bytearray) -> None:
    """Keeps the end of what a program writes to its standard error."""
    with suppress(OSError, ValueError), errors:
        while part := errors.read1(_LAST_WORDS):  # type: ignore[attr-defined]
            words += part
            del words[:-_LAST_WORDS]


def _end(process: "subprocess.Popen[bytes]", ended: threading.Event) -> None:
    """Ends a program and its children."""
    ended.set()
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)
    if process.stdin is not None:
        with suppress(OSError, ValueError):
            process.stdin.close()


def _captions(line: bytes, answer: str, name: str, path: str) -> list[str]:
    """Returns the captions of an answer.

    Raises:
        CapsmithError: It is none.
        ImageError: It says that the image cannot be captioned.
    """
    if len(line) > _LINE:
        raise CapsmithError(f"{answer} with a line of more than {_LINE:,} bytes")
    try:
        values: Any = json.loads(line)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise CapsmithError(f"{answer} with {_shown(line)!r}, which is no JSON object: it may print nothing else")
    if isinstance(values.get("image"), str) and values["image"] != path:
        raise CapsmithError(f"{answer} with a caption of another image, {escaped(values['image'])[:_SHOWN]}")
    if isinstance(values.get("error"), str):
        raise ImageError(f"{name}: {escaped(values['error'])[:_SHOWN]}")
    captions = values.get("captions", [values.get("caption")])
    if not isinstance(captions, list) or not captions or not all(isinstance(one, str) for one in captions):
        raise CapsmithError(f"{answer} without a caption: it needs a key caption, a text")
    return [escaped(" ".join(one.split())) for one in captions]


def _shown(line: bytes) -> str:
    return escaped(line.decode("utf-8", "replace").strip())[:80]


def _timeout() -> float:
    stated = os.environ.get(TIMEOUT, "")
    try:
        seconds = float(stated) if stated else _SECONDS
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 1e6:
        raise ConfigError(f"{TIMEOUT}={escaped(stated)[:40]}: a number of seconds")
    return seconds
