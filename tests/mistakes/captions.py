"""Datasets and word vectors."""

import json

from tests.mistakes import Workshop, mistake
from tests.support import toy


def _extract(shop: Workshop, **changes) -> list[str]:
    return ["extract", "--config", shop.config(**changes)]


def _captions(shop: Workshop, content: str | bytes, name: str = "captions.csv", **changes) -> list[str]:
    """Extracts from a copy of the data whose captions file has other content."""
    root = shop.data()
    (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return _extract(shop, data={"captions": name, **changes})


def _csv() -> str:
    return "".join(f"{row['image']},{row['caption'].replace(',', '')},{row['split']}\n" for row in toy.rows())


HEADER = "image,caption,split\n"


@mistake("missing data root", "--set data.root=")
def _(shop: Workshop) -> list[str]:
    return _extract(shop, data={"root": str(shop / "nowhere")})


@mistake("data root that is a file", "--set data.root=")
def _(shop: Workshop) -> list[str]:
    return _extract(shop, data={"root": str(shop.write("file", "x"))})


@mistake("data root of a name too long", "File name too long")
def _(shop: Workshop) -> list[str]:
    return _extract(shop, data={"root": "x" * 300})


@mistake("missing captions file", "data.captions", "captions.tsv", "did you mean 'captions.csv'?")
def _(shop: Workshop) -> list[str]:
    return _extract(shop, data={"captions": "captions.tsv"})


@mistake("captions file that is a folder", "data.captions")
def _(shop: Workshop) -> list[str]:
    return _extract(shop, data={"captions": "images"})


@mistake("missing image folder", "data.images", "Images", "did you mean 'images'?")
def _(shop: Workshop) -> list[str]:
    return _extract(shop, data={"images": "Images"})


@mistake("missing column", "captions.csv", "'caption'", "did you mean 'captoin'?", "data.caption_column")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, "image,captoin,split\n" + _csv())


@mistake("captions without a header", "captions.csv", "'image'", "data.image_column")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, _csv())


@mistake("empty captions file", "captions.csv", "empty")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, "")


@mistake("captions file of a header alone", "captions.csv")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, HEADER)


@mistake("duplicate rows", "captions.csv", "data.max_bad_fraction", "red_ball.png", "duplicate")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, HEADER + _csv() * 2)


@mistake("ids that match no image", "'red_ball.png'")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, HEADER + _csv().replace(".png", ".1"))


@mistake("images that are missing", "red_ball.jpg", "'red_ball.png'")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, HEADER + _csv().replace(".png", ".jpg"))


@mistake("ids that climb out of the folder", "../../etc/passwd")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, HEADER + "../../etc/passwd,a file,train\n/etc/passwd,a file,train\n" * 9)


@mistake("Latin-1 captions", "captions.csv", "line 2", "UTF-8")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, (HEADER + "red_ball.png,café,train\n").encode("latin-1"))


@mistake("UTF-16 captions cut short", "captions.csv", "damaged")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, (HEADER + _csv()).encode("utf-16")[:-1])


@mistake("captions with NUL bytes", "captions.csv")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, HEADER + _csv().replace(".png", "\0.png"))


@mistake("captions file of zeros", "captions.csv")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, bytes(5000))


@mistake("captions file that is an image", "captions.csv", "UTF-8")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, (shop.toy.data / "images" / "red_ball.png").read_bytes())


@mistake("a quote that is not closed", "captions.csv", "line 3", "quote")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, HEADER + 'red_ball.png,a ball,train\nred_box.png,"a box,train\n' + _csv())


@mistake("a caption of a million letters", "captions.csv", "line 2")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, HEADER + f'red_ball.png,"{"x" * 1_000_000}",train\n' + _csv())


@mistake("rows with too many fields", "captions.csv", "line 2")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, HEADER + _csv().replace("train", "train,1"))


@mistake("an image in two splits", "captions.csv", "red_ball.png", "split")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, HEADER + _csv() + "red_ball.png,a ball,test\n")


@mistake("an unknown split", "'training set'", "split")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, HEADER + _csv().replace(",train", ",training set"))


@mistake("captions of punctuation", "captions.csv", "empty")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, HEADER + "".join(f"{row['image']},...,{row['split']}\n" for row in toy.rows()))


@mistake("JSON lines with a bad line", "captions.jsonl", "line 2", "JSON")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, '{"image": "red_ball.png", "caption": "x"}\n{"image": \n', "captions.jsonl")


@mistake("JSON lines of lists", "captions.jsonl", "line 1")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, '["red_ball.png", "x"]\n', "captions.jsonl")


@mistake("JSON lines nested 100,000 deep", "captions.jsonl", "line 1", "JSON")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, '{"image": ' + "[" * 100_000, "captions.jsonl")


@mistake("JSON lines whose ids are numbers", "captions.jsonl")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, '{"image": 17, "caption": "x"}\n' * 5, "captions.jsonl")


