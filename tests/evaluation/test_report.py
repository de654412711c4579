"""The report page: works offline, escapes all text, and shows the best and worst images first."""

from html.parser import HTMLParser

import pytest
from PIL import Image

from capsmith.core.errors import CapsmithError
from capsmith.evaluation.report import best_and_worst, write_report

SCORES = [
    {"name": "bleu4", "value": 0.2312, "interval": (0.21, 0.25), "control": 0.0412, "signature": "bleu4|n:3"},
    {"name": "cider", "value": 0.5, "interval": None, "control": None, "signature": "cider|n:3"},
]


class Page(HTMLParser):
    """Collects the text, links and images of a page."""

    VOID = {"meta", "img", "br", "link"}

    def __init__(self, path):
        super().__init__()
        self.tags, self.open, self.text, self.images, self.links = [], [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        self.links += [values[key] for key in ("href", "src") if key in values]
        if tag == "img":
            self.images.append(values)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text.append(data)


def example(folder, name, score, **values):
    path = folder / f"{name}.png"
    Image.new("RGB", (640, 480), (int(score * 250), 40, 90)).save(path)
    return {
        "image_path": path,
        "image_id": name,
        "references": [f"reference of {name}", "another"],
        "prediction": f"prediction of {name}",
        "score": score,
        **values,
    }


def report(tmp_path, examples, **values):
    given = {
        "title": "merge on scenes, test",
        "scores": SCORES,
        "examples": examples,
        "score_name": "cider",
        **values,
    }
    path = write_report(tmp_path / "report", **given)
    return path, Page(path)


@pytest.mark.parametrize(
    ("most", "best", "worst"), [(4, "ea", "dc"), (3, "ea", "d"), (99, "eab", "dc"), (0, "", ""), (1, "e", "")]
)
def test_best_and_worst_examples_share_no_image(most, best, worst):
    examples = [{"image_id": n, "score": s} for n, s in zip("abcde", (0.9, 0.5, 0.2, 0.1, 1.0), strict=True)]
    first, last = best_and_worst(examples, most)
    assert "".join(e["image_id"] for e in first) == best
    assert "".join(e["image_id"] for e in last) == worst


def test_the_page_shows_scores_and_images_in_order(tmp_path):
    examples = [example(tmp_path, name, score) for name, score in (("low", 0.1), ("high", 0.9), ("mid", 0.5))]
    path, page = report(tmp_path, examples, notes=["Search: greedy"])
    assert page.open == []
    text = " ".join(page.text)
    for shown in (
        "merge on scenes, test",
        "0.231",
        "0.210 – 0.250",
        "0.041",
        "bleu4|n:3",
        "Search: greedy",
        "reference of mid",
    ):
        assert shown in text
    assert [image["alt"] for image in page.images] == [f"prediction of {name}" for name in ("high", "mid", "low")]
    for image in page.images:
        with Image.open(path.parent / image["src"]) as small:
            assert small.format == "JPEG" and small.size == (320, 240)


def test_the_page_is_self_contained_and_can_be_moved(tmp_path):
    path, page = report(tmp_path, [example(tmp_path, "a", 0.4)])
    assert "script" not in page.tags and "link" not in page.tags
    assert "://" not in path.read_text() and str(tmp_path) not in path.read_text()
    moved = (tmp_path / "report").rename(tmp_path / "elsewhere")
    assert all((moved / link).is_file() for link in page.links)


def test_everything_is_escaped(tmp_path):
    evil = '<script>alert("1")</script>&\'"'
    values = {"image_id": evil, "references": [evil], "prediction": evil}
    scores = [{"name": evil, "value": 0.1, "signature": evil}]
    path, page = report(
        tmp_path,
        [example(tmp_path, "a", 0.4, **values)],
        title=evil,
        scores=scores,
        score_name=evil,
        notes=[evil],
    )
    assert "script" not in page.tags
    assert page.images[0]["alt"] == evil
    assert " ".join(page.text).count('alert("1")') >= 6


def test_columns_appear_only_when_filled(tmp_path):
    scores = [{"name": "bleu4", "value": 0.2}]
    text = " ".join(report(tmp_path, [], scores=scores)[1].text)
    assert "0.200" in text and "shuffled" not in text.lower() and "interval" not in text


def test_an_image_that_cannot_be_read_does_not_stop_the_report(tmp_path):
    gone = {**example(tmp_path, "a", 0.4), "image_path": tmp_path / "gone.png"}
    broken = example(tmp_path, "b", 0.3)
    broken["image_path"].write_bytes(b"no image")
    _, page = report(tmp_path, [gone, broken, example(tmp_path, "c", 0.2)])
    assert len(page.images) == 1
    assert " ".join(page.text).count("the image cannot be read") == 2


def test_a_second_report_removes_only_old_thumbnails(tmp_path):
    report(tmp_path, [example(tmp_path, "a", 0.4), example(tmp_path, "b", 0.3)])
    (tmp_path / "report" / "images" / "mine.jpg").write_bytes(b"mine")
    _, page = report(tmp_path, [example(tmp_path, "b", 0.3)])
    left = {path.name for path in (tmp_path / "report" / "images").iterdir()}
    assert left == {"mine.jpg", "copies.json", page.images[0]["src"].split("/")[1]}


def test_ids_with_folders_and_special_characters(tmp_path):
    examples = [
        example(tmp_path, "a", 0.4, image_id="x/../y z.jpg"),
        example(tmp_path, "b", 0.3, image_id="ảnh/1.jpg"),
    ]
    path, page = report(tmp_path, examples)
    assert len({image["src"] for image in page.images}) == 2
    assert all((path.parent / image["src"]).is_file() for image in page.images)


def test_an_unwritable_folder_is_an_error(tmp_path):
    (tmp_path / "report").write_text("")
    with pytest.raises(CapsmithError, match="cannot write"):
        report(tmp_path, [example(tmp_path, "a", 0.4)])
