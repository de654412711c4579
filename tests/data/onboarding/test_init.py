"""`capsmith init` with many kinds of folders."""

import csv
import io
import json
import re

import pytest

from capsmith.cli import main
from capsmith.config import load_config
from capsmith.core.errors import DataError
from capsmith.data.onboarding.config_template import suggested_length, suggested_min_count, suggested_split
from capsmith.data.onboarding.layout import detect_layout
from capsmith.data.onboarding.statistics import compute_statistics
from capsmith.data.records import read_dataset
from capsmith.data.text.config import TextConfig
from capsmith.data.text.language import detect_writing
from tests.support.scenes import scene

WORDS = ("a red ball", "two dogs in the snow", "one green box on grey", "a man with a hat", "the sea at night")


def images(folder, count=20, ending="jpg", first=0):
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
        ("meta/captions.csv", ("path", "text"), ",", "data/images"),
    ],
)
def test_tables_are_detected_and_read(tmp_path, file, head, mark, below):
    """Columns in any order, with any names, among other columns."""
    names = images(tmp_path / below)
    rows = [(n, caption, name, "x") for n, (name, caption) in enumerate(captioned(names))]
    (tmp_path / file).parent.mkdir(exist_ok=True)
    table(tmp_path / file, ("number", head[1], head[0], "who"), rows, mark)
    (tmp_path / "readme.txt").write_text("Images of mine.\nNot a table.\n")
    config = detect_layout(tmp_path).config
    assert (config.image_column, config.caption_column, config.images.as_posix()) == (*head, below)
    corpus = read_dataset(config)
    assert {r.image_id: r.captions[0] for r in corpus.records} == dict(captioned(names))
    assert not corpus.problems.by_kind


def test_names_with_a_folder(tmp_path):
    for part in ("a", "b"):
        images(tmp_path / "images" / part, 5)
    rows = [(f"{part}/p{n}.jpg", f"caption {part} {n}") for part in ("a", "b") for n in range(5)]
    table(tmp_path / "captions.csv", ("image", "caption"), rows)
    config = detect_layout(tmp_path).config
    assert config.images.as_posix() == "images" and len(read_dataset(config).records) == 10


def test_json_lines_with_lists_and_a_split(tmp_path):
    names = images(tmp_path)
    lines = [
        {"img": name, "texts": [caption, caption + " again"], "part": ("train", "val", "test", "train")[n % 4]}
        for n, (name, caption) in enumerate(captioned(names))
    ]
    (tmp_path / "c.jsonl").write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    config = detect_layout(tmp_path).config
    assert (config.image_column, config.caption_column, config.split_column) == ("img", "texts", "part")
    corpus = read_dataset(config)
    assert {name: len(corpus.split(name)) for name in ("train", "dev", "test")} == {"train": 10, "dev": 5, "test": 5}
    assert all(len(record.captions) == 2 for record in corpus.records)


def test_karpathy_and_flickr8k(tmp_path):
    names = images(tmp_path / "k" / "Images")
    sentences = [{"raw": "a ball", "tokens": ["a", "ball"]}]
    entries = [{"filename": name, "split": "train", "sentences": sentences} for name in names]
    (tmp_path / "k" / "dataset_mine.json").write_text(json.dumps({"images": entries}))
    config = detect_layout(tmp_path / "k").config
    assert config.type == "karpathy" and len(read_dataset(config).records) == 20
    names = images(tmp_path / "f" / "Flicker8k_Dataset")
    (tmp_path / "f" / "Flickr8k.token.txt").write_text("".join(f"{name}#0\ta ball .\n" for name in names))
    for split, some in (("train", names[:10]), ("dev", names[10:15]), ("test", names[15:])):
        (tmp_path / "f" / f"Flickr_8k.{split}Images.txt").write_text("\n".join(some))
    config = detect_layout(tmp_path / "f").config
    assert (config.type, config.images.as_posix()) == ("flickr8k", "Flicker8k_Dataset")
    assert len(read_dataset(config).split("train")) == 10


