"""Detectors, annotations and outputs of ``capsmith detect``."""

import json

from tests.mistakes import Workshop, mistake


def _detect(shop: Workshop, *more: str, model: str | None = None) -> list[str]:
    image = str(shop.toy.data / "images" / "red_ball.png")
    return ["detect", image, "--model", model or str(shop.write("model.onnx", b"no model")), *more]


def _annotated(shop: Workshop, content: object, *more: str) -> list[str]:
    text = content if isinstance(content, str) else json.dumps(content)
    return _detect(shop, "--annotations", str(shop.write("truth.json", text)), *more)


def _truth(*annotations: object, name: str = "red_ball.png") -> dict[str, object]:
    images = [{"id": 1, "file_name": name}]
    return {"images": images, "categories": [{"id": 1, "name": "ball"}], "annotations": [*annotations]}


@mistake("objects without a detector", "--model MODEL.onnx", "docs/detection.md")
def _(shop: Workshop) -> list[str]:
    return ["detect", str(shop.toy.data / "images" / "red_ball.png")]


@mistake("a detector that is missing", "gone.onnx")
def _(shop: Workshop) -> list[str]:
    return _detect(shop, model=str(shop / "gone.onnx"))


@mistake("a detector that is no ONNX file", "model.onnx")
def _(shop: Workshop) -> list[str]:
    return _detect(shop)


@mistake("a detector in PyTorch's form", "model.pt", "not an ONNX file", "docs/detection.md")
def _(shop: Workshop) -> list[str]:
    return _detect(shop, model=str(shop.write("model.pt", b"weights")))


@mistake("a detector that is a run", "run")
def _(shop: Workshop) -> list[str]:
    return _detect(shop, model=str(shop.run()))


@mistake("a least confidence of 40", "--threshold 40")
def _(shop: Workshop) -> list[str]:
    return _detect(shop, "--threshold", "40")


@mistake("a least confidence that is not a number", "--threshold nan")
def _(shop: Workshop) -> list[str]:
    return _detect(shop, "--threshold", "nan")


@mistake("a list of classes with a gap", "--only ball,,dog")
def _(shop: Workshop) -> list[str]:
    return _detect(shop, "--only", "ball,,dog")


@mistake("classes and annotations together", "--only", "--annotations")
def _(shop: Workshop) -> list[str]:
    return _annotated(shop, _truth(), "--only", "ball")


@mistake("no threads to decode images", "--workers 0")
def _(shop: Workshop) -> list[str]:
    return _detect(shop, "--workers", "0")


@mistake("a drawing over a photo", "photo.png")
def _(shop: Workshop) -> list[str]:
    photo = shop.write("photo.png", (shop.toy.data / "images" / "red_ball.png").read_bytes())
    return _detect(shop, str(photo), "--show", str(photo))


@mistake("a drawing over the image of another program", "mine.png", "--show")
def _(shop: Workshop) -> list[str]:
    photo = shop.write("mine.png", (shop.toy.data / "images" / "red_ball.png").read_bytes())
    return _detect(shop, "--show", str(photo))


@mistake("a drawing in a format that is none", "out.txt", "--show")
def _(shop: Workshop) -> list[str]:
    return _detect(shop, "--show", str(shop / "out.txt"))


@mistake("objects written over annotations", "truth.json")
def _(shop: Workshop) -> list[str]:
    return _annotated(shop, _truth(), "--coco", str(shop / "truth.json"))


@mistake("objects written over a detector", "model.onnx")
def _(shop: Workshop) -> list[str]:
    return _detect(shop, "--coco", str(shop / "model.onnx"))


@mistake("objects written over results of another program", "results.json", "--coco")
def _(shop: Workshop) -> list[str]:
    rows = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 0.5}]
    return _detect(shop, "--coco", str(shop.write("results.json", json.dumps(rows))))


@mistake("objects written and drawn into one file", "out.png", "--show", "--coco")
def _(shop: Workshop) -> list[str]:
    return _detect(shop, "--show", str(shop / "out.png"), "--coco", str(shop / "out.png"))


@mistake("annotations that are missing", "gone.json")
def _(shop: Workshop) -> list[str]:
    return _detect(shop, "--annotations", str(shop / "gone.json"))


@mistake("annotations nested 100,000 deep", "truth.json")
def _(shop: Workshop) -> list[str]:
    return _annotated(shop, '{"images": ' + "[" * 100_000)


@mistake("annotations of other images", "red_ball.png", "truth.json")
def _(shop: Workshop) -> list[str]:
    return _annotated(shop, _truth(name="blue_box.png"))


@mistake("captions as annotations of objects", "truth.json", "categories")
def _(shop: Workshop) -> list[str]:
    captions = [{"id": 1, "image_id": 1, "caption": "a ball"}]
    return _annotated(shop, {"images": [{"id": 1, "file_name": "red_ball.png"}], "annotations": captions})


@mistake("an annotation with three sides", "annotations[0]", "bbox")
def _(shop: Workshop) -> list[str]:
    return _annotated(shop, _truth({"image_id": 1, "category_id": 1, "bbox": [0, 0, 1]}))


@mistake("an annotation of a class that is not listed", "annotations[0]", "category_id 2")
def _(shop: Workshop) -> list[str]:
    return _annotated(shop, _truth({"image_id": 1, "category_id": 2, "bbox": [0, 0, 1, 1]}))


@mistake("an annotation with an endless number", "annotations[0]", "bbox")
def _(shop: Workshop) -> list[str]:
    return _annotated(
        shop, json.dumps(_truth({"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 7]})).replace("7", "1e999")
    )


@mistake("two images of one file in annotations", "images[1]")
def _(shop: Workshop) -> list[str]:
    content = _truth()
    return _annotated(shop, content | {"images": [{"id": n, "file_name": "red_ball.png"} for n in (1, 2)]})
