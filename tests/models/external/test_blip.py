"""blip: captions equal those that transformers' own generate gives, and their probabilities are the model's."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

if not (find_spec("transformers") and find_spec("torch")):
    pytest.skip("transformers and torch are not installed: pip install 'capsmith[blip]'", allow_module_level=True)

from capsmith.core.errors import ConfigError
from capsmith.models.external.blip import BlipEngine, load_blip
from capsmith.models.external.generation import Generation
from capsmith.vision.images import load_image
from tests.support.toy_blip import SIDE, make_blip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_blip(tmp_path_factory.mktemp("blip") / "model")


@pytest.fixture(scope="module")
def engine(folder: Path) -> BlipEngine:
    return load_blip(str(folder))


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (6, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def reference(folder: Path):
    """Captions one image by transformers alone, with its own processor."""
    import torch
    from PIL import Image
    from transformers import BlipForConditionalGeneration, BlipProcessor

    model = BlipForConditionalGeneration.from_pretrained(str(folder)).eval()
    processor = BlipProcessor.from_pretrained(str(folder))

    def caption(image: np.ndarray, prefix: str = "", **arguments: int) -> list[tuple[str, list[int]]]:
        text = {"text": prefix} if prefix else {}
        inputs = processor(images=Image.fromarray(image), return_tensors="pt", **text)
        with torch.no_grad():
            tokens = model.generate(**inputs, **arguments)
        texts = processor.batch_decode(tokens, skip_special_tokens=True)
        return [(" ".join(t.split()), row.tolist()) for t, row in zip(texts, tokens, strict=True)]

    return caption


@pytest.mark.parametrize(("beams", "n"), [(1, 1), (3, 3), (4, 2)])
@pytest.mark.parametrize("prefix", ["", "a photo of"])
def test_captions_equal_those_of_transformers(engine, pixels, reference, beams, n, prefix):
    ours = engine.generate(pixels, Generation(beams, 12, prefix, n))
    for image, captions in zip(pixels, ours, strict=True):
        expected = reference(image, prefix, num_beams=beams, max_length=13, num_return_sequences=n)
        assert [caption.text for caption in captions] == [text for text, _ in expected]
    assert len({captions[0].text for captions in ours}) > 2  # the captions depend on the image
    assert all(captions[0].text.startswith(prefix) for captions in ours)


def test_beam_search_finds_more_probable_captions(engine, pixels):
    greedy = engine.generate(pixels, Generation(1, 12))
    beam = engine.generate(pixels, Generation(8, 12, length_penalty=0.0))
    assert any(b[0].text != g[0].text for b, g in zip(beam, greedy, strict=True))
    assert all(b[0].log_probability >= g[0].log_probability - 1e-4 for b, g in zip(beam, greedy, strict=True))


def test_log_probability_is_the_products_of_steps(engine, folder, pixels, reference):
    """Computed word by word, with one forward pass for each, of the tokens that transformers returns."""
    import torch
    from transformers import BlipForConditionalGeneration

    model = BlipForConditionalGeneration.from_pretrained(str(folder)).eval()
    generated = engine.generate(pixels, Generation(1, 12, "the dog"))
    prepared = torch.from_numpy(engine.preprocess(pixels))
    for index, image in enumerate(pixels):
        ((_, tokens),) = reference(image, "the dog", num_beams=1, max_length=13)
        end = tokens.index(3) + 1 if 3 in tokens else len(tokens)
        total = 0.0
        for step in range(1, end):
            with torch.no_grad():
                logits = model(prepared[index : index + 1], torch.tensor([tokens[:step]])).logits
            total += float(torch.log_softmax(logits[0, -1].double(), -1)[tokens[step]])
        assert generated[index][0].log_probability == pytest.approx(total, abs=1e-3)


def test_a_caption_depends_neither_on_its_batch_nor_on_the_call(engine, pixels):
    together = engine.generate(pixels, Generation(3, 12, n=2))
    again = engine.generate(pixels, Generation(3, 12, n=2))
    alone = [engine.generate(pixels[i : i + 1], Generation(3, 12, n=2))[0] for i in range(len(pixels))]
    assert together == again
    for one, other in zip(together, alone, strict=True):
        assert [c.text for c in one] == [c.text for c in other]
        assert [c.log_probability for c in one] == pytest.approx([c.log_probability for c in other], abs=1e-4)


def test_the_length_is_bounded_in_tokens_with_the_prefix(engine, pixels):
    for length in (3, 5):
        texts = [c[0].text for c in engine.generate(pixels, Generation(1, length, "a dog"))]
        assert all(len(text.split()) <= length for text in texts)
    assert engine.generate(pixels[:0], Generation()) == []


@pytest.mark.parametrize(
    "generation",
    [Generation(2, n=3), Generation(n=0), Generation(max_length=24), Generation(max_length=2, prefix="a dog on")],
)
def test_settings_that_do_not_fit_are_errors(engine, pixels, generation):
    with pytest.raises(ConfigError) as caught:
        engine.generate(pixels, generation)
    assert "\n" not in str(caught.value)


def test_saved_and_loaded_again_the_captions_are_the_same(engine, pixels, tmp_path):
    engine._model.save_pretrained(str(tmp_path))
    engine._tokenizer.save_pretrained(str(tmp_path))
    (tmp_path / "preprocessor_config.json").write_text('{"size": {"height": 32, "width": 32}}')  # as before version 5
    assert load_blip(str(tmp_path)).generate(pixels, Generation()) == engine.generate(pixels, Generation())


def test_shards_are_one_model(engine, pixels, tmp_path):
    engine._model.save_pretrained(str(tmp_path), max_shard_size="20KB")
    engine._tokenizer.save_pretrained(str(tmp_path))
    (tmp_path / "preprocessor_config.json").write_text('{"size": {"height": 32, "width": 32}}')
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    assert load_blip(str(tmp_path)).generate(pixels, Generation()) == engine.generate(pixels, Generation())


def test_neither_tensorflow_nor_keras_is_imported(folder):
    code = (
        "import sys, numpy as np\n"
        "from capsmith.models.external.blip import load_blip\n"
        "from capsmith.models.external.generation import Generation\n"
        f"load_blip({str(folder)!r}).generate(np.zeros((1, {SIDE}, {SIDE}, 3), np.uint8), Generation(1, 3))\n"
        "sys.exit(bool({'tensorflow', 'keras', 'jax'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 0


def test_images_are_loaded_as_the_processor_does(engine, reference, tmp_path):
    """A file of another size, through capsmith's loader, against transformers' own path."""
    from PIL import Image

    image = np.random.default_rng(1).integers(0, 256, (40, 70, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "photo.png")
    pixels = load_image(tmp_path / "photo.png", engine.image_sizes[0])[None]
    ((expected, _),) = reference(image, num_beams=1, max_length=13)
    assert engine.generate(pixels, Generation(1, 12))[0][0].text == expected
