"""What `init` writes for a language: its words for left and right, and the tokeniser."""

import csv

import numpy as np
import pytest
from PIL import Image

from capsmith.cli import main
from capsmith.config import load_config
from capsmith.data.text.language import side_words
from capsmith.data.text.tokens import detokenise, tokenise
from capsmith.evaluation.evaluate import tokeniser
from capsmith.metrics import Scorer

SAID = {
    "English": ("a dog on the left of a tree", "two men, and a ball at the sea", "is it a cat in the snow?"),
    "German": ("ein Hund links auf dem Gras", "die Frau mit einem Hut", "der Mann ist im Wasser und die Katze auch"),
    "Spanish": (
        "¿Es un perro en la playa?",
        "¡Un hombre con la mano izquierda!",
        "Los gatos, en el jardín de la casa.",
    ),
    "Arabic": ("رجل يركب حصاناً، وكلب أسود في البحر.", "هل هذا كلب على العشب؟", "رجل مع طفل؛ كرة على اليسار"),
    "Hindi": ("एक कुत्ता घास पर दौड़ रहा है।", "पानी में एक आदमी और एक लड़का है।", "बाईं ओर एक घोड़ा है॥"),
    "Vietnamese": ("một con chó đang chạy trên cỏ", "hai người với một con ngựa", "một người của các trái cây"),
    "Chinese": ("一只狗在草地左边跑", "两个人骑马", "海边的女人"),
}


def init(folder, monkeypatch, captions):
    """Returns the config for 20 images with these captions."""
    monkeypatch.chdir(folder)
    (folder / "d").mkdir()
    rng = np.random.default_rng(0)
    with (folder / "d" / "c.csv").open("w", encoding="utf-8", newline="") as file:
        rows = [(f"{n}.png", captions[n % len(captions)]) for n in range(20)]
        csv.writer(file).writerows([("image", "caption"), *rows])
    for n in range(20):
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)).save(folder / "d" / f"{n}.png")
    assert main(["init", "d"]) == 0
    return load_config("d.yaml")


@pytest.mark.parametrize(
    ("language", "pairs", "scored"),
    [
        ("English", (("left", "right"),), "coco"),
        ("German", side_words("German"), "simple"),
        ("Hindi", side_words("Hindi"), "simple"),
        ("Vietnamese", (), "simple"),
        ("Chinese", (("左", "右"),), "char"),  # in character mode, only words of one character
    ],
)
def test_the_language_decides_words_and_tokeniser(tmp_path, monkeypatch, capsys, language, pairs, scored):
    config = init(tmp_path, monkeypatch, SAID[language])
    assert f": {language}, " in capsys.readouterr().out
    assert config.training.flip_word_pairs == pairs and tokeniser(config) == scored


@pytest.mark.parametrize(
    ("captions", "scored"), [(("qwrt zxcv", "dfg hjkl"), "coco"), (("ᠮᠣᠩ ᠭᠣᠯ", "ᠬᠦᠮᠦᠨ ᠨᠢᠭᠡ"), "simple")]
)
def test_an_unknown_language_is_scored_by_its_script(tmp_path, monkeypatch, captions, scored):
    assert tokeniser(init(tmp_path, monkeypatch, captions)) == scored


@pytest.mark.parametrize("language", ["Spanish", "Arabic", "Hindi", "German"])
def test_the_references_themselves_score_one(tmp_path, monkeypatch, language):
    """With coco's tokeniser they would not: cleaning removes marks that it keeps."""
    captions = SAID[language]
    config = init(tmp_path, monkeypatch, captions)
    references = {n: [caption] for n, caption in enumerate(captions)}
    perfect = {n: detokenise(tokenise(caption, config.text), config.text) for n, caption in enumerate(captions)}
    score = {name: Scorer(references, ["bleu4"], name).score(perfect)["bleu4"].value for name in ("simple", "coco")}
    assert score[tokeniser(config)] == pytest.approx(1.0)
    assert score["coco"] < 0.95 or language == "German"
