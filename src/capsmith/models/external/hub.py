"""Image-to-text models of keras-hub as captioners: ``hub:PRESET_OR_FOLDER``. PaliGemma 1 and 2, and BLIP-2.

B images · T tokens · V vocabulary.

Captions are greedy: keras-hub's beam search keeps extending finished beams. Each model is asked with the prompt that it
was trained on; a prefix follows the prompt.
"""

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np

from capsmith.core.errors import CheckpointError, ConfigError, escaped, one_line, out_of_memory
from capsmith.decoding.config import GreedyConfig
from capsmith.models.external.generation import Generated, Generation
from capsmith.models.external.hub_preset import KIND, CaptionerPreset, read_captioner_preset
from capsmith.vision.framing import ImageSize
from capsmith.vision.hashes import json_sha256
from capsmith.vision.hub.presets import ADVICE, file_hashes, import_keras_hub, preset_folder

METHOD = "hub captioner 1"
"""Changes when the same files would give other captions."""
_MOST_LOGITS = 2**26  # numbers of logits at a time: 256 MB


def load_hub(name: str) -> "HubEngine":
    """Loads an image-to-text model of keras-hub.

    Args:
        name: A folder, or the name of a preset, such as ``pali_gemma_3b_mix_224``; without ``hub:``.

    Raises:
        CheckpointError: The folder is incomplete or damaged, or holds another kind of model.
        ConfigError: There is neither such a folder nor such a preset, or its files cannot be had.
        MissingExtraError: keras-hub is not installed.
    """
    if not name.strip():
        raise ConfigError("hub: needs a folder, or the name of a preset such as pali_gemma_3b_mix_224")
    preset = read_captioner_preset(preset_folder(name, KIND))  # before keras-hub is imported, which takes seconds
    return HubEngine(preset, f"{KIND.prefix}{name}", import_keras_hub(KIND.prefix, KIND.extra).models)


