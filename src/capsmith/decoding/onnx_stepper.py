"""An exported decoder that can be searched: onnxruntime computes each step, NumPy orders the state. No Keras.

P images · N rows of a search, a multiple of P · V vocabulary · S state arrays.
"""

from pathlib import Path
from typing import Any

import numpy as np

from capsmith.core.errors import CheckpointError
from capsmith.core.onnx_session import TensorSpec, default_threads, open_session


class OnnxStepper:
    """Implements ``engine.Stepper`` for two ONNX files.

    The first ``n_static`` state arrays belong to the images and are never copied; the others belong to the rows of the
    search, which each step reorders.

    Args:
        start: File of the decoder's start: features to the state before the first word.
        step: File of the decoder's step: words and state to log probabilities and the rows' state after them.
        feature_shape: Shape of the features of one image, (D,) or (L, D).
        n_static: Number of state arrays that belong to the images.
        n_state: S.
        vocabulary_size: V.
        threads: Number of threads; by default two, or one on a single core. A step is too short for more.

    Raises:
        CheckpointError: A file cannot be used, see ``open_session``, or has another vocabulary.
    """

    def __init__(
        self,
        start: Path,
        step: Path,
        feature_shape: tuple[int, ...],
        n_static: int,
        n_state: int,
        vocabulary_size: int,
        threads: int | None = None,
    ) -> None:
        threads = min(2, default_threads()) if threads is None else threads
        self.n_static, self.vocabulary_size, self._path = n_static, vocabulary_size, step
        self._names = [f"state_{number}" for number in range(n_state)]
        features = TensorSpec("features", "float32", (None, *feature_shape))
        state = [TensorSpec(name, None) for name in self._names]
        after = [TensorSpec(f"next_{name}", None) for name in self._names[n_static:]]
        tokens = TensorSpec("tokens", "int32", (None,))
        log_probs = TensorSpec("log_probs", "float32", (None, vocabulary_size))
        self._start = open_session(start, [features], state, threads)
        self._step = open_session(step, [tokens, *state], [log_probs, *after], threads)

    def start(self, features: np.ndarray) -> list[np.ndarray]:
        """Returns the state before the first word for features (P, …)."""
        return self._start({"features": np.ascontiguousarray(features, np.float32)})

    def step(self, tokens_N: np.ndarray, parents_N: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:  # noqa: N803
        """Advances each row by one token; returns log probabilities (N, V) and the next state."""
        static, rows = state[: self.n_static], state[self.n_static :]
        feeds = dict(zip(self._names, (*static, *(array[parents_N] for array in rows)), strict=True))
        feeds["tokens"] = tokens_N
        log_probs, *after = self._step(feeds)
        if log_probs.shape != (len(tokens_N), self.vocabulary_size):
            raise CheckpointError(f"{self._path} gives probabilities {log_probs.shape}: export the run again")
        return log_probs, [*static, *after]

    def attention(self, state: Any) -> np.ndarray:
        """Returns the weights of the regions (N, L) for the last token; the decoder must attend."""
        return np.asarray(state[-1], np.float32)
