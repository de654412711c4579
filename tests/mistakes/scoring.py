"""Captions to score."""

import json

from tests.mistakes import Workshop, mistake
from tests.support import toy

LINES = "".join(json.dumps({"image": row["image"], "caption": row["caption"]}) + "\n" for row in toy.rows())


def _score(shop: Workshop, hypotheses: str | bytes | None, *more: str, references: str | bytes = LINES) -> list[str]:
    message, true = shop / "said.jsonl", shop.write("true.jsonl", references)
    if hypotheses is not None:
        shop.write("said.jsonl", hypotheses)
    return ["score", "--hypotheses", str(message), "--references", str(true), *more]


def _said(*rows: dict[str, object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


ONE_EACH = "".join(LINES.splitlines(keepends=True)[::2])


@mistake("captions to score that are missing", "said.jsonl", "No such file")
def _(shop: Workshop) -> list[str]:
    return _score(shop, None)


@mistake("captions to score in an empty file", "said.jsonl")
def _(shop: Workshop) -> list[str]:
    return _score(shop, "")


@mistake("captions to score that are an image", "said.jsonl")
def _(shop: Workshop) -> list[str]:
    return _score(shop, (shop.toy.data / "images" / "red_ball.png").read_bytes())


@mistake("captions to score of other images", "other.png")
def _(shop: Workshop) -> list[str]:
    return _score(shop, _said({"image": "other.png", "caption": "a ball"}))


@mistake("captions to score for some images only", "red_box.png")
def _(shop: Workshop) -> list[str]:
    return _score(shop, _said({"image": "red_ball.png", "caption": "a ball"}))


@mistake("captions to score that are numbers", "said.jsonl")
def _(shop: Workshop) -> list[str]:
    return _score(shop, _said(*({"image": row["image"], "caption": 3} for row in toy.rows()[::2])))


@mistake("two captions for an image to score", "red_ball.png")
def _(shop: Workshop) -> list[str]:
    return _score(shop, LINES)


@mistake("references in an empty file", "true.jsonl")
def _(shop: Workshop) -> list[str]:
    return _score(shop, ONE_EACH, references="")


@mistake("JSON lines to score nested 100,000 deep", "said.jsonl")
def _(shop: Workshop) -> list[str]:
    return _score(shop, '{"image": ' + "[" * 100_000)


@mistake("an unknown metric to score with", "blue4", "did you mean 'bleu4'?")
def _(shop: Workshop) -> list[str]:
    return _score(shop, ONE_EACH, "--metrics", "blue4")


@mistake("an unknown tokeniser to score with", "'cocoa'", "did you mean 'coco'?")
def _(shop: Workshop) -> list[str]:
    return _score(shop, ONE_EACH, "--tokeniser", "cocoa")


@mistake("an image to explain that is not there", "gone.png")
def _(shop: Workshop) -> list[str]:
    return _score(shop, ONE_EACH, "--explain", "gone.png")


@mistake("a split to score that the references lack", "split")
def _(shop: Workshop) -> list[str]:
    return _score(shop, ONE_EACH, "--split", "holdout")


@mistake("detections that are captions", "found.jsonl, line 1", "capsmith detect --json")
def _(shop: Workshop) -> list[str]:
    found = str(shop.write("found.jsonl", LINES))
    return _score(shop, ONE_EACH, "--metrics", "hallucination", "--detections", found)


@mistake("detections of a class that COCO does not have", "found.json, entry 1", "category_id 91")
def _(shop: Workshop) -> list[str]:
    found = str(shop.write("found.json", '[{"image_id": 1, "category_id": 91, "score": 1}]'))
    return _score(shop, ONE_EACH, "--metrics", "hallucination", "--detections", found)


@mistake("detections that are missing", "found.jsonl", "No such file")
def _(shop: Workshop) -> list[str]:
    return _score(shop, ONE_EACH, "--metrics", "hallucination", "--detections", str(shop / "found.jsonl"))


@mistake("a threshold of detections above 1", "threshold", "1.5")
def _(shop: Workshop) -> list[str]:
    found = str(shop.write("found.jsonl", '{"image": "red_ball.png", "objects": []}'))
    more = ["--detections", found, "--detection-threshold", "1.5"]
    return _score(shop, ONE_EACH, "--metrics", "hallucination", *more)


@mistake("hallucinations of captions in another language", "hallucination", "English")
def _(shop: Workshop) -> list[str]:
    german = _said(*({"image": row["image"], "caption": "ein Würfel"} for row in toy.rows()[::2]))
    return _score(shop, german, "--metrics", "hallucination", references=german)


@mistake("detections that are missing when a training begins", "found.jsonl", "No such file")
def _(shop: Workshop) -> list[str]:
    changes = ["evaluation.metrics=[hallucination]", f"evaluation.detections={shop / 'found.jsonl'}"]
    sets = [part for change in changes for part in ("--set", change)]
    return ["train", "--config", shop.config(), "--run", str(shop / "new"), *sets]
