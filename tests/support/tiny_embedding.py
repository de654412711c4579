"""A small joint embedding with random networks, and the run of one, written without training."""

import json
from pathlib import Path

import numpy as np
import yaml

from capsmith.data.text.vocabulary import SPECIALS, Vocabulary
from capsmith.retrieval.heads import ImageHead, TextHead
from capsmith.retrieval.joint_embedding import JointEmbedding

WORDS = ("grey", "a", "there", "ball", "box", "stripe", "red", "green", "blue", "yellow", "on", "is", "one", "it")


def tiny_embedding(channels: int, words: int, seed: int = 0, size: int = 8, pooling: str = "mean") -> JointEmbedding:
    """Returns an embedding of features with this many channels and a vocabulary of this size."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    inputs = channels * (2 if pooling == "mean_max" else 1)
    image = ImageHead(
        pooling,
        {
            "mean": normal(inputs),
            "scale": np.ones(inputs, np.float32),
            "kernel": normal(inputs, size),
            "bias": normal(size),
        },
    )
    text = TextHead("", "mean", {"words": normal(words, 6), "bias": normal(size), "bag_kernel": normal(6, size)})
    return JointEmbedding(
        image, text, normal(channels), normal(channels, 4), normal(5, size).clip(-1, 1).astype(np.float16)
    )


def write_embedding_run(
    folder: Path, captioner: Path, seed: int = 0, output: str | None = None, **changed: object
) -> Path:
    """Writes what a trained run of an embedding over a captioner's encoder holds, as far as judges read it.

    Args:
        folder: The run to write.
        captioner: The run of the captioner, whose encoder and text settings the embedding has.
        seed: Of its random networks.
        output: ``pooled`` or ``grid``; by default that of the captioner.
        **changed: Keys of the encoder's fingerprint.
    """
    folder.mkdir(parents=True)
    config = yaml.safe_load((captioner / "config.yaml").read_text())
    shape = json.loads((captioner / "captioner.json").read_text())["feature_shape"]
    encoder = json.loads((captioner / "encoder.json").read_text())
    if output is not None:
        encoder["fingerprint"]["output"] = output
        config["encoder"]["output"] = output
    encoder["fingerprint"] |= changed
    text = config["text"] | {"lowercase": True}
    vocabulary = Vocabulary([*SPECIALS, *WORDS])
    vocabulary.save(folder / "vocabulary.json")
    (folder / "config.yaml").write_text(yaml.safe_dump({"text": text, "encoder": config["encoder"]}))
    (folder / "encoder.json").write_text(json.dumps(encoder))
    tiny_embedding(shape[-1], len(vocabulary), seed).save(folder / "embedding.npz")
    return folder
