import json
from pathlib import Path

import pytest

from capsmith.cli import main
from capsmith.cli.score import unique_names

ROWS = {
    "a.jpg": ("a dog runs through the snow", ["A dog runs in the snow .", "The dog is running ."]),
    "b.jpg": ("two people in a park", ["Two people sit on a bench .", "People in a park"]),
    "c.jpg": ("a man on a bench on a bench", ["a man sits down", "someone on a bench"]),
}


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [{"image": key, "caption": caption} for key, (caption, _) in ROWS.items()]
    (tmp_path / "preds.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "refs.json").write_text(json.dumps({key: group for key, (_, group) in ROWS.items()}))
    (tmp_path / "other.csv").write_text("image,caption\n" + "".join(f"{key},a dog\n" for key in ROWS))
    (tmp_path / "train.txt").write_text("two people in a park\nsomething else\n")
    return tmp_path


def run(capsys, *arguments, code=0):
    assert main(["score", "--hypotheses", "preds.jsonl", "--references", "refs.json", *arguments]) == code
    return capsys.readouterr()


def test_prints_a_table_of_scores(files, capsys):
    out = run(capsys).out
    assert "BLEU-4" in out and "CIDEr" in out and "95 % interval" in out
    assert "bleu4|order:4|tok:coco.1|case:lower|nrefs:2|n:3|capsmith:" in out


def test_json_output(files, capsys):
    shown = json.loads(run(capsys, "--json", "--metrics", "bleu4,cider", "--per-image").out)
    assert list(shown["scores"]) == ["bleu4", "cider"]
    assert set(shown["scores"]["cider"]) == {"value", "interval", "signature", "per_image"}
    assert set(shown["scores"]["cider"]["per_image"]) == set(ROWS)


def test_all_options_combine(files, capsys):
    options = ["--compare", "other.csv", "--human", "--diversity", "--train", "train.txt", "--explain", "a.jpg"]
    options += ["--metrics", "bleu,rouge,cider,cider_d", "--cider-df", "refs.json", "--cider-end"]
    out = run(capsys, *options).out
    for words in ("difference", "people, mean", "reference 2", "novel", "mbleu4", "1-grams: 5 of 6", "df:refs|end:yes"):
        assert words in out
    shown = json.loads(run(capsys, *options, "--json").out)
    assert set(shown) == {"hypotheses", "references", "scores", "compare", "human", "diversity", "explain"}
    assert shown["compare"]["tests"]["bleu1"]["difference"] < 0
    assert shown["diversity"]["preds.jsonl"]["novel"] == pytest.approx(2 / 3)
    assert shown["diversity"]["preds.jsonl"]["repeats"] == pytest.approx(1 / 3)
    assert len(shown["human"]["cider"]) == 2


def test_scores_are_reproducible(files, capsys):
    options = ("--json", "--compare", "other.csv")
    assert run(capsys, *options).out == run(capsys, *options).out


def test_subset_scores_only_images_with_captions(files, capsys):
    (files / "preds.jsonl").write_text('{"image": "a.jpg", "caption": "a dog"}')
    assert "b.jpg, c.jpg" in run(capsys, code=2).err
    result = run(capsys, "--subset", "--json")
    assert "1 of 3" in result.err
    assert json.loads(result.out)["scores"]["cider"]["interval"] is None


def test_reads_a_split_of_karpathys_json(files, capsys):
    images = [
        {"filename": key, "split": "test" if key != "c.jpg" else "val", "sentences": [{"raw": t} for t in group]}
        for key, (_, group) in ROWS.items()
    ]
    (files / "refs.json").write_text(json.dumps({"images": images}))
    (files / "preds.jsonl").write_text('{"image": "c.jpg", "caption": "a man"}')
    shown = json.loads(run(capsys, "--split", "dev", "--json").out)
    assert "n:1|" in shown["scores"]["bleu4"]["signature"]


BAD = [
    (["--metrics", "blue"], "metric 'blue' is not known; did you mean 'bleu'?"),
    (["--metrics", ","], "no metric"),
    (["--metrics", ""], "--metrics is empty"),
    (["--tokeniser", "ptb"], "tokeniser 'ptb' is not known"),
    (["--references", "nowhere.json"], "cannot read nowhere.json: No such file or directory"),
    (["--hypotheses", "refs.json"], "3 images with more than one caption, or none: a.jpg, b.jpg, c.jpg"),
    (["--explain", "z.jpg"], "unknown image 'z.jpg'"),
    (["--split", "test"], "with splits such as 'test'"),
    (["--compare", "train.txt"], "captions and references do not match: 2 captions without references (1, 2)"),
    (["--references", "refs.json", "train.txt"], "2 images with references but without a caption (1, 2)"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_errors_are_one_line(files, capsys, options, message):
    result = run(capsys, *options, code=2)
    assert result.out == ""
    assert result.err.startswith("capsmith: ") and message in result.err
    assert result.err.count("\n") == 1


def test_an_empty_caption_is_scored_and_reported(files, capsys):
    (files / "other.csv").write_text("image,caption\na.jpg,\nb.jpg,x\nc.jpg,y\n")
    result = run(capsys, "--compare", "other.csv", "--json")
    assert result.err == "note: other.csv: 1 empty caption (a.jpg)\n"
    assert json.loads(result.out)["compare"]["scores"]["bleu1"]["value"] >= 0


@pytest.mark.parametrize(
    "paths, names",
    [
        (["a/preds.jsonl", "b/preds.jsonl"], ["a/preds.jsonl", "b/preds.jsonl"]),
        (["x/a/r/p.json", "x/b/r/p.json"], ["a/r/p.json", "b/r/p.json"]),
        (["a/one.csv", "a/two.csv"], ["one.csv", "two.csv"]),
        (["p.csv"], ["p.csv"]),
        (["p.csv", "a/p.csv"], ["p.csv", "a/p.csv"]),
    ],
)
def test_files_with_equal_names_get_distinct_labels(paths, names):
    assert unique_names([Path(path) for path in paths]) == names
