"""Variants of caption files: read and reported, or refused with the cause."""

import json
import re

import pytest
from PIL import Image

from capsmith.cli import main
from capsmith.config import load_config
from capsmith.core.errors import DataError
from capsmith.data.kaggle import KaggleConfig
from capsmith.data.onboarding.layout import detect_layout
from capsmith.data.records import read_dataset

NAMES = [f"p{n}.jpg" for n in range(12)]
SAID = {name: f"a ball, red, number {n}" for n, name in enumerate(NAMES)}
CASE = "image name that differs from the file name in case"
FOLDERS = "image name with surplus leading folders"
UNQUOTED = "caption with unquoted separators"
LENIENT = "quotes that are not doubled, or do not enclose the whole field"


def rows(form, head="image,caption\n"):
    return head + "".join(form.format(name=n, said=s, stem=n[:-4]) + "\n" for n, s in SAID.items())


@pytest.fixture
def root(tmp_path):
    (tmp_path / "Images").mkdir()
    for n, name in enumerate(NAMES):
        Image.new("RGB", (8, 8), (9 * n, 90, 200 - 9 * n)).save(tmp_path / "Images" / name)
    return tmp_path


def read(root, file, content, captions=None):
    (root / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_dataset(detect_layout(root, captions).config)


FORMS = {
    "no header line": ("c.csv", rows('{name},"{said}"', ""), {}),
    "no header line, unquoted commas": ("c.csv", rows("{name},{said}", ""), {UNQUOTED: 12}),
    "no header line, tabs": ("c.tsv", rows("{name}\t{said}", ""), {}),
    "no header line, tabs, .txt": ("c.txt", rows("{name}\t{said}", ""), {}),
    "no header line, three columns": ("c.csv", rows('7,{name},"{said}"', ""), {}),
    "no header line, a split": ("c.csv", rows('{name},"{said}",train', ""), {}),
    "unquoted commas": ("c.csv", rows("{name},{said}"), {UNQUOTED: 12}),
    "unquoted commas, caption first": ("c.csv", rows("{said},{name}", "text,photo\n"), {UNQUOTED: 12}),
    "unquoted commas before a split": ("c.csv", rows("{name},{said},test", "image,caption,split\n"), {UNQUOTED: 12}),
    "unquoted commas behind a number": ("c.csv", rows("{name},3,{said}", "image,n,caption\n"), {UNQUOTED: 12}),
    "a blank after closing quotes": ("c.csv", rows('"{name}" ,"{said}" '), {}),
    "quotes that are not doubled": ("c.csv", rows('{name},"{said} "big""').replace(' "big"', ""), {}),
    "whole rows in quotes": ("c.csv", rows('"{name},""{said}"""'), {"complete row in quotes": 12}),
    "a byte order mark": ("c.csv", b"\xef\xbb\xbf" + rows('{name},"{said}"').encode(), {}),
    "UTF-16 of a spreadsheet": ("c.txt", rows("{name}\t{said}", "image\tcaption\n").encode("utf-16"), {}),
    "UTF-16, other end first": ("c.csv", b"\xfe\xff" + rows('{name},"{said}"').encode("utf-16-be"), {}),
    "CR, LF and both": ("c.csv", rows('{name},"{said}"').replace("3\n", "3\r\n").replace("5\n", "5\r"), {}),
    "separators at the end of rows": ("c.csv", rows('{name},"{said}",,'), {}),
    "separators at the end of the header line": ("c.csv", rows('{name},"{said}"', "image,caption,,\n"), {}),
    "semicolons": ("c.csv", rows("{name};{said}", "Bild;Beschreibung\n"), {}),
    "Excel's sep=": ("c.csv", rows("{name};{said}", "sep=;\nBild;Beschreibung\n"), {}),
    "commas in a .tsv": ("c.tsv", rows('{name},"{said}"'), {}),
    "Cyrillic header": ("c.csv", rows('"{said}",{name}', "подпись,изображение\n"), {}),
    "an index column": ("c.csv", rows('7,{name},"{said}"', ",image,caption\n"), {}),
    "comments and blank lines": (
        "c.csv", rows('{name},"{said}"\n\n# next', "# mine\n\nimage,caption\n"), {"comment line": 13}
    ),
    "two files put together": (
        "c.csv", rows('{name},"{said}"', "image,caption\nimage,caption\n"), {"second header line": 1}
    ),
    "numbers after names": ("c.csv", rows('{name}#0,"{said}"'), {}),
    "numbers after names, no header line": ("c.csv", rows("{name}#0\t{said}", ""), {}),
    "upper case": ("c.csv", rows('{name},"{said}"').replace(".jpg", ".JPG"), {CASE: 12}),
    "Windows paths": ("c.csv", rows(r'C:\data\{name},"{said}"'), {FOLDERS: 12}),
    "a folder in front": ("c.csv", rows('old/photos/{name},"{said}"'), {FOLDERS: 12}),
    "addresses": ("c.csv", rows('https://x.org/{name}?raw=1,"{said}"'), {FOLDERS: 12}),
    "names in quotes of their own": ("c.csv", rows("'{name}',\"{said}\""), {"image name in quotes": 12}),
    "no endings": ("c.csv", rows('{stem},"{said}"'), {}),
    "descriptions.txt": ("descriptions.txt", rows("{stem} {said}", ""), {}),
    "names and blanks": ("c.txt", rows("{name} {said}", ""), {}),
    "columns in another order": ("c.csv", rows('x,"{said}",1,{name}', "who,text,n,file\n"), {}),
    "JSON lines called .json": ("c.json", "".join(json.dumps({"f": n, "t": s}) + "\n" for n, s in SAID.items()), {}),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_variants_are_read_and_reported(root, form):
    file, content, repaired = FORMS[form]
    corpus = read(root, file, content)
    assert {record.image_id: record.captions for record in corpus.records} == {n: (s,) for n, s in SAID.items()}
    assert not corpus.problems.by_kind
    assert {kind: len(examples) for kind, examples in corpus.repaired.by_kind.items()} == repaired


SEVERAL = {
    "separated by |": ("c.csv", rows("{name},a ball|it is red")),
    "separated by |||": ("c.csv", rows("{name},a ball ||| it is red")),
    "columns of |": ("c.txt", rows("{name}|a ball|it is red", "")),
    "tabs": ("c.tsv", rows("{name}\ta ball\tit is red", "")),
    "a JSON list": ("c.csv", rows('{name},"[""a ball"", ""it is red""]"')),
    "a Python list": ("c.csv", rows("{name},\"['a ball', 'it is red']\"")),
    "a NumPy array": ("c.csv", rows("{name},\"['a ball'\n 'it is red']\"")),
    "numbered columns": ("c.csv", rows("{name},a ball,it is red", "image,caption_1,caption_2\n")),
}


@pytest.mark.parametrize("form", SEVERAL)
def test_several_captions_per_row(root, form):
    corpus = read(root, *SEVERAL[form])
    assert {record.captions for record in corpus.records} == {("a ball", "it is red")}
    assert len(corpus.records) == 12 and not corpus.problems.by_kind


def test_different_numbers_of_captions(root):
    corpus = read(root, "c.txt", rows("{name}|a ball", "") + "p3.jpg|one|two|three\n" * 1 + "p4.jpg|four\n")
    assert {len(record.captions) for record in corpus.records} == {1, 2}
    content = rows("{name}|a ball|it is red", "").replace("p3.jpg|a ball|", "p3.jpg|")
    corpus = read(root, "c.txt", content)
    each = {record.image_id: record.captions for record in corpus.records}
    assert each["p3.jpg"] == ("it is red",) and each["p4.jpg"] == ("a ball", "it is red")


REFUSED = {
    "UTF-16 without a mark": (rows('{name},"{said}"').encode("utf-16-le"), "is UTF-16 text without a byte order mark"),
    "zeros": (bytes(5000), "zero bytes"),
    "a spreadsheet": (b"PK\x03\x04" + bytes(50), "is a ZIP archive or a spreadsheet"),
    "Parquet": (b"PAR1" + bytes(50), "is a Parquet file: save it as CSV"),
    "Latin-1": (rows("{name},café").encode("latin-1"), r"line 2, byte 11: 0xe9 is not UTF-8 \(it may be Windows-1252"),
    "header and rows of two kinds": (
        rows("{name}\tx", "image,caption\n"),
        "line is separated by commas, but .* by tabs",
    ),
    "captions alone": (rows("{said}", "")[:300], r"no column names images below"),
    "captions of other images": (rows("x{name},{said}"), "has names such as xp0.jpg, but the images below"),
    "names alone": (rows("{name}", ""), "is not a table: its lines have no columns"),
    "two columns of one name": (rows("{name},x", "image,image\n"), "line 1: two columns are called 'image'"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_refused_files_name_the_cause(root, form):
    content, says = REFUSED[form]
    with pytest.raises(DataError, match=says) as caught:
        read(root, "c.csv", content, root / "c.csv")
    assert "\n" not in str(caught.value)


def test_a_damaged_line_is_reported_and_the_others_are_read(root):
    (root / "c.csv").write_text(rows('{name},"{said}"').replace('number 4"', "number 4"))
    corpus = read_dataset(detect_layout(root).config.model_copy(update={"max_bad_fraction": 0.1}))
    assert len(corpus.records) == 11
    assert corpus.problems.by_kind == {"row with a quote that is not closed": ["line 6"]}


# --- a subset of the images -------------------------------------------------------------------------------------------


def kaggle(root, count=400):
    """Writes a captions file of many images, of which a dozen exist, none of them in its first rows."""
    absent = "".join(f"{n}_absent.jpg,a ball of number {n} .\n" for n in range(count))
    (root / "captions.txt").write_text(
        "image,caption\n" + absent + rows("{name},{said}", "") + absent.replace("_", "x")
    )
    return root


@pytest.mark.parametrize("form", ["csv", "token"])
def test_a_subset_of_the_images_is_read_and_reported(root, monkeypatch, capsys, form):
    kaggle(root)
    if form == "token":
        lines = (root / "captions.txt").read_text().splitlines()[1:]
        (root / "captions.txt").write_text("".join(line.replace(",", "#0\t", 1) + "\n" for line in lines))
    monkeypatch.chdir(root)
    assert main(["init", ".", "--out", "c.yaml"]) == 0
    out = capsys.readouterr().out
    assert "skipped         800 × image that does not exist (data.subset is true) (0_absent.jpg, " in out
    assert "relaxed         data.subset: true" in out
    config = load_config("c.yaml").data
    assert config.subset and config.max_bad_fraction == 0.01 and len(read_dataset(config).records) == 12
    assert re.search(r"  subset: true +# ", (root / "c.yaml").read_text())


def test_a_subset_without_init_names_the_setting(root):
    config = KaggleConfig(root=kaggle(root))
    with pytest.raises(
        DataError,
        match=r"800 of 812 images .*looked in .*Images .*data\.subset: true",
    ):
        read_dataset(config)
    assert len(read_dataset(config.model_copy(update={"subset": True})).records) == 12


def test_a_few_images_are_not_a_subset(root):
    content = "image,caption\np0.jpg,a ball\n" + "".join(f"x{n}.jpg,a ball\n" for n in range(99))
    with pytest.raises(
        DataError, match=r"only 1 of the 100 images that column 'image' names are below .*, which has 12"
    ):
        read(root, "c.csv", content)


def test_relaxed_limits_are_reported(root, monkeypatch, capsys):
    """Raised limits are reported."""
    content = rows('{name},"{said}"') + "p1.jpg\n" * 3
    (root / "c.csv").write_text(content)
    monkeypatch.chdir(root)
    assert main(["init", ".", "--out", "c.yaml"]) == 0
    out = capsys.readouterr().out
    assert "skipped         3 × row without exactly 2 fields (line 14, line 15, line 16)" in out
    allowed = load_config("c.yaml").data.max_bad_fraction
    assert f"relaxed         data.max_bad_fraction: {allowed:g} instead of 0.01" in out
    assert re.search(r"max_bad_fraction: .*#", (root / "c.yaml").read_text())


def test_a_file_without_a_header_line_needs_no_init(root, monkeypatch, capsys):
    (root / "captions.txt").write_text(rows("{name},{said}", ""))
    with pytest.raises(
        DataError, match=r"first line is a row \(p0.jpg\). Set data.header: false, data.image_column: 1"
    ):
        read_dataset(KaggleConfig(root=root))
    corpus = read_dataset(KaggleConfig(root=root, header=False, image_column=1, caption_column=2))
    assert len(corpus.records) == 12 and len(corpus.repaired.by_kind[UNQUOTED]) == 12
    monkeypatch.chdir(root)
    assert main(["init", ".", "--out", "c.yaml"]) == 0
    assert "no header line  fields are separated by comma, and columns are numbered" in capsys.readouterr().out
    assert len(read_dataset(load_config("c.yaml").data).records) == 12


@pytest.mark.shared
def test_kaggles_own_file_needs_no_repair(shared):
    corpus = read_dataset(KaggleConfig(root=shared / "flickr8k"))
    assert not corpus.repaired.by_kind and len(corpus.records) > 8000
