"""One image, from file to caption, and the CNN alone on the same image."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import startup
from benchmarks.speed.contest import Round
from benchmarks.speed.corpus import images, vocabulary
from benchmarks.speed.decoders import WORDS, never_ending

if TYPE_CHECKING:
    from capsmith.models.captioner import Captioner


def untrained(encoder: str, decoder: str) -> "Captioner":
    """Returns a captioner with random weights, which is as fast as a trained one."""
    from capsmith.config import load_config
    from capsmith.models.caption_model import build_model
    from capsmith.models.captioner import Captioner
    from capsmith.models.keras_member import KerasMember
    from capsmith.vision.config import EncoderConfig
    from capsmith.vision.encoder import build_encoder

    attends = decoder not in ("merge", "inject")
    output = "grid" if attends else "pooled"
    sets = [f"encoder={{type: {encoder}, weights: none, output: {output}}}"]
    config = load_config("flickr8k_attention.yaml" if attends else "flickr8k.yaml", [*sets, f"decoder.type={decoder}"])
    built = build_encoder(EncoderConfig.model_validate(config.encoders[0].model_dump()))
    words = vocabulary()
    model = build_model(config, words, built.feature_shape, None, None)
    return Captioner([KerasMember(config, words, model, built.feature_shape, built)])


def caption(encoder: str, decoder: str, times: int) -> Round:
    """``Captioner.caption(path)``, beam 5, captions of 12 words."""
    from capsmith.decoding.config import BeamConfig

    captioner = untrained(encoder, decoder)
    never_ending(captioner.model.decoder)
    folder = tempfile.TemporaryDirectory()
    path = images(Path(folder.name), 1)[0][1]
    how = BeamConfig(beam_size=5, max_length=WORDS)
    captioner.caption(path, how)

    def work() -> float:
        for _ in range(times):
            captioner.caption(path, how)
        return times if folder else 0  # the folder lives as long as this function

    return work


def alone(encoder: str, decoder: str, times: int) -> Round:
    """The CNN on one decoded image."""
    captioner = untrained(encoder, decoder)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), np.uint8)
    captioner.encode(pixels)

    def work() -> float:
        for _ in range(times):
            captioner.encode(pixels)
        return times

    return work


def cold(encoder: str, decoder: str, runs: int = 3) -> float:
    """Returns the median seconds of ``capsmith caption RUN IMAGE`` in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        command = [sys.executable, "-m", "benchmarks.speed.latency", encoder, decoder, str(place / "run")]
        subprocess.run(command, check=True, capture_output=True)
        path = images(place, 1)[0][1]
        return startup.seconds("caption", str(place / "run"), str(path), runs=runs)


if __name__ == "__main__":
    untrained(sys.argv[1], sys.argv[2]).save(sys.argv[3])
