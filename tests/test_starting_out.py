"""`capsmith init` over folders as people have them."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from capsmith.cli import main
from capsmith.config import load_config
from capsmith.data.guess import guess_dataset
from capsmith.data.records import read_dataset
from capsmith.errors import DataError
from capsmith.features.likeness import alike, grey
from capsmith.suggest import suggested_length, suggested_min_count, suggested_split
from capsmith.survey import survey
from capsmith.text.config import TextConfig
from capsmith.text.language import writing_of

WORDS = ("a red ball", "two dogs in the snow", "one green box on grey", "a man with a hat", "the sea at night")


def scene(seed, size=(96, 64)):
    """A picture of its own for every seed."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)


def pictures(folder, count=20, ending="jpg", first=0):
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(first, first + count):
        scene(n).save(folder / f"p{n}.{ending}", quality=90)
    return [f"p{n}.{ending}" for n in range(first, first + count)]


def table(path, head, rows, mark=","):
    text = io.StringIO()
    csv.writer(text, delimiter=mark, lineterminator="\n").writerows([head, *rows])
    path.write_text(text.getvalue(), encoding="utf-8")


def captioned(names):
    return [(name, f"{WORDS[n % len(WORDS)]} number {n}") for n, name in enumerate(names)]


@pytest.mark.parametrize(
    ("file", "head", "mark", "below"),
    [
        ("captions.csv", ("image", "caption"), ",", "images"),
        ("texte.csv", ("Bild", "Beschreibung"), ";", "."),
        ("list.tsv", ("id", "what it shows"), "\t", "photos/all"),
        ("notes.txt", ("file_name", "comment"), "|", "jpg"),
        ("meta/captions.csv", ("path", "text"), ",", "data/pictures"),
    ],
)
def test_tables_of_any_kind_are_found_and_read(tmp_path, file, head, mark, below):
    """Columns in any order and under any name, with others beside them."""
    names = pictures(tmp_path / below)
    rows = [(n, caption, name, "x") for n, (name, caption) in enumerate(captioned(names))]
    (tmp_path / file).parent.mkdir(exist_ok=True)
    table(tmp_path / file, ("number", head[1], head[0], "who"), rows, mark)
    (tmp_path / "readme.txt").write_text("Pictures of mine.\nNot a table.\n")
    config = guess_dataset(tmp_path)
    assert (config.image_column, config.caption_column, config.images.as_posix()) == (*head, below)
    corpus = read_dataset(config)
    assert {r.image_id: r.captions[0] for r in corpus.records} == dict(captioned(names))
    assert not corpus.problems.found


def test_names_with_their_folder(tmp_path):
    for part in ("a", "b"):
        pictures(tmp_path / "pictures" / part, 5)
    rows = [(f"{part}/p{n}.jpg", f"caption {part} {n}") for part in ("a", "b") for n in range(5)]
    table(tmp_path / "captions.csv", ("image", "caption"), rows)
    config = guess_dataset(tmp_path)
    assert config.images.as_posix() == "pictures" and len(read_dataset(config).records) == 10


def test_json_lines_with_lists_and_a_split(tmp_path):
    names = pictures(tmp_path)
    lines = [
        {"img": name, "texts": [caption, caption + " again"], "part": ("train", "val", "test", "train")[n % 4]}
        for n, (name, caption) in enumerate(captioned(names))
    ]
    (tmp_path / "c.jsonl").write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    config = guess_dataset(tmp_path)
    assert (config.image_column, config.caption_column, config.split_column) == ("img", "texts", "part")
    corpus = read_dataset(config)
    assert {name: len(corpus.split(name)) for name in ("train", "dev", "test")} == {"train": 10, "dev": 5, "test": 5}
    assert all(len(record.captions) == 2 for record in corpus.records)


