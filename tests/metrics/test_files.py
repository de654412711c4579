import json

import pytest

from capsmith.core.errors import DataError
from capsmith.metrics.files import align, read_captions, read_hypotheses, read_references, read_training

EXPECTED = {"a.jpg": ["A dog, running .", "dogs"], "b.jpg": ["two people"]}
KARPATHY = {
    "images": [
        {
            "filename": "a.jpg",
            "imgid": 0,
            "cocoid": 11,
            "split": "test",
            "sentences": [{"raw": t} for t in EXPECTED["a.jpg"]],
        },
        {"filename": "b.jpg", "imgid": 1, "cocoid": 12, "split": "val", "sentences": [{"raw": "two people"}]},
    ],
    "dataset": "flickr8k",
}
COCO = {
    "images": [{"id": 11, "file_name": "a.jpg"}, {"id": 12, "file_name": "b.jpg"}],
    "annotations": [
        {"image_id": 11, "id": 1, "caption": "A dog, running ."},
        {"image_id": 12, "id": 2, "caption": "two people"},
        {"image_id": 11, "id": 3, "caption": "dogs"},
    ],
}
LINES = [("a.jpg", "A dog, running ."), ("a.jpg", "dogs"), ("b.jpg", "two people")]
FORMATS = {
    "rows.jsonl": "".join(json.dumps({"image": k, "caption": t}) + "\n" for k, t in LINES),
    "lists.jsonl": "".join(json.dumps({"image_id": k, "captions": g}) + "\n\n" for k, g in EXPECTED.items()),
    "results.json": json.dumps([{"image_id": k, "caption": t, "score": 1.5} for k, t in LINES]),
    "karpathy.json": json.dumps(KARPATHY),
    "mapping.json": json.dumps(EXPECTED),
    "kaggle.csv": 'image,caption\na.jpg,"A dog, running ."\na.jpg,dogs\nb.jpg,two people\n',
    "semicolons.csv": "Filename;Text\r\na.jpg;A dog, running .\r\na.jpg;dogs\r\nb.jpg;two people\r\n",
    "table.tsv": "image_id\tcaption\na.jpg\tA dog, running .\na.jpg\tdogs\nb.jpg\ttwo people\n",
    "captions.txt": 'image,caption\na.jpg,"A dog, running ."\na.jpg,dogs\nb.jpg,two people\n',
    "flickr.token.txt": "a.jpg#0\tA dog, running .\na.jpg#1\tdogs\nb.jpg#0\ttwo people\n",
    "mark.json": "\ufeff" + json.dumps(EXPECTED),
}


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_all_formats_have_the_same_content(tmp_path, name):
    assert read_captions(written(tmp_path, name, FORMATS[name])).captions == EXPECTED


def test_coco_annotations_have_numeric_ids_and_file_names(tmp_path):
    found = read_references([written(tmp_path, "annotations.json", json.dumps(COCO))])
    assert found.captions == {"11": EXPECTED["a.jpg"], "12": EXPECTED["b.jpg"]}
    numbers = written(
        tmp_path, "n.json", json.dumps([{"image_id": 11, "caption": "x"}, {"image_id": 12, "caption": "y"}])
    )
    names = written(tmp_path, "n.jsonl", '{"image": "a.jpg", "caption": "x"}\n{"image": "b.jpg", "caption": "y"}')
    for path in (numbers, names):
        assert align(read_hypotheses(path), found) == {"11": "x", "12": "y"}


def test_karpathys_images_also_have_their_coco_number(tmp_path):
    found = read_references([written(tmp_path, "k.json", json.dumps(KARPATHY))])
    given = read_hypotheses(written(tmp_path, "h.json", '{"11": "x", "12": "y"}'))
    assert align(given, found) == {"a.jpg": "x", "b.jpg": "y"}


