"""The page of `capsmith inspect --augment`: variants of training images and their captions."""

import csv
import re

import numpy as np
import pytest
from PIL import Image

from capsmith.cli import main

CARD = re.compile(
    r'src="images/([0-9a-f]{16}\.jpg)".*?<p class="caption" dir="auto">(.*?)</p>'
    r'(?:\s*<ul class="lines">\s*<li dir="auto">before: (.*?)</li>\s*</ul>)?'
    r'.*?<div class="card-foot"><span title="[^"]*">([^<]*)</span><span>([^<]*)</span>',
    re.DOTALL,
)
LEARNS = ("--set", "encoder.trainable=true")


def write(path, captions):
    """Writes 20 smooth images, all but the last four of the train split, and their captions."""
    (path / "mine").mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for n in range(20):
        rough = Image.fromarray(rng.integers(0, 256, (5, 7, 3), np.uint8))
        rough.resize((90, 60), Image.Resampling.BICUBIC).save(path / "mine" / f"{n}.png")
        rows += [(f"{n}.png", said, "train" if n < 16 else "dev" if n < 18 else "test") for said in captions(n)]
    with (path / "mine" / "c.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("image", "caption", "split"), *rows])
    (path / "mine.yaml").write_text(
        "data: {type: folder, root: mine, captions: c.csv, images: .}\n"
        "text: {min_count: 1}\ndecoder: {type: merge}\nencoder: {type: small_cnn, image_size: 32}\n"
    )


def sides(n):
    """Few captions name a side; where one does, it is the image's second caption."""
    return ("the sea", {3: "a dog on the left of a tree", 11: "a cat on the right"}.get(n, "a boat"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, sides)
    return tmp_path


def shown(*arguments):
    """Returns the page, and for each variant (file, caption, original caption, image, name)."""
    assert main(["inspect", "--config", "mine.yaml", "--augment", "--fast", *arguments]) == 0
    page = open("inspect/mine/index.html", encoding="utf-8").read()
    cards = [figure for figure in page.split("<figure ") if re.search(r"<span>(unchanged|view \d)", figure)]
    return page, [CARD.search(card).groups() for card in cards]


def pixels(folder, file):
    return np.array(Image.open(folder / "inspect" / "mine" / "images" / file), float)


def test_page_without_augmentation_shows_the_defaults(folder):
    page, cards = shown()
    assert "Both are off in this config" in page and "With training.cached_crops: 3, it would use these" in page
    assert "Variants with the default settings" in page and "Variants used in training" not in page
    assert [card[4] for card in cards[:4]] == ["unchanged", "view 1, mirrored", "view 2", "view 3, mirrored"]
    assert "With training.augment: {}, it would use these" in shown(*LEARNS)[0]


def test_page_with_augmentation_shows_what_training_sees(folder):
    page, cards = shown("--set", "training.cached_crops=1")
    assert "Variants used in training" in page and "off in this config" not in page
    assert {card[4] for card in cards} == {"unchanged", "view 1, mirrored"}  # all 16 training images
    page, _ = shown(*LEARNS, "--set", "training.augment={rotate: 20}")
    assert "Variants of training.augment" in page and "off in this config" not in page


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_images_with_changed_captions_come_first(folder, seed):
    """Two of sixteen training images have changed captions, shown beside the original ones."""
    _, cards = shown("--seed", seed)
    assert {card[3] for card in cards[:8]} == {"3.png", "11.png"} and len(cards) == 24
    assert len({card[3] for card in cards}) == 6 and not {"16.png", "17.png", "18.png", "19.png"} & {
        c[3] for c in cards
    }
    dog = {card[4]: card[1:3] for card in cards if card[3] == "3.png"}
    turned = ("a dog on the right of a tree", "a dog on the left of a tree")
    assert dog["view 1, mirrored"] == dog["view 3, mirrored"] == turned
    assert dog["unchanged"] == dog["view 2"] == ("a dog on the left of a tree", None)


def test_mirrored_images_are_mirrored(folder):
    still = "training.augment={crop: 1, rotate: 0, colour: 0}"
    _, cards = shown(*LEARNS, "--set", still)
    seen = {card[4]: pixels(folder, card[0]) for card in cards[:4]}
    for name, expected in (("view 1, mirrored", seen["unchanged"][:, ::-1]), ("view 2", seen["unchanged"])):
        assert np.abs(seen[name] - expected).mean() < 4, name  # JPEG
    assert np.abs(seen["view 1, mirrored"] - seen["unchanged"]).mean() > 10
    _, cards = shown(*LEARNS, "--set", "training.augment={mirror: false}")
    assert not any("mirrored" in card[4] or card[2] for card in cards)


def test_each_image_and_seed_has_its_own_light(folder):
    """Only light varies; on grey images, each factor gives another grey level."""
    for n in range(20):
        Image.new("RGB", (90, 60), (100, 100, 100)).save(folder / "mine" / f"{n}.png")
    how = (*LEARNS, "--set", "training.augment={crop: 1, rotate: 0, colour: 0.5, mirror: false}")
    looks = {}
    for seed in ("0", "1"):
        _, cards = shown(*how, "--seed", seed)
        looks[seed] = {card[3:]: pixels(folder, card[0]).mean() for card in cards}
    for name in ("view 1", "view 2"):
        levels = [round(level) for (_, view), level in looks["0"].items() if view == name]
        assert len(set(levels)) > 3  # of six images
    both = [key for key in looks["0"] if key in looks["1"] and key[1] != "unchanged"]
    assert both and any(abs(looks["0"][key] - looks["1"][key]) > 5 for key in both)
    again = {card[3:]: pixels(folder, card[0]).mean() for card in shown(*how, "--seed", "1")[1]}
    assert again == looks["1"]


def test_pair_with_an_unknown_word_is_not_exchanged(tmp_path, monkeypatch):
    """As in training, where captions of mirrored images contain only words of the vocabulary."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, lambda n: ("a dog on the left",))
    page, cards = shown()
    assert "Not exchanged: left and right." in page and not any(card[2] for card in cards)


def test_subwords_are_not_mirrored(folder):
    page, cards = shown("--set", "text.mode=subword")
    assert "Crops do not support text.mode subword" in page and not cards
    page, cards = shown("--set", "text.mode=subword", *LEARNS)
    assert cards and not any("mirrored" in card[4] for card in cards)
