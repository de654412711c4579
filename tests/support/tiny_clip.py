"""A CLIP preset with random weights, small enough for tests, saved as keras-hub saves real ones."""

from pathlib import Path

WORDS = ("a", "photo", "picture", "of", "dog", "red", "small", "hat", "with")
SIDE, WIDTH, SIZE, LONGEST = 32, 16, 12, 20
"""Pixels of an image's side, dimensions of visual vectors and of the joint space, and tokens of the longest text."""
START, END = "<|startoftext|>", "<|endoftext|>"


def save_tiny_clip(folder: Path, seed: int = 0) -> Path:
    """Saves a preset: 8-pixel patches, one layer an encoder, a tokenizer that knows the bytes and ``WORDS``."""
    import keras
    import keras_hub.models as models
    from keras_hub.layers import CLIPImageConverter

    keras.utils.set_random_seed(seed)
    vocabulary, merges = vocabulary_of(WORDS)
    layer = {"hidden_dim": WIDTH, "num_layers": 1, "num_heads": 2, "intermediate_dim": 24}
    backbone = models.CLIPBackbone(
        models.CLIPVisionEncoder(patch_size=8, image_shape=(SIDE, SIDE, 3), **layer),
        models.CLIPTextEncoder(
            vocabulary_size=len(vocabulary), embedding_dim=WIDTH, max_sequence_length=LONGEST, **layer
        ),
        projection_dim=SIZE,
    )
    backbone.save_to_preset(str(folder))
    models.CLIPTokenizer(vocabulary, merges, pad_with_end_token=True).save_to_preset(str(folder))
    CLIPImageConverter(
        image_size=(SIDE, SIDE),
        scale=[1 / 255 / 0.25, 1 / 255 / 0.26, 1 / 255 / 0.27],
        offset=[-0.48 / 0.25, -0.45 / 0.26, -0.4 / 0.27],
        interpolation="bicubic",
    ).save_to_preset(str(folder))
    return folder


def vocabulary_of(words: tuple[str, ...]) -> tuple[dict[str, int], list[str]]:
    """Returns tokens and merge rules that make each of the words one token; the end token is last, as in CLIP."""
    printable = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 256))]
    bytes_256 = printable + [chr(256 + i) for i in range(256 - len(printable))]
    tokens = bytes_256 + [byte + "</w>" for byte in bytes_256]
    merges: list[str] = []
    for word in words:
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            rule, merged = f"{parts[-2]} {parts[-1]}", parts[-2] + parts[-1]
            if merged not in tokens:
                tokens.append(merged)
                merges.append(rule)
            parts[-2:] = [merged]
    return {token: i for i, token in enumerate([*tokens, START, END])}, merges
