"""BLIP captioners of transformers (Li et al. 2022): ``blip:NAME_OR_FOLDER``. They run on the CPU, by PyTorch.

B images · L regions · D channels · N captions · T tokens.

A caption begins with a start token; a prefix, such as ``a photography of``, follows it (conditional captioning).
"""

import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from capsmith.core.errors import CheckpointError, ConfigError, MissingExtraError, escaped, one_line, out_of_memory
from capsmith.decoding.config import BeamConfig
from capsmith.models.external.blip_folder import ADVICE, CONFIG, OPTIONAL, BlipFolder, read_blip
from capsmith.models.external.generation import Generated, Generation
from capsmith.models.external.hugging_face import repository_folder
from capsmith.vision.framing import ImageSize

PREFIX, EXTRA = "blip:", "blip"
METHOD = "blip 1"
"""Changes when the same files would give other captions."""


def load_blip(name: str) -> "BlipEngine":
    """Loads a BLIP captioner.

    Args:
        name: A folder, or a repository of Hugging Face, such as ``Salesforce/blip-image-captioning-base``; without
            ``blip:``.

    Raises:
        CheckpointError: The folder is incomplete or damaged, or holds another kind of model.
        ConfigError: There is no such folder, or the repository's files cannot be had.
        MissingExtraError: transformers or torch is not installed.
    """
    if not name.strip():
        raise ConfigError(f"{PREFIX} needs a folder, or a name such as Salesforce/blip-image-captioning-base")
    for package in ("transformers", "torch"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, EXTRA, PREFIX)
    folder = Path(name).expanduser()
    if not folder.is_dir():
        if folder.exists() or name.startswith((".", "/", "~")):
            raise ConfigError(f"{PREFIX}{escaped(name)}: no such folder")
        folder = repository_folder(PREFIX, name, EXTRA, [CONFIG], OPTIONAL)
    blip = read_blip(folder)  # before PyTorch is imported, which takes seconds
    return BlipEngine(blip, f"{PREFIX}{name}", _import_packages())


class BlipEngine:
    """A BLIP captioner behind the interface ``models.external.engine.CaptionEngine``. One thread at a time uses it.

    By default it searches as in the paper: three beams, no length penalty beyond the mean, at most 20 tokens.

    Args:
        blip: The checked folder.
        name: The model for people.
        packages: PyTorch and transformers.

    Raises:
        CheckpointError: The files are damaged, or do not belong together.
    """

    settings = frozenset({"beam_size", "max_length", "length_penalty", "prefix", "n"})

    def __init__(self, blip: BlipFolder, name: str, packages: "_Packages") -> None:
        self.name = name
        self._blip, self._torch = blip, packages.torch
        self.decoding = BeamConfig(beam_size=3, max_length=min(20, self.max_length), length_penalty=1.0)
        self._lock = threading.Lock()
        self._tokenizer = _tokenizer(blip, packages)
        self._model = _model(blip, packages)
        self._config = packages.generation

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything that captions depend on but the search."""
        return self._blip.fingerprint(METHOD)

    @property
    def image_sizes(self) -> list[ImageSize]:
        """Height and width of the pixels, as the only element."""
        return [self._blip.image_size]

    @property
    def max_length(self) -> int:
        """Tokens of the longest caption that the model can generate."""
        return self._blip.text.max_position_embeddings - 1

    def preprocess(self, pixels: np.ndarray) -> np.ndarray:
        """Returns pixels (B, H, W, 3) in 0–255 as the network takes them: (B, 3, H, W) float32."""
        return self._blip.preprocess(pixels)

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Returns the image encoder's output (B, L, D), float32, for pixels (B, H, W, 3) in 0–255."""
        torch = self._torch
        with self._lock, torch.inference_mode(), _explained(self.name):
            output = self._model.vision_model(pixel_values=torch.from_numpy(self.preprocess(pixels)))
            features: np.ndarray = output.last_hidden_state.numpy()
        return features

    def decode(self, features: np.ndarray, generation: Generation) -> list[list[Generated]]:
        """Returns captions, best first, for each of B images.

        Args:
            features: (B, L, D), of ``encode``.
            generation: How to generate them.

        Raises:
            ConfigError: The prefix or ``max_length`` does not fit the model, or ``n`` is larger than the beam.
        """
        prompt = self._prompt(generation)
        torch, images = self._torch, len(features)
        if not images:
            return []
        with self._lock, torch.inference_mode(), _explained(self.name):
            grid = torch.from_numpy(np.ascontiguousarray(features, np.float32))
            mask = torch.ones(grid.shape[:2], dtype=torch.long)
            result = self._model.text_decoder.generate(
                input_ids=torch.tensor([prompt] * images),
                encoder_hidden_states=grid,
                encoder_attention_mask=mask,
                generation_config=self._settings(generation),
            )
            logs = self._log_probabilities(result.sequences, grid, mask, generation.n).tolist()
        scores = logs if generation.beam_size == 1 else result.sequences_scores.tolist()
        texts = self._tokenizer.batch_decode(result.sequences[:, 1:], skip_special_tokens=True)
        made = [Generated(" ".join(t.split()), log, score) for t, log, score in zip(texts, logs, scores, strict=True)]
        return [made[first : first + generation.n] for first in range(0, len(made), generation.n)]

    def generate(self, pixels: np.ndarray, generation: Generation) -> list[list[Generated]]:
        """Returns captions, best first, for each of B images: pixels (B, H, W, 3) in 0–255."""
        return self.decode(self.encode(pixels), generation)

    def _prompt(self, generation: Generation) -> list[int]:
        """Returns the start token and those of the prefix."""
        if not 1 <= generation.n <= generation.beam_size:
            raise ConfigError(f"{self.name}: {generation.n} captions need a beam_size of {generation.n} or more")
        if generation.max_length > self.max_length:
            raise ConfigError(f"max_length {generation.max_length}: {self.name} has positions for {self.max_length}")
        prompt = [self._blip.text.bos_token_id]
        if generation.prefix.strip():
            prompt += self._tokenizer(generation.prefix.strip(), add_special_tokens=False)["input_ids"]
        if len(prompt) > generation.max_length:
            raise ConfigError(
                f"the prefix has {len(prompt) - 1} tokens, which leaves none of max_length {generation.max_length}"
            )
        return prompt

    def _settings(self, generation: Generation) -> Any:
        text = self._blip.text
        return self._config(
            max_length=generation.max_length + 1,  # with the start token
            num_beams=generation.beam_size,
            num_return_sequences=generation.n,
            length_penalty=generation.length_penalty,
            do_sample=False,
            bos_token_id=text.bos_token_id,
            eos_token_id=text.sep_token_id,
            pad_token_id=text.pad_token_id,
            return_dict_in_generate=True,
            output_scores=generation.beam_size > 1,
        )

    def _log_probabilities(self, sequences: Any, grid: Any, mask: Any, n: int) -> Any:
        """Returns the log probability of each sequence (N, T), from the start token to the end token.

        Teacher forcing over whole captions: whatever the search did to its scores, this is the model's probability.
        """
        torch, text = self._torch, self._blip.text
        inputs, targets = sequences[:, :-1], sequences[:, 1:]
        logits = self._model.text_decoder(
            input_ids=inputs,
            attention_mask=torch.ones_like(inputs),
            encoder_hidden_states=grid.repeat_interleave(n, 0),
            encoder_attention_mask=mask.repeat_interleave(n, 0),
        ).logits
        logs = torch.log_softmax(logits.float(), -1).gather(-1, targets[..., None])[..., 0]
        ended = (targets == text.sep_token_id).cumsum(-1) - (targets == text.sep_token_id).long()
        return (logs * (ended == 0)).sum(-1).double()