def test_unknown_ids_stay_unchanged(tmp_path):
    found = read_references([written(tmp_path, "r.json", json.dumps(COCO))])
    given = read_hypotheses(written(tmp_path, "h.json", '{"a.jpg": "x", "z.jpg": "y"}'))
    assert align(given, found) == {"a.jpg": "x", "z.jpg": "y"}


@pytest.mark.parametrize(("split", "expected"), [("test", ["a.jpg"]), ("val", ["b.jpg"]), ("dev", ["b.jpg"])])
def test_karpathys_splits(tmp_path, split, expected):
    path = written(tmp_path, "k.json", json.dumps(KARPATHY))
    assert list(read_captions(path, split).captions) == expected


def test_training_captions_are_the_train_split_of_a_file_with_splits(tmp_path):
    images = [{**image, "split": split} for image, split in zip(KARPATHY["images"], ["train", "test"], strict=True)]
    path = written(tmp_path, "k.json", json.dumps({"images": images}))
    assert list(read_training(path).captions) == ["a.jpg"]
    assert list(read_training(written(tmp_path, "t.txt", FORMATS["flickr.token.txt"])).captions) == ["a.jpg", "b.jpg"]
    with pytest.raises(DataError, match="x.json"):
        read_training(written(tmp_path, "x.json", "{"))


def test_plain_lines_are_numbered_and_references_come_in_several_files(tmp_path):
    hypotheses = written(tmp_path, "h.txt", "a dog\ntwo people\n")
    assert read_hypotheses(hypotheses).captions == {"1": ["a dog"], "2": ["two people"]}
    paths = [written(tmp_path, f"r{k}", f"one {k}\ntwo {k}\n") for k in range(3)]
    assert read_references(paths).captions == {"1": ["one 0", "one 1", "one 2"], "2": ["two 0", "two 1", "two 2"]}
    paths.append(written(tmp_path, "r3", "one line only\n"))
    with pytest.raises(DataError, match="r0 2, r1 2, r2 2, r3 1"):
        read_references(paths)


def test_an_empty_line_is_an_empty_caption_with_a_note(tmp_path):
    found = read_hypotheses(written(tmp_path, "h.txt", "a dog\n\nend\n"))
    assert found.captions == {"1": ["a dog"], "2": [""], "3": ["end"]}
    assert len(found.notes) == 1 and "h.txt" in found.notes[0] and "(2)" in found.notes[0]


def test_line_separators_inside_json_strings_do_not_end_a_line(tmp_path):
    text = '{"image": "a", "caption": "one\u2028two\x85three"}\n'
    assert read_captions(written(tmp_path, "x.jsonl", text)).captions == {"a": ["one\u2028two\x85three"]}


BAD = {
    "none.txt": (None, "cannot read .*none.txt: No such file"),
    "latin.csv": (b"image,caption\na,caf\xe9\n", r"line 2, byte 6: 0xe9 is not UTF-8 \(it may be Windows-1252"),
    "broken.json": ("{", "is not valid JSON"),
    "broken.jsonl": ('{"image": "a", "caption": "x"}\n{oops\n', "line 2: not valid JSON"),
    "number.json": ("3", "no captions in a known format"),
    "list.json": ('["a dog"]', "entry 1: expected an object.*'a dog'"),
    "noid.jsonl": ('{"caption": "x"}', r"line 1: no id \(one of the keys: image_id, image"),
    "nocaption.jsonl": ('{"image": "x"}', r"line 1: no caption \(one of the keys: caption, captions"),
    "nan.json": ('[{"image_id": 1, "caption": NaN}]', r"entry 1: image 1: the caption is missing \(nan\)"),
    "null.json": ('{"a": null}', r"image a: the caption is missing \(None\)"),
    "nan.csv": ("image,caption\na,x\nb,nan\n", r"line 3: image b: the caption is missing \(nan\)"),
    "number.jsonl": ('{"image": "a", "caption": 5}', "a caption must be text, not int"),
    "nested.jsonl": ('{"image": "a", "captions": ["x", {"raw": "y"}]}', "must be text, not dict"),
    "header.csv": ("a,a dog\nb,a cat\n", "the first line must name the columns, such as image,caption"),
    "comma.csv": (
        "image,caption\na,a dog, running\n",
        "line 2: 2 columns expected; a caption with a ',' needs quotes",
    ),
    "short.csv": ("image,caption\na.jpg\n", "line 2: 2 columns expected"),
    "quote.csv": ('image,caption\na.jpg,"a dog runs\nb.jpg,x\n', "line 2: row with a quote that is not closed"),
    "empty.csv": ("", "the first line must name the columns"),
    "empty.jsonl": ("\n\n", "no captions"),
    "empty.txt": ("", "no captions"),
    "flickr.txt": ("a.jpg#0\tx\nno tab here\n", "line 2: expected name#number, a tab and a caption"),
    "karpathy.json": ('{"images": [{"filename": "a.jpg"}]}', "image 1: expected 'filename' and 'sentences'"),
}