def test_the_file_with_most_matches_is_chosen(tmp_path):
    names = images(tmp_path)
    table(tmp_path / "a.csv", ("image", "caption"), captioned(names[:6]))
    table(tmp_path / "b.csv", ("image", "caption"), captioned(names))
    assert detect_layout(tmp_path).config.captions.name == "b.csv"
    assert detect_layout(tmp_path, tmp_path / "a.csv").config.captions.name == "a.csv"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda d: None, "has 20 images.* write a CSV"),
        (lambda d: (d / "c.xlsx").write_bytes(b"PK"), r"c\.xlsx as CSV.*--captions FILE"),
        (
            lambda d: table(d / "c.csv", ("n", "t"), [("x.jpg", "b")]),
            r"x\.jpg.*p0\.jpg",
        ),
        (lambda d: table(d / "c.csv", ("n", "t"), [("p1.jpg", "")]), "has no column with captions"),
        (lambda d: (d / "c.csv").write_text("\n"), "c.csv is empty"),
        (lambda d: (d / "c.csv").write_bytes(b"image,caption\np1.jpg,\xe9t\xe9\n"), "line 2.*is not UTF-8"),
        (
            lambda d: (d / "c.json").write_text('{"images": [{"file_name": "p1.jpg"}]}'),
            "COCO file without captions",
        ),
        (lambda d: (d / "c.json").write_text("[1]"), r"c\.json, entry 1: expected an object"),
        (lambda d: (d / "c.json").write_text("{}"), r"c\.json has no list of images: expected \[\{.image"),
    ],
)
def test_undetectable_layouts_are_one_line_errors(tmp_path, make, says):
    images(tmp_path)
    make(tmp_path)
    with pytest.raises(DataError, match=says) as caught:
        detect_layout(tmp_path)
    assert "\n" not in str(caught.value)


