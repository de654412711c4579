"""hub: captions equal those of keras-hub's own generate, and their probabilities are the model's."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

if not (find_spec("keras_hub") and find_spec("tensorflow_text") and find_spec("sentencepiece")):
    pytest.skip("needs keras-hub, tensorflow-text and sentencepiece", allow_module_level=True)

from capsmith.core.errors import ConfigError
from capsmith.models.external.generation import Generation
from capsmith.models.external.hub import HubEngine, load_hub
from capsmith.models.external.hub_preset import KIND
from capsmith.vision.hub.presets import preset_handles
from tests.support.tiny_hub_captioners import SAVERS, SIDE

LENGTH = 9
PROMPTS = {"paligemma": "caption en\n", "blip2_opt": "a photo of", "blip2_t5": "a photo of"}


@pytest.fixture(scope="module", params=["paligemma", "blip2_opt", pytest.param("blip2_t5", marks=pytest.mark.slow)])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return SAVERS[request.param](tmp_path_factory.mktemp("hub") / request.param)


@pytest.fixture(scope="module")
def engine(folder: Path) -> HubEngine:
    return load_hub(str(folder))


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def task(folder: Path):
    """The same preset, loaded by keras-hub alone."""
    from keras_hub import models

    names = {"paligemma": "PaliGemmaCausalLM", "blip2_opt": "BLIP2CausalLM", "blip2_t5": "BLIP2Seq2SeqLM"}
    task = getattr(models, names[folder.name]).from_preset(str(folder))
    task.compile(sampler="greedy")  # some sample by default
    return task


def test_captions_equal_those_of_keras_hub(engine, task, folder, pixels):
    prompt, images = PROMPTS[folder.name], pixels.astype(np.float32)
    start = 1  # the start token
    if folder.name == "blip2_t5":
        asked = {"images": images, "encoder_text": [prompt] * 3}
        expected = task.generate(asked, max_length=LENGTH + start)
    else:
        field = "prompts" if folder.name == "paligemma" else "text"
        length = LENGTH + start + len(task.preprocessor.tokenizer(prompt))
        expected = task.generate({"images": images, field: [prompt] * 3}, max_length=length, strip_prompt=True)
    ours = [captions[0].text for captions in engine.generate(pixels, Generation(1, LENGTH))]
    assert ours == [" ".join(text.split()) for text in expected]
    assert len(set(ours)) > 1  # the captions depend on the image


@pytest.mark.parametrize("prefix", ["", "the dog"])
def test_log_probability_is_the_product_of_steps(engine, task, folder, pixels, prefix):
    """Word by word, each with a pass over the words before it; the greedy word must be the most probable one."""
    (generated,) = zip(*engine.generate(pixels, Generation(1, LENGTH, prefix)), strict=True)
    decodes = folder.name == "blip2_t5"
    key = "decoder_token_ids" if decodes else "token_ids"
    mask = key.replace("token_ids", "padding_mask")
    inputs, _, first = engine._inputs(pixels.astype(np.float32), Generation(1, LENGTH, prefix))
    tokens = np.asarray(engine._task.make_generate_function()(inputs, stop_token_ids=engine._stops())[key])
    for row, caption in enumerate(generated[: 1 + (prefix == "")]):
        total, stops = 0.0, engine._stops()
        for place in range(first, tokens.shape[1]):
            part = {name: np.asarray(value)[row : row + 1] for name, value in inputs.items()}
            part[key], part[mask] = tokens[row : row + 1, :place], np.ones((1, place), bool)
            if "response_mask" in part:
                part["response_mask"] = (np.arange(place) >= first)[None]
            logits = np.asarray(task({name: part[name] for name in task.input}), np.float64)[0, -1]
            chosen = int(tokens[row, place])
            assert chosen == logits.argmax()
            total += logits[chosen] - np.logaddexp.reduce(logits)
            if chosen in stops:
                break
        assert caption.log_probability == pytest.approx(total, abs=2e-3)
        assert caption.text.startswith(prefix)


def test_a_caption_depends_neither_on_the_others_nor_on_the_call(engine, pixels):
    together = engine.generate(pixels, Generation(1, LENGTH))
    assert engine.generate(pixels, Generation(1, LENGTH)) == together
    other = engine.generate(np.stack([pixels[1], pixels[0], pixels[1]]), Generation(1, LENGTH))
    assert [captions[0].text for captions in other] == [together[place][0].text for place in (1, 0, 1)]
    logs = [captions[0].log_probability for captions in other]
    assert logs == pytest.approx([together[place][0].log_probability for place in (1, 0, 1)], abs=1e-3)
    assert engine.generate(pixels[:0], Generation(1, LENGTH)) == []


def test_pixels_of_the_right_size_are_only_scaled(engine, folder, pixels):
    """keras-hub's own layer would also resize, without an antialiasing filter."""
    mean = np.array([0.48145466, 0.4578275, 0.40821073])  # BLIP-2's are in its class
    std = np.array([0.26862954, 0.26130258, 0.27577711])
    expected = pixels / 127.5 - 1 if folder.name == "paligemma" else (pixels / 255 - mean) / std
    assert np.abs(engine.preprocess(pixels) - expected).max() <= 1e-5
    assert engine.image_sizes == [engine.image_sizes[0]] and tuple(engine.image_sizes[0]) == (SIDE, SIDE)


@pytest.mark.parametrize("generation", [Generation(3), Generation(1, n=2), Generation(1, 2, "the dog on grass")])
def test_settings_that_do_not_fit_are_errors(engine, pixels, generation):
    with pytest.raises(ConfigError) as caught:
        engine.generate(pixels, generation)
    assert "\n" not in str(caught.value)


def test_the_presets_in_the_docs_are_those_of_the_library():
    known = preset_handles(KIND)
    assert {"pali_gemma_3b_mix_224", "pali_gemma2_mix_3b_448", "blip2_opt_2.7b", "blip2_flan_t5_xl"} <= set(known)
    page = Path(__file__).parents[3] / "docs" / "other_captioners.md"
    if not page.is_file():
        pytest.skip("docs/other_captioners.md is not written yet")
    named = {word.strip("`,.;:)(") for word in page.read_text().replace("hub:", " ").split()}
    named = {word for word in named if word.startswith(("pali_gemma", "blip2_"))}
    assert named and not named - set(known)
