"""The models of a service: loaded in the background, each with its batcher, and their search bounded for requests."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from capsmith.core.errors import CapsmithError, ConfigError, escaped
from capsmith.core.starter import STARTER, is_starter, model_path
from capsmith.deploy.serving.batcher import Batcher, Observer
from capsmith.deploy.serving.bounds import check_bounds
from capsmith.deploy.serving.embedding.embeddings import Embeddings
from capsmith.deploy.serving.settings import ServeSettings
from capsmith.models.external.names import is_external
from capsmith.models.model_paths import is_model
from capsmith.models.wishes import resolve

EXTERNAL = "external"
"""The kind of third-party captioners."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}")
_OTHER = re.compile(r"[^A-Za-z0-9._\-]+")


class NotReady(CapsmithError):
    """The models are still being loaded."""


class UnknownModel(CapsmithError):
    """A request names a model that is not served."""


class NamedPath(NamedTuple):
    """A model of the command line.

    Attributes:
        name: Its name in requests.
        path: Its run, export or saved ensemble.
        external: In place of a path, the name of a third-party captioner.
    """

    name: str
    path: Path
    external: str = ""


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A loaded model.

    Attributes:
        name: Its name in requests.
        kind: ``run``, ``export``, ``ensemble`` or ``external``.
        captioner: The captioner, which only the batcher calls.
        batcher: Captions images.
        trained_on: What it was trained on, in a few words; empty if unknown.
    """

    name: str
    kind: str
    captioner: Any
    batcher: Batcher
    trained_on: str = ""

    @property
    def attends(self) -> bool:
        """Whether it can show where it looked for each word."""
        found = getattr(self.captioner, "attends", None)
        return any(member.attends for member in self.captioner.members) if found is None else bool(found)

    @property
    def image_sizes(self) -> list[tuple[int, int]]:
        """Height and width of the pixels that each different encoder takes."""
        sizes: list[tuple[int, int]] = getattr(self.captioner, "image_sizes", None) or self.captioner._image_sizes
        return sizes

    def decoding(self, options: Mapping[str, Any]) -> Any:
        """Returns the search that a request asks for; any thread may call this.

        Args:
            options: ``search`` (``greedy``, ``beam`` or ``sample``), and settings of it, see ``bounds.BOUNDS``; those
                that are missing are the model's.

        Raises:
            ConfigError: An option is unknown, out of bounds, or does not fit the others or the vocabulary.
        """
        check_bounds(options)
        search = options.get("search")
        settings = {name: value for name, value in options.items() if name != "search"}
        try:
            decoding = self.captioner.chosen(search, settings)
        except ConfigError as error:
            raise self.renamed(error) from error
        if settings and self.kind != EXTERNAL:  # not with captioner.wishes(…), of the batcher's thread
            resolve(decoding, self.captioner.vocabulary, self.captioner.config.text)
        return decoding

    def renamed(self, error: ConfigError) -> ConfigError:
        """Returns an error for clients: a third-party captioner calls itself by a path or a command."""
        own = self.captioner.engine.name if self.kind == EXTERNAL else ""
        return ConfigError(str(error).replace(own, self.name)) if own else error

    def describe(self) -> dict[str, Any]:
        """Returns what a client should know about it: no path, nothing about the machine."""
        values = self.captioner.config.decoding.model_dump(mode="json")
        return {
            "name": self.name,
            "kind": self.kind,
            "attends": self.attends,
            "words": 0 if self.kind == EXTERNAL else len(self.captioner.vocabulary),
            "trained_on": self.trained_on,
            "image_sizes": [list(size) for size in self.image_sizes],
            "decoding": {key: value for key, value in values.items() if key != "exclude_file"},
        }


@dataclass(eq=False)
class Models:
    """The models of a service. They are ready at once if they are given, or loaded by ``start``.

    Attributes:
        names: The names of all models, also of those that are not loaded yet; the first one is the default.
        error: Why loading failed; None if it did not.
        embeddings: Libraries and indexes, which are loaded after the models.
    """

    served: dict[str, ServedModel] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    error: Exception | None = None
    embeddings: Embeddings = field(default_factory=Embeddings)
    _loading: threading.Thread | None = None

    @classmethod
    def of(cls, *models: ServedModel) -> "Models":
        """Returns loaded models."""
        return cls({model.name: model for model in models}, [model.name for model in models])

    @property
    def ready(self) -> bool:
        """Whether all models are loaded."""
        return bool(self.names) and len(self.served) == len(self.names)

    @property
    def default(self) -> str:
        """Name of the model that a request gets that names none."""
        return self.names[0]

    def __iter__(self) -> Iterator[ServedModel]:
        """The loaded models."""
        return iter(list(self.served.values()))

    def get(self, name: str | None = None) -> ServedModel:
        """Returns a model by its name, by default the first.

        Raises:
            UnknownModel: There is none of this name.
            NotReady: The models are still being loaded.
        """
        if name is not None and name not in self.names:
            known = ", ".join(self.names)
            raise UnknownModel(f"model: {escaped(name)[:64]!r} is not served here (one of: {known})")
        if not self.ready:
            raise NotReady("the models are still being loaded")
        return self.served[self.default if name is None else name]

    def describe(self) -> list[dict[str, Any]]:
        """Returns ``ServedModel.describe`` of each loaded model, with ``default``."""
        return [model.describe() | {"default": model.name == self.default} for model in self]

    def start(self, loads: "Mapping[str, Callable[[], ServedModel]]", done: Callable[[], None]) -> None:
        """Loads models in a thread.

        Args:
            loads: Loads each model, by name; the first is the default.
            done: Called by the thread when all are loaded, the embeddings too, or ``error`` is set.
        """
        self.names = list(loads)

        def run() -> None:
            try:
                for name, load in loads.items():
                    self.served[name] = load()
                self.embeddings.load()
            except Exception as error:
                self.error = error
            done()

        self._loading = threading.Thread(target=run, name="load models", daemon=True)
        self._loading.start()

    def give_up(self) -> None:
        """Ends all accepted requests with ``batcher.Closed``."""
        for model in self:
            model.batcher.give_up()
        self.embeddings.give_up()

    @property
    def busy(self) -> bool:
        """Whether a model is being loaded, or a closed one still computes."""
        loading = self._loading is not None and self._loading.is_alive()
        return loading or self.embeddings.busy or any(model.batcher.is_alive for model in self)

    async def close(self) -> None:
        """Finishes all accepted images."""
        for model in self:
            await model.batcher.close()
        await self.embeddings.close()


def named_paths(arguments: Sequence[str]) -> list[NamedPath]:
    """Returns the models of a command line: each ``PATH`` or ``NAME=PATH``; without any the starter.

    Raises:
        ConfigError: A name is invalid or occurs twice.
        CheckpointError: A path is not a model.
    """
    found = [_named(argument) for argument in arguments or [STARTER]]
    for place, one in enumerate(found):
        if one.name in [other.name for other in found[:place]]:
            raise ConfigError(
                f"two models are called {one.name}: give one another name, as in "
                f"{one.name}-2={one.external or one.path}"
            )
    return found


def _named(argument: str) -> NamedPath:
    name, equals, rest = argument.partition("=")
    if is_external(argument):
        return NamedPath(_external_name(argument), Path(), argument)
    if not equals or is_model(argument):
        path = model_path(argument)
        return NamedPath(STARTER if is_starter(argument) else _name_of(path), path)
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name[:80]}={rest[:80]}: the name of a model has up to 64 letters, digits, dots, dashes and underscores"
        )
    if not rest:
        raise ConfigError(f"{name}=: the path of the model is missing")
    return NamedPath(name, Path(), rest) if is_external(rest) else NamedPath(name, model_path(rest))


def _name_of(path: Path) -> str:
    return _short(path.absolute().resolve().stem if path.is_file() else path.absolute().resolve().name)


def _external_name(argument: str) -> str:
    words = argument.partition(":")[2].split()
    return _short(Path(words[0]).name if words else "")


def _short(name: str) -> str:
    """Returns a text as the name of a model."""
    return _OTHER.sub("-", name).strip("-._")[:64] or "model"


def served_model(
    name: str,
    captioner: Any,
    settings: ServeSettings,
    trained_on: str = "",
    keras: bool = False,
    observe: Observer | None = None,
) -> ServedModel:
    """Returns a captioner as a model of a service.

    Args:
        name: Its name.
        captioner: The captioner; from now on only its batcher may call it.
        settings: The limits.
        trained_on: What it was trained on.
        keras: It is a Keras model, not an export.
        observe: Told about each batch.
    """
    batcher = Batcher(
        captioner, name, settings.max_batch, settings.max_wait, settings.max_queue, keras=keras, observe=observe
    )
    kind = "ensemble" if len(getattr(captioner, "members", ())) > 1 else "run" if keras else "export"
    if hasattr(captioner, "engine"):
        kind = EXTERNAL
    return ServedModel(name, kind, captioner, batcher, trained_on)