def test_karpathy_and_flickr8k(tmp_path):
    names = pictures(tmp_path / "k" / "Images")
    sentences = [{"raw": "a ball", "tokens": ["a", "ball"]}]
    entries = [{"filename": name, "split": "train", "sentences": sentences} for name in names]
    (tmp_path / "k" / "dataset_mine.json").write_text(json.dumps({"images": entries}))
    config = guess_dataset(tmp_path / "k")
    assert config.type == "karpathy" and len(read_dataset(config).records) == 20
    names = pictures(tmp_path / "f" / "Flicker8k_Dataset")
    (tmp_path / "f" / "Flickr8k.token.txt").write_text("".join(f"{name}#0\ta ball .\n" for name in names))
    for split, some in (("train", names[:10]), ("dev", names[10:15]), ("test", names[15:])):
        (tmp_path / "f" / f"Flickr_8k.{split}Images.txt").write_text("\n".join(some))
    config = guess_dataset(tmp_path / "f")
    assert (config.type, config.images.as_posix()) == ("flickr8k", "Flicker8k_Dataset")
    assert len(read_dataset(config).split("train")) == 10


def test_of_several_files_the_one_that_names_most(tmp_path):
    names = pictures(tmp_path)
    table(tmp_path / "a.csv", ("image", "caption"), captioned(names[:6]))
    table(tmp_path / "b.csv", ("image", "caption"), captioned(names))
    assert guess_dataset(tmp_path).captions.name == "b.csv"
    assert guess_dataset(tmp_path, tmp_path / "a.csv").captions.name == "a.csv"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda d: None, "has 20 pictures, but no file that says what they show: write a CSV"),
        (lambda d: (d / "c.xlsx").write_bytes(b"PK"), r"save c.xlsx as CSV \(UTF-8\), then say --captions FILE"),
        (
            lambda d: table(d / "c.csv", ("p0.jpg", "a"), [("p1.jpg", "b")]),
            "line 1: the first line is a picture already",
        ),
        (lambda d: table(d / "c.csv", ("n", "t"), [("p1", "b"), ("p2", "c")]), r"have no ending; write p1\.jpg"),
        (
            lambda d: table(d / "c.csv", ("n", "t"), [("x.jpg", "b")]),
            r"no column names pictures below .*, such as p0\.jpg",
        ),
        (lambda d: table(d / "c.csv", ("n", "t"), [("p1.jpg", "")]), "has no column with captions"),
        (lambda d: (d / "c.csv").write_text("\n"), "c.csv is empty"),
        (lambda d: (d / "c.csv").write_bytes(b"image,caption\np1.jpg,\xe9t\xe9\n"), "line 2.*is not UTF-8"),
        (lambda d: (d / "c.json").write_text('{"images": [{"file_name": "p1.jpg"}]}'), "COCO's own annotation file"),
        (lambda d: (d / "c.json").write_text("[1]"), "has no list 'images'"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(tmp_path, make, says):
    pictures(tmp_path)
    make(tmp_path)
    with pytest.raises(DataError, match=says) as caught:
        guess_dataset(tmp_path)
    assert "\n" not in str(caught.value)


def test_no_folder_and_no_pictures(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        guess_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match="has no pictures"):
        guess_dataset(tmp_path)


@pytest.mark.parametrize(
    ("captions", "language", "script", "spaced"),
    [
        (["a man rides a horse", "the dog is in the sea"], "English", "Latin", True),
        (["ein Mann mit einem Hund", "die Katze ist auf dem Dach und der Hund"], "German", "Latin", True),
        (["một con chó đang chạy trên cỏ", "hai người và một con ngựa"], "Vietnamese", "Latin", True),
        (["رجل يركب حصان في البحر", "كلب على العشب مع رجل"], "Arabic", "Arabic", True),
        (["一只狗在草地上跑", "两个人骑马"], "Chinese", "Han", False),
        (["犬が芝生の上を走っています", "海のそばの女の人"], "Japanese", "Hiragana", False),
        (["человек на лошади и собака в траве"], "Russian", "Cyrillic", True),
        (["एक आदमी घोड़े पर है और एक कुत्ता"], "Hindi", "Devanagari", True),
        (["หมากำลังวิ่งบนหญ้า"], "Thai", "Thai", False),
        (["qwrt zxcv"], "", "Latin", True),
        (["123 !!"], "", "", True),
    ],
)
def test_how_captions_are_written(captions, language, script, spaced):
    found = writing_of(captions)
    assert (found.language, found.script, found.spaced) == (language, script, spaced)
    assert found.right_to_left is (script == "Arabic")


def test_pictures_that_show_the_same_are_found(tmp_path):
    """The same scene in other sizes, formats and qualities; other scenes, and flat ones, are not mixed up with it."""
    for n in range(12):
        scene(n).save(tmp_path / f"{n}.png")
    scene(3, (192, 128)).save(tmp_path / "larger.jpg", quality=60)
    scene(7).convert("L").save(tmp_path / "grey.png")
    Image.new("RGB", (90, 60), (250, 250, 250)).save(tmp_path / "white.png")
    Image.new("RGB", (90, 60), (10, 10, 10)).save(tmp_path / "black.png")
    names = [*(f"{n}.png" for n in range(12)), "larger.jpg", "grey.png", "white.png", "black.png"]
    from capsmith.features.images import load_image

    found = alike([grey(load_image(tmp_path / name, (64, 64))) for name in names])
    assert {(names[a], names[b]) for a, b in found} == {("3.png", "larger.jpg"), ("7.png", "grey.png")}


def mine(root, captions=captioned, count=40):
    names = pictures(root / "images", count)
    table(root / "captions.csv", ("image", "caption"), captions(names))
    return root


def init(capsys, *arguments):
    code = main(["init", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_from_a_folder_to_a_config(tmp_path, monkeypatch, capsys):
    """What was found is told, what is broken too, and the config that was written is one that reads the same."""
    monkeypatch.chdir(tmp_path)
    root = mine(tmp_path / "my pictures")
    (root / "images" / "p4.jpg").write_bytes((root / "images" / "p4.jpg").read_bytes()[:300])
    scene(5).save(root / "images" / "p6.jpg", quality=40)
    with (root / "captions.csv").open("a") as file:
        file.write("gone.jpg,not there\np1.jpg,a red ball number 0\np2.jpg,\n")
    code, out, err = init(capsys, "my pictures")
    assert code == 0 and not err
    for said in ("40, 1 to 2 captions each", "41: English, Latin script", "train 32, dev 4, test 4",
                 "1 × missing picture (gone.jpg)", "1 × empty caption", "1 × picture that cannot be read",
                 "“a red ball number 0” at 2", "p5.jpg = p6.jpg", "--config my_pictures.yaml"):  # fmt: skip
        assert said in out
    config = load_config("my_pictures.yaml")
    assert config.data.root.name == "my pictures" and config.text.mode == "word"
    assert config.features.max_broken >= 1 / 40 and config.data.max_problems > 0.01
    assert len(read_dataset(config.data).records) == 40
    code, out, err = init(capsys, "my pictures")
    assert code == 2 and "is there already" in err
    assert init(capsys, "my pictures", "--force")[0] == 0


def test_a_leak_between_splits_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = pictures(tmp_path / "d", 20)
    scene(2).save(tmp_path / "d" / "p15.jpg", quality=70)
    rows = [(name, caption, "test" if n >= 15 else "train") for n, (name, caption) in enumerate(captioned(names))]
    table(tmp_path / "d" / "c.csv", ("image", "caption", "split"), rows)
    code, out, _ = init(capsys, "d", "--out", "leak.yaml")
    assert code == 0 and "what is tested was trained on (p2.jpg = p15.jpg)" in out
    assert "no picture is in dev" in out


def test_languages_without_spaces_get_characters(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    said = ("一只狗在草地上跑", "两个人骑马", "海边的女人", "红色的球")
    mine(tmp_path / "zh", lambda names: [(name, said[n % 4]) for n, name in enumerate(names)])
    code, out, _ = init(capsys, "zh")
    config = load_config("zh.yaml")
    assert code == 0 and "Chinese, Han script" in out
    assert (config.text.mode, config.text.max_length) == ("char", 8)


def test_suggestions_follow_from_the_data(tmp_path):
    """Enough words are kept that few of dev's are unknown; long captions are cut for one in a hundred."""
    root = mine(
        tmp_path,
        lambda names: [(n, f"ball {'x' * (i % 7)} of {'many ' * (30 if i == 0 else 2)}") for i, n in enumerate(names)],
    )
    found = survey(read_dataset(guess_dataset(root)), TextConfig(min_count=1, max_length=1000))
    assert 1 <= suggested_min_count(found) <= 2
    assert suggested_length(found) == max(found.lengths) == 32
    assert found.unknown(1) < found.unknown(10_000) == 1.0
    assert found.vocabulary(1) == len(found.words) > found.vocabulary(30)
    assert suggested_split(100).dev == 0.1 and suggested_split(50_000).test == 0.02