@mistake("half a surrogate pair in a caption", "captions.jsonl", "data.max_bad_fraction", "surrogate")
def _(shop: Workshop) -> list[str]:
    lines = "".join(json.dumps({**row, "caption": row["caption"] + " \ud83d"}) + "\n" for row in toy.rows())
    arguments = _captions(shop, lines, "captions.jsonl")
    return ["train", *arguments[1:], "--run", str(shop / "new")]


@mistake("COCO's own annotation file", "coco.json", "Karpathy")
def _(shop: Workshop) -> list[str]:
    shop.data()
    content = {"images": [{"file_name": "a.jpg", "id": 1}], "annotations": [{"image_id": 1, "caption": "x"}]}
    (shop / "data" / "coco.json").write_text(json.dumps(content))
    return _extract(shop, data={"type": "karpathy", "captions": "coco.json", "images": "images"})


@mistake("JSON nested 100,000 deep", "coco.json", "JSON")
def _(shop: Workshop) -> list[str]:
    shop.data()
    (shop / "data" / "coco.json").write_text("[" * 100_000)
    return _extract(shop, data={"type": "karpathy", "captions": "coco.json", "images": "images"})


@mistake("Flickr8k without its split lists", "data.lists", "Flickr_8k.trainImages.txt")
def _(shop: Workshop) -> list[str]:
    shop.data()
    (shop / "data" / "Flickr8k.token.txt").write_text("red_ball.png#0\ta ball\n")
    return _extract(shop, data={"type": "flickr8k", "images": "images"})


@mistake("no dev images", "split")
def _(shop: Workshop) -> list[str]:
    return ["train", *_captions(shop, HEADER + _csv().replace(",dev", ",train"))[1:], "--run", str(shop / "new")]


@mistake("no training images", "split")
def _(shop: Workshop) -> list[str]:
    return ["train", *_captions(shop, HEADER + _csv().replace(",train", ",test"))[1:], "--run", str(shop / "new")]


@mistake("no word often enough", "text.min_count")
def _(shop: Workshop) -> list[str]:
    return ["train", "--config", shop.config(text={"min_count": 999}), "--run", str(shop / "new")]


@mistake("no test images to evaluate on", "split")
def _(shop: Workshop) -> list[str]:
    _captions(shop, HEADER + _csv().replace(",test", ",train"))
    return ["evaluate", str(shop.run()), "--set", f"data.root={shop / 'data'}"]


@mistake("a folder for scenes that holds somebody's images", "holiday.png", "data.root")
def _(shop: Workshop) -> list[str]:
    shop.write("mine/images/holiday.png", b"irreplaceable")
    return _extract(shop, data={"type": "scenes", "root": str(shop / "mine"), "train": 2})


def _vectors(shop: Workshop, content: str | bytes | None, name: str = "glove.txt") -> list[str]:
    path = shop / name if content is None else shop.write(name, content)
    config = shop.config(decoder={"embedding": {"size": 4, "vectors": str(path)}})
    return ["train", "--config", config, "--run", str(shop / "new")]


@mistake("missing word vectors", "glove.txt")
def _(shop: Workshop) -> list[str]:
    return _vectors(shop, None)


@mistake("word vectors that are a folder", "folder")
def _(shop: Workshop) -> list[str]:
    (shop / "folder").mkdir()
    return _vectors(shop, None, "folder")


@mistake("word vectors of another size", "glove.txt", "4")
def _(shop: Workshop) -> list[str]:
    return _vectors(shop, "a 1 2 3 4 5\nball 1 2 3 4 5\n")


@mistake("word vectors with a bad line", "glove.txt", "line 2", "'ball'")
def _(shop: Workshop) -> list[str]:
    return _vectors(shop, "a 1 2 3 4\nball 1 2 oops 4\n")


@mistake("word vectors with a short line", "glove.txt", "line 2")
def _(shop: Workshop) -> list[str]:
    return _vectors(shop, "a 1 2 3 4\nball 1 2 3\n")


@mistake("word vectors that are not numbers", "glove.txt", "line 1")
def _(shop: Workshop) -> list[str]:
    return _vectors(shop, "a nan 2 3 4\n")


@mistake("word vectors still packed", "glove.zip", "compressed")
def _(shop: Workshop) -> list[str]:
    return _vectors(shop, b"PK\3\4" + bytes(99), "glove.zip")


@mistake("binary word vectors", "glove.bin", "line 1")
def _(shop: Workshop) -> list[str]:
    return _vectors(shop, bytes(range(256)) * 40, "glove.bin")


@mistake("empty word vectors", "glove.txt")
def _(shop: Workshop) -> list[str]:
    return _vectors(shop, "")


@mistake("word vectors of another language", "glove.txt")
def _(shop: Workshop) -> list[str]:
    return _vectors(shop, "pilka 1 2 3 4\n")