class _Packages(NamedTuple):
    """What BLIP needs of PyTorch and transformers; neither imports TensorFlow."""

    torch: Any
    config: Any
    model: Any
    tokenizer: Any
    generation: Any


def _import_packages() -> _Packages:
    hide_broken_torchvision()
    try:
        transformers = importlib.import_module("transformers")
        names = "BlipConfig", "BlipForConditionalGeneration", "BertTokenizer", "GenerationConfig"
        found = _Packages(importlib.import_module("torch"), *(getattr(transformers, name) for name in names))
    except Exception as error:  # packages of versions that do not fit together
        raise ConfigError(
            f"{PREFIX} transformers does not work: {one_line(error)[:200]}; pip install 'capsmith[{EXTRA}]'"
        ) from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return found


def hide_broken_torchvision() -> None:
    """Hides a torchvision that was built for another torch: transformers would fail to import it, and needs none here.

    It has to be called before transformers is imported.
    """
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except Exception:  # raises RuntimeError for missing operators
        sys.modules["torchvision"] = None  # type: ignore[assignment]  # what Python looks up for "not installed"


def _tokenizer(blip: BlipFolder, packages: _Packages) -> Any:
    try:
        tokenizer = packages.tokenizer.from_pretrained(str(blip.folder), local_files_only=True)
        size = len(tokenizer)
    except Exception as error:  # the library raises nearly every kind of exception for a damaged file
        raise CheckpointError(f"{blip.folder}: the tokenizer is damaged ({one_line(error)[:150]}); {ADVICE}") from error
    if size > blip.text.vocab_size:
        raise CheckpointError(
            f"{blip.folder}: the tokenizer has {size:,} tokens, the model {blip.text.vocab_size:,}; {ADVICE}"
        )
    return tokenizer


def _model(blip: BlipFolder, packages: _Packages) -> Any:
    try:
        config = packages.config.from_dict(blip.config)
        model, info = packages.model.from_pretrained(
            str(blip.folder),
            config=config,
            local_files_only=True,
            use_safetensors=True,
            dtype=packages.torch.float32,
            output_loading_info=True,
        )
    except Exception as error:
        if out_of_memory(error):
            raise CheckpointError(f"{blip.folder}: the model is too large for this machine's memory") from error
        raise CheckpointError(
            f"{blip.folder}: its files do not fit together ({one_line(error)[:200]}); {ADVICE}"
        ) from error
    wrong: Sequence[Any] = sorted(map(str, [*info["missing_keys"], *info.get("mismatched_keys", ())]))
    if wrong:
        raise CheckpointError(f"{blip.folder}: the weights lack {escaped(wrong[0])[:100]}; {ADVICE}")
    model.text_decoder.generation_config = packages.generation()  # none of the folder's settings
    return model.eval()


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turns PyTorch's failed allocations into MemoryError."""
    try:
        yield
    except RuntimeError as error:
        if out_of_memory(error):
            raise MemoryError(f"{name}: {one_line(error)[:200]}") from error
        raise
