"""Where a decoder with attention looked while it said a sentence.

P pictures · T words · L regions.
"""

from collections.abc import Sequence

import keras
import numpy as np

from capsmith.stepping import DecoderStepper
from capsmith.text.vocabulary import START


def attention_maps(
    stepper: DecoderStepper, features: np.ndarray, sentences: Sequence[Sequence[int]], grid: tuple[int, ...]
) -> list[np.ndarray]:
    """Reads sentences again, and returns how much each region counted for each word.

    Args:
        stepper: A decoder whose ``attends`` is true.
        features: Of the pictures, (P, L, D).
        sentences: What was said of each, as word ids.
        grid: Rows and columns of the regions, whose product is L.

    Returns:
        For each picture (T, rows, columns); each word's weights sum to 1.
    """
    said = np.full((len(sentences), 1 + max(map(len, sentences), default=0)), START, np.int32)
    for row, ids in enumerate(sentences):
        said[row, 1 : len(ids) + 1] = ids
    rows, state, maps = np.arange(len(sentences), dtype=np.int32), stepper.start(features), []
    for position in range(said.shape[1] - 1):
        _, state = stepper.step(said[:, position], rows, state)
        maps.append(keras.ops.convert_to_numpy(state[0][-1]).reshape(-1, *grid))
    path = np.stack(maps, axis=1) if maps else np.zeros((len(sentences), 0, *grid), np.float32)
    return [path[row, : len(ids)] for row, ids in enumerate(sentences)]
