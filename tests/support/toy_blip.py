"""A BLIP of a few layers with random weights, saved by transformers as the real ones are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

SCALES = {"vision_model": 0.5, "text_decoder": 0.6}
"""Standard deviations of the weights: with these, some captions end, and greedy and beam search differ."""
WORDS = ("a", "photo", "of", "the", "dog", "cat", "man", "surf", "##er", "##s", "red", "ball", "runs", "on", "grass")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SIDE = 32
"""Height and width of its images, in pixels."""


def make_blip(folder: Path, seed: int = 0, side: int = SIDE, **processor: Any) -> Path:
    """Saves a model with its processor, and returns the folder.

    Args:
        folder: Where to.
        seed: Of the weights.
        side: Height and width of its images, in pixels.
        **processor: Arguments of the image processor.
    """
    from capsmith.models.external.blip import hide_broken_torchvision

    hide_broken_torchvision()
    import torch
    from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipProcessor
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    folder.mkdir(parents=True, exist_ok=True)
    words = [*SPECIAL, *WORDS]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(words)})
    sizes = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 3}
    config = BlipConfig(
        text_config={
            **sizes,
            "vocab_size": len(words) + 2,  # as in the real ones, the tokenizer does not know the start token
            "max_position_embeddings": 24,
            "bos_token_id": len(words),
            "sep_token_id": words.index("[SEP]"),
            "eos_token_id": words.index("[SEP]"),
            "pad_token_id": 0,
        },
        vision_config={**sizes, "image_size": side, "patch_size": 8},
    )
    torch.manual_seed(seed)
    model = BlipForConditionalGeneration(config).eval()
    with torch.no_grad():  # large enough that captions depend on the image
        for name, parameter in model.named_parameters():
            if "norm" not in name.lower():
                parameter.normal_(0, SCALES[name.split(".")[0]])
        bias = model.text_decoder.cls.predictions.bias
        bias[: len(SPECIAL)], bias[len(words) :] = -9.0, -9.0
        bias[words.index("[SEP]")] = 0.0
    model.save_pretrained(str(folder))
    images = BlipImageProcessorPil(size={"height": side, "width": side}, **processor)
    BlipProcessor(images, tokenizer).save_pretrained(str(folder))
    return folder


def captions_by_transformers(folder: Path, images: Sequence[Path], **arguments: Any) -> list[str]:
    """Returns the captions of image files by transformers alone: its processor, its generate, its tokenizer."""
    import torch
    from PIL import Image
    from transformers import BlipForConditionalGeneration, BlipProcessor

    model = BlipForConditionalGeneration.from_pretrained(str(folder)).eval()
    processor = BlipProcessor.from_pretrained(str(folder))
    texts = []
    for path in images:
        inputs = processor(images=Image.open(path).convert("RGB"), return_tensors="pt")
        with torch.no_grad():
            (tokens,) = model.generate(**inputs, **arguments)
        texts.append(" ".join(processor.decode(tokens, skip_special_tokens=True).split()))
    return texts
