"""Detection of dataset layouts, and errors for those that cannot be read."""

import json

import pytest
from PIL import Image

from capsmith.core.errors import DataError
from capsmith.data.onboarding.layout import detect_layout
from capsmith.data.records import read_dataset

NAMES = [f"p{n}.jpg" for n in range(20)]
SAID = {name: [f"a ball {name[:-4]}", f"one more {name[:-4]}"] for name in NAMES}
LISTS = {split: f"Flickr_8k.{split}Images.txt" for split in ("train", "dev", "test")}


def images(folder, names=NAMES):
    folder.mkdir(parents=True, exist_ok=True)
    for n, name in enumerate(names):
        Image.new("RGB", (8, 8), (9 * n, 90, 200 - 9 * n)).save(folder / name)
    return folder


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def said(root, captions=None):
    """Returns the captions by image, as read with the detected layout."""
    corpus = read_dataset(detect_layout(root, captions).config)
    assert not corpus.problems.by_kind
    return {record.image_id: list(record.captions) for record in corpus.records}


def token_file():
    return "".join(f"{name}#{n}\t{text}\n" for name, texts in SAID.items() for n, text in enumerate(texts))


@pytest.mark.parametrize("file", ["Flickr8k.token.txt", "text/Flickr8k.token.txt", "results_20130124.token"])
def test_a_token_file_without_lists_gets_a_random_split(tmp_path, file):
    images(tmp_path / "Images")
    write(tmp_path / file, token_file())
    layout = detect_layout(tmp_path)
    assert (layout.config.type, layout.config.lists, layout.has_splits) == ("flickr8k", None, False)
    assert said(tmp_path) == SAID
    corpus = read_dataset(layout.config)
    assert [len(corpus.split(name)) for name in LISTS] == [16, 2, 2]


@pytest.mark.parametrize("folder", [".", "Flickr8k_text"])
def test_a_token_file_with_lists(tmp_path, folder):
    images(tmp_path / "Images")
    write(tmp_path / folder / "Flickr8k.token.txt", token_file())
    write(tmp_path / folder / "Flickr8k.lemma.token.txt", token_file())
    for name, some in zip(LISTS.values(), (NAMES[:12], NAMES[12:15], NAMES[15:]), strict=True):
        write(tmp_path / folder / name, "\n".join(some))
    layout = detect_layout(tmp_path)
    assert layout.has_splits and layout.config.captions.name == "Flickr8k.token.txt"
    corpus = read_dataset(layout.config)
    assert [len(corpus.split(name)) for name in LISTS] == [12, 3, 5]


def test_a_missing_list_is_an_error(tmp_path):
    """A random split could train on test images."""
    images(tmp_path / "Images")
    write(tmp_path / "Flickr8k.token.txt", token_file())
    write(tmp_path / LISTS["test"], "p0.jpg")
    with pytest.raises(DataError, match="has Flickr_8k.testImages.txt, but not Flickr_8k.trainImages.txt: add it"):
        detect_layout(tmp_path)


COCO = {
    "images": [{"id": n, "file_name": name} for n, name in enumerate(NAMES)],
    "annotations": [{"image_id": n, "caption": text} for n, name in enumerate(NAMES) for text in SAID[name]],
}


@pytest.mark.parametrize(
    "content",
    [
        [{"image": name, "captions": texts} for name, texts in SAID.items()],
        [{"file": f"photos/{name}", "caption": text, "n": 1} for name, texts in SAID.items() for text in texts],
        SAID,
        COCO,
    ],
    ids=["lists", "rows", "names", "coco"],
)
def test_json_files(tmp_path, content):
    images(tmp_path / "photos")
    write(tmp_path / "captions.json", json.dumps(content))
    assert {name.rpartition("/")[2]: texts for name, texts in said(tmp_path).items()} == SAID


def test_a_json_list_with_splits(tmp_path):
    images(tmp_path)
    rows = [{"image": name, "caption": f"ball {n}", "split": ("train", "val")[n % 2]} for n, name in enumerate(NAMES)]
    write(tmp_path / "c.json", json.dumps([*rows, {"image": 7, "caption": "x", "split": "train"}]))
    layout = detect_layout(tmp_path)
    corpus = read_dataset(layout.config.model_copy(update={"max_bad_fraction": 0.1}))
    assert layout.has_splits and len(corpus.split("dev")) == 10
    assert corpus.problems.by_kind == {"row whose 'image' or 'caption' is not text": ["entry 21"]}


@pytest.mark.parametrize("texts", [".", "photos", "captions"])
def test_a_text_file_for_each_image(tmp_path, texts):
    """Beside the images or in a separate folder; blank lines are not captions."""
    images(tmp_path / ("." if texts == "." else "photos"))
    for name, lines in SAID.items():
        write(tmp_path / texts / f"{name[:-4]}.txt", "\n\n".join(lines) + "\n")
    assert said(tmp_path) == SAID
    assert detect_layout(tmp_path).config.captions.as_posix() == texts  # the innermost folder


def test_text_files_elsewhere_and_without_an_image(tmp_path):
    images(tmp_path / "d")
    for name, lines in SAID.items():
        write(tmp_path / "texts" / f"{name}.txt", "\n".join(lines))  # p0.jpg.txt
    write(tmp_path / "texts" / "readme.txt", "one\ntwo\n")
    write(tmp_path / "texts" / "p3.jpg.txt", "")
    config = detect_layout(tmp_path / "d", tmp_path / "texts").config.model_copy(update={"max_bad_fraction": 0.1})
    corpus = read_dataset(config)
    assert {record.image_id for record in corpus.records} == set(NAMES) - {"p3.jpg"}
    assert corpus.problems.by_kind == {
        "text file without an image of the same name": ["readme.txt"],
        "empty caption": ["p3.jpg"],
    }
    with pytest.raises(DataError, match="folder without text files"):
        detect_layout(tmp_path / "d", tmp_path / "d")