def test_no_folder_and_no_images(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        detect_layout(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no images"):
        detect_layout(tmp_path)


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
def test_detect_writing(captions, language, script, spaced):
    found = detect_writing(captions)
    assert (found.language, found.script, found.spaced) == (language, script, spaced)
    assert found.right_to_left is (script == "Arabic")


def mine(root, captions=captioned, count=40):
    names = images(root / "images", count)
    table(root / "captions.csv", ("image", "caption"), captions(names))
    return root


def init(capsys, *arguments):
    code = main(["init", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_from_a_folder_to_a_config(tmp_path, monkeypatch, capsys):
    """The statistics and problems are printed, and the config reads the same dataset."""
    monkeypatch.chdir(tmp_path)
    root = mine(tmp_path / "my images")
    (root / "images" / "p4.jpg").write_bytes((root / "images" / "p4.jpg").read_bytes()[:300])
    scene(5).save(root / "images" / "p6.jpg", quality=40)
    with (root / "captions.csv").open("a") as file:
        file.write("gone.jpg,not there\np1.jpg,a red ball number 0\np2.jpg,\n")
    code, out, err = init(capsys, "my images")
    assert code == 0 and not err
    for said in ("40, 1 to 2 captions each", "41: English, Latin script", "train 32, dev 4, test 4",
                 "1 × missing image (gone.jpg)", "1 × empty caption", "1 × image that cannot be read",
                 "“a red ball number 0” for 2", "p5.jpg = p6.jpg", "--config my_images.yaml"):  # fmt: skip
        assert said in out
    config = load_config("my_images.yaml")
    assert config.data.root.name == "my images" and config.text.mode == "word"
    assert config.features.max_bad_fraction >= 1 / 40 and config.data.max_bad_fraction > 0.01
    assert (config.training.batch_size, config.training.patience) == (16, 12)  # 33 captions to learn from
    assert len(read_dataset(config.data).records) == 40
    code, out, err = init(capsys, "my images")
    assert code == 2 and "my_images.yaml" in err and "--force" in err
    assert init(capsys, "my images", "--force")[0] == 0


def test_a_leak_between_splits_is_reported(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = images(tmp_path / "d", 20)
    scene(2).save(tmp_path / "d" / "p15.jpg", quality=70)
    splits = ["train"] * 12 + ["dev"] * 3 + ["test"] * 5
    rows = [(*one, split) for one, split in zip(captioned(names), splits, strict=True)]
    table(tmp_path / "d" / "c.csv", ("image", "caption", "split"), rows)
    code, out, _ = init(capsys, "d", "--out", "leak.yaml")
    assert code == 0 and "different splits" in out and "(p2.jpg = p15.jpg)" in out


def test_a_random_split_keeps_near_duplicates_in_one_split(tmp_path, monkeypatch, capsys):
    """Six images exist three times, as copies and smaller ones: none may be in different splits."""
    monkeypatch.chdir(tmp_path)
    root = mine(tmp_path / "d", count=60)
    copies = [(f"p{n + 10 * more}.jpg", n) for n in range(6) for more in (2, 4)]
    for name, n in copies:
        scene(n, (96, 64) if n % 2 else (72, 48)).save(root / "images" / name, quality=90)
    code, out, _ = init(capsys, "d")
    assert code == 0 and "6 × near-duplicate images, kept in one split (" in out and "different splits" not in out
    split = {record.image_id: record.split for record in read_dataset(load_config("d.yaml").data).records}
    assert all(split[name] == split[f"p{n}.jpg"] for name, n in copies)
    assert all(abs(list(split.values()).count(name) - 6) <= 1 for name in ("dev", "test"))
    alone = read_dataset(load_config("d.yaml", ["data.split.groups=[]"]).data)
    split = {record.image_id: record.split for record in alone.records}
    assert any(split[name] != split[f"p{n}.jpg"] for name, n in copies)  # the test could fail


def test_groups_are_dropped_if_they_would_empty_a_split(tmp_path, monkeypatch, capsys):
    """All but two images are equal: dev would be empty."""
    monkeypatch.chdir(tmp_path)
    root = mine(tmp_path / "d", count=30)
    for n in range(2, 30):
        scene(2).save(root / "images" / f"p{n}.jpg", quality=60 + n)
    code, out, err = init(capsys, "d")
    assert code == 0, err
    assert "kept in one split" not in out and "different splits" in out
    assert not load_config("d.yaml").data.split.groups


def test_groups_with_unusual_names(tmp_path, monkeypatch, capsys):
    """The config can be read again."""
    monkeypatch.chdir(tmp_path)
    root = mine(tmp_path / "d", count=30)
    for n in range(6):
        scene(n).save(root / "images" / f"🙂 {n}é.jpg", quality=90)
    rows = (root / "captions.csv").read_text(encoding="utf-8")
    more = "".join(f"🙂 {n}é.jpg,a ball\n" for n in range(6))
    (root / "captions.csv").write_text(rows.rstrip("\n") + "\n" + more, encoding="utf-8")
    assert init(capsys, "d")[0] == 0
    split = {record.image_id: record.split for record in read_dataset(load_config("d.yaml").data).records}
    assert len(load_config("d.yaml").data.split.groups) == 6
    assert all(split[f"🙂 {n}é.jpg"] == split[f"p{n}.jpg"] for n in range(6))


def test_languages_without_spaces_get_characters(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    said = ("一只狗在草地上跑", "两个人骑马", "海边的女人", "红色的球")
    mine(tmp_path / "zh", lambda names: [(name, said[n % 4]) for n, name in enumerate(names)])
    code, out, _ = init(capsys, "zh")
    config = load_config("zh.yaml")
    assert code == 0 and "Chinese, Han script" in out
    assert (config.text.mode, config.text.max_length) == ("char", 8)


def test_suggested_values(tmp_path):
    """Few dev tokens are unknown; one caption in a hundred is truncated."""
    root = mine(
        tmp_path,
        lambda names: [(n, f"ball {'x' * (i % 7)} of {'many ' * (30 if i == 0 else 2)}") for i, n in enumerate(names)],
    )
    found = compute_statistics(read_dataset(detect_layout(root).config), TextConfig(min_count=1, max_length=1000))
    assert 1 <= suggested_min_count(found) <= 2
    assert suggested_length(found) == max(found.lengths) == 32
    assert found.unknown_rate(1) < found.unknown_rate(10_000) == 1.0
    assert found.vocabulary_size(1) == len(found.word_counts) > found.vocabulary_size(30)
    assert suggested_split(100).dev == 0.1 and suggested_split(50_000).test == 0.02


@pytest.mark.parametrize(
    ("head", "row", "image", "caption", "unused"),
    [
        (
            ("image", "caption", "url"),
            lambda n, name, said: (name, said, f"http://x/{n}/{said * 3}"),
            "image",
            "caption",
            "url",
        ),
        (
            ("image", "caption", "licence"),
            lambda n, name, said: (name, said, "free for all " * 9),
            "image",
            "caption",
            "licence",
        ),
        (("thumb", "image", "caption"), lambda n, name, said: (name, name, said), "image", "caption", "thumb"),
        (
            ("image", "long story", "caption"),
            lambda n, name, said: (name, f"{n} {said}" * 5, said),
            "image",
            "caption",
            "long story",
        ),
        (("image", "c1", "c2"), lambda n, name, said: (name, said, said + " too"), "image", ("c1", "c2"), None),
    ],
)
def test_columns_are_detected(tmp_path, head, row, image, caption, unused):
    names = images(tmp_path)
    table(tmp_path / "c.csv", head, [row(n, *one) for n, one in enumerate(captioned(names))])
    layout = detect_layout(tmp_path)
    assert (layout.config.image_column, layout.config.caption_column) == (image, caption)
    assert layout.unused_columns == ((unused,) if unused else ())
    each = [record.captions for record in read_dataset(layout.config).records]
    assert {len(one) for one in each} == {2 if unused is None else 1}
    assert {one[0] for one in each} == {said for _, said in captioned(names)}


def test_empty_caption_columns_are_ignored(tmp_path):
    names = images(tmp_path)
    rows = [(name, said, "" if n % 2 else "more " + said) for n, (name, said) in enumerate(captioned(names))]
    table(tmp_path / "c.csv", ("image", "caption_1", "caption_2"), rows)
    corpus = read_dataset(detect_layout(tmp_path).config)
    assert (
        sorted(len(record.captions) for record in corpus.records) == [1] * 10 + [2] * 10 and not corpus.problems.by_kind
    )


def test_a_split_column_with_missing_values(tmp_path):
    names = images(tmp_path)
    rows = [(name, said, ("train", "dev", "test", "")[n % 4]) for n, (name, said) in enumerate(captioned(names))]
    table(tmp_path / "c.csv", ("image", "caption", "part"), rows)
    layout = detect_layout(tmp_path)
    assert layout.config.split_column == "part" and layout.has_splits


@pytest.mark.parametrize(
    "name", ["on", "1e3", "0x1F", "2024-01-01", "a: b", "#x", "~", "-x", "null", "é ü", "'q'", "x "]
)
def test_names_that_yaml_must_quote(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    names = images(tmp_path / name / "images", 12)
    table(tmp_path / name / "c.csv", (name.strip() or "x", "caption"), captioned(names))
    assert main(["init", f"./{name}", "--out", "c.yaml"]) == 0
    config = load_config("c.yaml")
    assert config.data.root.resolve() == (tmp_path / name).resolve() and config.data.image_column == name.strip()
    assert len(read_dataset(config.data).records) == 12


def test_nothing_is_overwritten(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    root = mine(tmp_path / "d", count=12)
    before = (root / "captions.csv").read_bytes()
    assert main(["init", "d", "--captions", "d/captions.csv", "--out", "d/captions.csv", "--force"]) == 2
    assert main(["init", "d", "--out", "conf"]) == 2
    assert main(["init", "d", "--out", "no/where/d.yaml"]) == 2 and not (tmp_path / "no").exists()
    assert (root / "captions.csv").read_bytes() == before and not (tmp_path / "conf").exists()
    (tmp_path / "d.yaml").symlink_to(tmp_path / "nowhere.yaml")
    assert main(["init", "d"]) == 2
    err = capsys.readouterr().err
    assert "--out no/where/d.yaml" in err and "Traceback" not in err


@pytest.mark.parametrize(
    ("splits", "says"),
    [
        (["test"] * 12, r": d/c\.csv: .* train or dev \(train 0, dev 0, test 12\)"),
        (["train"] * 9 + ["test"] * 3, r"in dev \(train 9, dev 0, test 3\)"),
    ],
)
def test_an_empty_split_gets_no_config(tmp_path, monkeypatch, capsys, splits, says):
    monkeypatch.chdir(tmp_path)
    names = images(tmp_path / "d", 12)
    rows = [(*one, split) for one, split in zip(captioned(names), splits, strict=True)]
    table(tmp_path / "d" / "c.csv", ("image", "caption", "split"), rows)
    assert main(["init", "d"]) == 2
    assert re.search(says, capsys.readouterr().err) and not (tmp_path / "d.yaml").exists()


def test_unreadable_images_do_not_count(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    root = mine(tmp_path / "d", count=12)
    for path in (root / "images").iterdir():
        path.write_bytes(b"no image")
    assert main(["init", "d"]) == 2
    assert "12 images" in capsys.readouterr().err


def test_without_a_test_split_dev_is_scored(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = images(tmp_path / "d", 12)
    rows = [(*one, "dev" if n > 8 else "train") for n, one in enumerate(captioned(names))]
    table(tmp_path / "d" / "c.csv", ("image", "caption", "split"), rows)
    assert main(["init", "d"]) == 0
    assert load_config("d.yaml").evaluation.after_training == "dev"
    assert "no test images" in capsys.readouterr().out


def test_an_outlier_does_not_decide_the_length(tmp_path):
    root = mine(tmp_path, lambda names: [(n, "word " * 5000 if i == 3 else "a red ball") for i, n in enumerate(names)])
    found = compute_statistics(read_dataset(detect_layout(root).config), TextConfig(min_count=1, max_length=9999))
    assert suggested_length(found) == 40


@pytest.mark.parametrize("text", ["ผู้ชายสวมหมวก ยืนอยู่ข้างถนน กับสุนัข", "一只狗 在草地上跑 非常快"])
def test_spaces_between_phrases_do_not_separate_words(text):
    assert not detect_writing([text]).spaced
    assert detect_writing(["一 只 狗 在 草地 上 跑"]).spaced  # segmented by a tool


def test_control_characters_of_captions_are_escaped(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    mine(tmp_path / "d", lambda names: [(name, "a \x1b[2Jball") for name in names], 12)
    assert main(["init", "d"]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_special_files_and_folders(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = images(tmp_path / "d", 12)
    (tmp_path / "lo").symlink_to("lo")
    (tmp_path / "d" / "loop").symlink_to(tmp_path / "d")
    for name, content in (
        ("a.jsonl", "{}\n"),
        ("b.jsonl", '{"a\\nb": "p0.jpg", "caption": "x"}\n'),
        ("c.csv", ",,\n1,2,3\n"),
    ):
        (tmp_path / "d" / name).write_text(content)
        assert main(["init", "d", "--captions", f"d/{name}"]) == 2
    assert main(["init", "lo"]) == 2
    table(tmp_path / "d" / "z.csv", ("image", "caption"), captioned(names))
    assert main(["init", "d"]) == 0  # damaged files do not stop the search
    assert all(line.startswith("capsmith: ") for line in capsys.readouterr().err.splitlines())


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([("p0.png", "a"), ("p1.png", "b")], r"p0\.png.*p0\.jpg"),
        ([("http://x/q0.jpg", "a")], "p0.jpg"),
        (
            [("p0.jpg", "a"), *[(f"x{n}.jpg", "b") for n in range(9)]],
            r"only 1 of the 10 images that column 'image' names are below .*, which has 20, such as p0.jpg: are these",
        ),
        ([("one", "a"), ("two", "b")], r"no column names images below .*, such as p0.jpg \(columns: image, caption\)"),
    ],
)
def test_unmatched_names_are_shown_with_an_example(tmp_path, rows, says):
    images(tmp_path)
    table(tmp_path / "c.csv", ("image", "caption"), rows)
    with pytest.raises(DataError, match=says):
        detect_layout(tmp_path)


def test_captions_with_newlines_and_commas(tmp_path):
    names = images(tmp_path)
    table(
        tmp_path / "c.csv", ("image", "caption"), [(name, f"one, two\nthree {said}") for name, said in captioned(names)]
    )
    assert len(read_dataset(detect_layout(tmp_path).config).records) == 20
    (tmp_path / "c.csv").write_text("image,caption\n" + "\n".join(f"{name},a ball, red" for name in names))
    corpus = read_dataset(detect_layout(tmp_path).config)
    assert {record.captions for record in corpus.records} == {("a ball, red",)} and not corpus.problems.by_kind
    assert len(corpus.repaired.by_kind["caption with unquoted separators"]) == 20


def test_folder_names_in_decomposed_unicode(tmp_path):
    import unicodedata

    names = images(tmp_path / unicodedata.normalize("NFD", "Bücher"))
    table(tmp_path / "c.csv", ("image", "caption"), captioned(names))
    assert len(read_dataset(detect_layout(tmp_path).config).records) == 20