@pytest.mark.parametrize("name", BAD)
def test_error_names_the_place_in_one_line(tmp_path, name):
    text, message = BAD[name]
    path = tmp_path / name if text is None else written(tmp_path, name, text)
    with pytest.raises(DataError, match=message) as caught:
        read_captions(path)
    assert "\n" not in str(caught.value) and name in str(caught.value)


DEVIATIONS = {
    "header.csv": "a.jpg,a dog\nb.jpg,a cat\n",
    "comma.csv": "image,caption\na.jpg,a dog, running\nb.jpg,x\n",
    "turned.csv": "caption,image\na dog, running,a.jpg\nx,b.jpg\n",
    "blank.csv": 'image,caption\n"a.jpg" ,"a dog" \nb.jpg,x\n',
    "doubled.csv": 'image,caption\na.jpg,"a "big" dog"\nb.jpg,x\n',
    "around.csv": 'image,caption\na.jpg,"a dog" runs\nb.jpg,x\n',
    "excel.csv": "sep=;\r\nimage;caption\r\na.jpg;a dog\r\nb.jpg;x\r\n",
    "trailing.csv": "image,caption\na.jpg,a dog,,\nb.jpg,x,\n",
    "comment.csv": "# mine\nimage,caption\na.jpg,a dog\nb.jpg,x\n",
    "utf16.tsv": "image\tcaption\na.jpg\ta dog\nb.jpg\tx\n".encode("utf-16"),
}
CAPTIONS = {
    "comma.csv": "a dog, running",
    "turned.csv": "a dog, running",
    "doubled.csv": 'a "big" dog',
    "around.csv": '"a dog" runs',
}


@pytest.mark.parametrize("name", DEVIATIONS)
def test_obvious_deviations_are_corrected_with_a_note(tmp_path, name):
    found = read_hypotheses(written(tmp_path, name, DEVIATIONS[name]))
    assert found.captions["a.jpg"] == [CAPTIONS.get(name, "a dog")] and len(found.captions) == 2
    assert len(found.notes) == (name in (*CAPTIONS, "header.csv"))


def test_several_captions_of_an_image_are_an_error(tmp_path):
    path = written(tmp_path, "h.jsonl", FORMATS["rows.jsonl"])
    with pytest.raises(DataError, match=r"1 image.*: a.jpg"):
        read_hypotheses(path)


@pytest.mark.parametrize("name", ["kaggle.csv", "flickr.token.txt", "mapping.json", "karpathy.json"])
def test_a_missing_split_is_an_error(tmp_path, name):
    with pytest.raises(DataError, match="split"):
        read_captions(written(tmp_path, name, FORMATS[name]), "nowhere")


@pytest.mark.shared
def test_both_layouts_of_flickr8k_have_the_same_captions(shared):
    token, kaggle = (
        read_captions(shared / "flickr8k" / name).captions for name in ("Flickr8k.token.txt", "captions.txt")
    )
    assert len(token) == 8092
    same = sum(token[key] == kaggle.get(key) for key in token)
    assert same > 8000