def test_a_table_with_more_images_wins_over_text_files(tmp_path):
    images(tmp_path)
    for name in NAMES[:4]:
        write(tmp_path / f"{name[:-4]}.txt", "x, y\n")
    write(tmp_path / "c.csv", "image,caption\n" + "".join(f"{name},{SAID[name][0]}\n" for name in NAMES))
    assert said(tmp_path) == {name: texts[:1] for name, texts in SAID.items()}


def test_many_text_files_in_two_folders_are_all_read(tmp_path):
    """More files than are inspected, with the same names in both folders."""
    names = [f"{n:03d}.jpg" for n in range(310)]
    for folder in ("train", "val"):
        images(tmp_path / folder, names)
        for name in names:
            write(tmp_path / folder / f"{name[:-4]}.txt", f"{folder} {name[:-4]}")
    both = {f"{place}/{name}": [f"{place} {name[:-4]}"] for place in ("train", "val") for name in names}
    assert said(tmp_path) == both
    assert said(tmp_path, tmp_path / "val") == {name: [f"val {name[:-4]}"] for name in names}
    config = detect_layout(tmp_path, tmp_path / "val").config
    assert config.images.as_posix() == config.captions.as_posix() == "val"


def test_labels_of_an_object_detector_are_not_captions(tmp_path):
    images(tmp_path)
    for name in NAMES:
        write(tmp_path / "labels" / f"{name[:-4]}.txt", "0 0.51 0.48 0.2 0.3\n")
    with pytest.raises(DataError, match="no captions"):
        detect_layout(tmp_path)
    write(tmp_path / "c.csv", "image,caption\n" + "".join(f"{name},{SAID[name][0]}\n" for name in NAMES))
    assert said(tmp_path) == {name: texts[:1] for name, texts in SAID.items()}


def test_a_linked_folder_of_text_files_is_read(tmp_path):
    images(tmp_path / "d")
    for name, lines in SAID.items():
        write(tmp_path / "elsewhere" / f"{name[:-4]}.txt", "\n".join(lines))
    (tmp_path / "d" / "texts").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert said(tmp_path / "d") == SAID


def test_names_without_endings(tmp_path):
    images(tmp_path / "images" / "a")
    rows = [f"{n},a/{name[:-4]},{text}" for n, (name, texts) in enumerate(SAID.items()) for text in texts]
    write(tmp_path / "c.csv", "\n".join(["number,image,caption", *rows, "9,a/p1.jpg,a third"]))
    found = said(tmp_path)
    assert found["a/p1.jpg"] == [*SAID["p1.jpg"], "a third"]  # with its ending and without it is one image
    assert set(found) == {f"a/{name}" for name in NAMES}


def test_exact_names_win_over_numbers_that_match_images(tmp_path):
    """Images 0.jpg to 9.jpg, and a column of row numbers in another order."""
    names = [f"{n}.jpg" for n in range(10)]
    images(tmp_path, names)
    rows = [f"{n},{name},ball {name[0]}" for n, name in enumerate(reversed(names))]
    write(tmp_path / "c.csv", "\n".join(["image_id,x,caption", *rows]))
    assert said(tmp_path) == {name: [f"ball {name[0]}"] for name in names}


def test_ambiguous_names_are_an_error(tmp_path):
    images(tmp_path)
    images(tmp_path, [name.replace("jpg", "png") for name in NAMES])
    write(tmp_path / "c.csv", "\n".join(["image,caption", *(f"{name[:-4]},a ball" for name in NAMES)]))
    with pytest.raises(DataError, match=r"names in column 'image' match .*: p0\.(jpg|png)"):
        detect_layout(tmp_path)


def test_an_image_is_not_read_as_captions(tmp_path):
    images(tmp_path)
    (tmp_path / "c.csv").write_bytes((tmp_path / "p0.jpg").read_bytes())
    for name in ("p0.jpg", "c.csv"):
        with pytest.raises(DataError, match=rf"{name} is an image, not captions: pass a table"):
            detect_layout(tmp_path, tmp_path / name)


def test_captions_may_begin_like_image_files(tmp_path):
    images(tmp_path)
    write(tmp_path / "c.csv", "BMX,caption\n" + "".join(f"{name},{SAID[name][0]}\n" for name in NAMES))
    assert said(tmp_path) == {name: texts[:1] for name, texts in SAID.items()}


def test_a_file_instead_of_a_folder(tmp_path):
    images(tmp_path)
    write(tmp_path / "c.csv", "image,caption\n")
    with pytest.raises(DataError, match=r"c\.csv is a file: pass the image folder, and .* --captions .*c\.csv"):
        detect_layout(tmp_path / "c.csv")
    with pytest.raises(DataError, match=r"p1\.jpg is an image: pass the folder"):
        detect_layout(tmp_path / "p1.jpg")


def test_without_images_the_usual_endings_are_named_first(tmp_path):
    with pytest.raises(DataError, match=r"no images \(\.jpg, \.jpeg, \.png, "):
        detect_layout(tmp_path)