class HubEngine:
    """A model of keras-hub behind ``models.external.engine.CaptionEngine``. One thread at a time uses it.

    Args:
        preset: The checked preset.
        name: The model for people.
        models: The module ``keras_hub.models``.

    Raises:
        CheckpointError: The files are damaged, or do not belong together.
    """

    decoding = GreedyConfig(max_length=20)
    settings = frozenset({"max_length", "prefix"})

    def __init__(self, preset: CaptionerPreset, name: str, models: Any) -> None:
        self.name = name
        self._preset, self._family = preset, preset.family
        self._task = _load(preset, models)
        self._tokenizer = self._task.preprocessor.tokenizer
        self._lock = threading.Lock()

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything that captions depend on but the search."""
        return json_sha256({"method": METHOD, "files": file_hashes(self._preset.folder, KIND)})

    @property
    def image_sizes(self) -> list[ImageSize]:
        """Height and width of the pixels, as the only element."""
        return [self._preset.image_size]

    def preprocess(self, pixels: np.ndarray) -> np.ndarray:
        """Returns pixels (B, H, W, 3) in 0–255 as the network takes them, by keras-hub's own layer."""
        return _numpy(self._task.preprocessor.image_converter(np.asarray(pixels, np.float32)))

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Returns the pixels (B, H, W, 3), float32: keras-hub encodes images as it generates."""
        return np.asarray(pixels, np.float32)

    def decode(self, features: np.ndarray, generation: Generation) -> list[list[Generated]]:
        """Returns one caption for each of B images.

        Args:
            features: (B, H, W, 3), of ``encode``.
            generation: How to generate them.

        Raises:
            ConfigError: A beam or several captions are asked for, or the prefix leaves no room.
        """
        if generation.beam_size != 1 or generation.n != 1:
            raise ConfigError(f"{self.name} captions greedily, one caption an image: beam_size and n are 1")
        if not len(features):
            return []
        with self._lock, _explained(self.name):
            inputs, first, given = self._inputs(features, generation)
            stops = self._stops()
            made = self._task.make_generate_function()(inputs, stop_token_ids=stops)
            tokens = _numpy(made[self._key("token_ids")]).astype(np.int64)
            return [[each] for each in self._captions(inputs, tokens, first, given, stops)]

    def generate(self, pixels: np.ndarray, generation: Generation) -> list[list[Generated]]:
        """Returns one caption for each of B images: pixels (B, H, W, 3) in 0–255."""
        return self.decode(self.encode(pixels), generation)

    def _key(self, name: str) -> str:
        return f"decoder_{name}" if self._family.decodes else name

    def _inputs(self, pixels: np.ndarray, generation: Generation) -> tuple[dict[str, Any], int, int]:
        """Returns the prepared inputs, and the places of a caption's first token and of the first after the prefix."""
        prefix, family, images = " ".join(generation.prefix.split()), self._family, len(pixels)
        if family.decodes:
            texts = {family.field: [family.prompt] * images, "decoder_text": [prefix] * images}
            before, used = 1, 1 + len(self._ids(prefix))
        else:
            asked = family.prompt if family.asks or not prefix else ""
            texts = {family.field: [asked + prefix] * images}
            before, used = (self._starts + len(self._ids(text)) for text in (asked, asked + prefix))
        if used - before >= generation.max_length:
            raise ConfigError(
                f"the prefix has {used - before} tokens, which leaves none of max_length {generation.max_length}"
            )
        limit = "decoder_sequence_length" if family.decodes else "sequence_length"
        inputs = self._task.preprocessor.generate_preprocess(
            {"images": pixels, **texts}, **{limit: before + generation.max_length}
        )
        return dict(inputs), before, used

    @property
    def _starts(self) -> int:
        """Number of start tokens before the prompt."""
        return int(bool(self._task.preprocessor.add_start_token))

    def _ids(self, text: str) -> list[int]:
        return [int(i) for i in np.asarray(_numpy(self._tokenizer(text))).ravel()] if text else []

    def _stops(self) -> list[int]:
        stops = [int(self._tokenizer.end_token_id)]
        if self._family.line and len(line := self._ids("\n")) == 1:
            stops += line  # OPT was trained on captions that end with their line
        return stops

    def _captions(
        self, inputs: dict[str, Any], tokens: np.ndarray, first: int, given: int, stops: Sequence[int]
    ) -> Iterator[Generated]:
        ends = [next((t for t in range(given, len(row)) if row[t] in stops), len(row)) for row in tokens]
        logs = self._log_probabilities(inputs, tokens, given, ends)
        for row, end, log in zip(tokens, ends, logs, strict=True):
            text = self._text(row[:end]).removeprefix(self._text(row[:first]))  # only a whole text keeps its spaces
            yield Generated(" ".join(text.split()), log, log)

    def _text(self, ids: np.ndarray) -> str:
        special = set(map(int, self._tokenizer.special_token_ids))
        kept = [int(i) for i in ids if int(i) not in special]
        return str(self._tokenizer.detokenize(kept)) if kept else ""

    def _log_probabilities(
        self, inputs: dict[str, Any], tokens: np.ndarray, first: int, ends: Sequence[int]
    ) -> list[float]:
        """Returns the log probability of each caption from a place on, with the end token, by teacher forcing.

        The prefix is not counted: PaliGemma attends to all of a prompt at once, so its words have no probabilities.
        """
        length = tokens.shape[1]
        place = np.arange(length)[None]
        last = np.minimum(np.array(ends)[:, None] + 1, length)  # with the end token
        given = {name: _numpy(value) for name, value in inputs.items()}
        given[self._key("token_ids")], given[self._key("padding_mask")] = tokens, place < last
        if "response_mask" in given:
            given["response_mask"] = (place >= first) & (place < last)
        size = max(1, _MOST_LOGITS // (length * self._tokenizer.vocabulary_size()))
        logs: list[float] = []
        for start in range(0, len(tokens), size):
            part = {name: value[start : start + size] for name, value in given.items()}
            logits = _numpy(self._task({name: part[name] for name in self._task.input})).astype(np.float32)
            logits = logits[:, first - 1 : length - 1] - logits[:, first - 1 : length - 1].max(-1, keepdims=True)
            targets = part[self._key("token_ids")][:, first:]
            chosen = np.take_along_axis(logits, targets[..., None], -1)[..., 0] - np.log(np.exp(logits).sum(-1))
            logs += (chosen * (place[:, first:] < last[start : start + size])).sum(-1).astype(float).tolist()
        return logs


def _load(preset: CaptionerPreset, models: Any) -> Any:
    warnings.filterwarnings("ignore", message=r"Layer '\w+_attention' \(of type T5")  # each time that it is built
    try:
        task = getattr(models, preset.family.task).from_preset(str(preset.folder))
        task.compile(sampler="greedy")
        converter, size = task.preprocessor.image_converter, task.preprocessor.tokenizer.vocabulary_size()
    except Exception as error:  # keras-hub raises nearly every kind of exception for damaged files
        if out_of_memory(error):
            raise CheckpointError(f"{preset.folder}: the model is too large for this machine's memory") from error
        raise CheckpointError(f"{preset.folder} is damaged: {escaped(one_line(error))[:200]}; {ADVICE}") from error
    if converter is None or size > task.backbone.token_embedding.input_dim:
        fault = "it has no image converter" if converter is None else "the vocabulary is larger than the model's"
        raise CheckpointError(f"{preset.folder}: {fault}; {ADVICE}")
    return task


def _numpy(tensor: Any) -> np.ndarray:
    from keras import ops

    return np.asarray(ops.convert_to_numpy(tensor))


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turns failed allocations of any backend into MemoryError."""
    try:
        yield
    except Exception as error:
        if out_of_memory(error) and not isinstance(error, MemoryError):
            raise MemoryError(f"{name}: {one_line(error)[:200]}") from error
        raise
