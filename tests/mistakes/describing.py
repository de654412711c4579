"""Images to describe, and the parts that describe them."""

from tests.mistakes import Workshop, mistake


def _describe(shop: Workshop, *more: str) -> list[str]:
    return ["describe", str(shop.toy.data / "images" / "red_ball.png"), *more]


@mistake("an image to describe that is missing", "gone.jpg")
def _(shop: Workshop) -> list[str]:
    return ["describe", str(shop / "gone.jpg")]


@mistake("an image to describe that is text", "notes.jpg")
def _(shop: Workshop) -> list[str]:
    return ["describe", str(shop.write("notes.jpg", "my notes"))]


@mistake("a folder without images to describe", "empty", works=())
def _(shop: Workshop) -> list[str]:
    (shop / "empty").mkdir()
    return ["describe", str(shop / "empty")]


@mistake("a captioner to describe with that is missing", "nowhere")
def _(shop: Workshop) -> list[str]:
    return _describe(shop, "--model", str(shop / "nowhere"))


@mistake("a detector to describe with that is missing", "gone.onnx")
def _(shop: Workshop) -> list[str]:
    return _describe(shop, "--detector", str(shop / "gone.onnx"))


@mistake("a detector to describe with that is an image", "red_ball.png")
def _(shop: Workshop) -> list[str]:
    return _describe(shop, "--detector", str(shop.toy.data / "images" / "red_ball.png"))


@mistake("a confidence of more than 1", "--threshold", "1.5")
def _(shop: Workshop) -> list[str]:
    return _describe(shop, "--threshold", "1.5")


@mistake("a confidence that is not a number", "--threshold", "nan")
def _(shop: Workshop) -> list[str]:
    return _describe(shop, "--threshold", "nan")


@mistake("no similar images", "--top", "0")
def _(shop: Workshop) -> list[str]:
    return _describe(shop, "--top", "0")


@mistake("an index of similar images that is missing", "gone.index")
def _(shop: Workshop) -> list[str]:
    return _describe(shop, "--library", str(shop / "gone.index"))


@mistake("an index of similar images that is a run", "run")
def _(shop: Workshop) -> list[str]:
    return _describe(shop, "--library", str(shop.run()))


@mistake("an embedding to describe with that is a captioner", "run", "joint embedding")
def _(shop: Workshop) -> list[str]:
    return _describe(shop, "--embedding", str(shop.run()))


@mistake("captions to recommend without an embedding", "--captions", "--embedding")
def _(shop: Workshop) -> list[str]:
    return _describe(shop, "--captions", str(shop.write("mine.txt", "Hello.\n")))


@mistake("captions to recommend that are an image", "red_ball.png")
def _(shop: Workshop) -> list[str]:
    return _describe(shop, "--captions", str(shop.toy.data / "images" / "red_ball.png"))


@mistake("a source of images without an embedding", "--source", "--embedding")
def _(shop: Workshop) -> list[str]:
    return _describe(shop, "--source", str(shop.toy.data / "images"))


@mistake("a source of images that is nothing", "--source", "pixabey")
def _(shop: Workshop) -> list[str]:
    return _describe(shop, "--source", "pixabey")


@mistake("a source of images that is an image", "red_ball.png")
def _(shop: Workshop) -> list[str]:
    return _describe(shop, "--source", str(shop.toy.data / "images" / "red_ball.png"))


@mistake("a query without a source", "--query", "--source")
def _(shop: Workshop) -> list[str]:
    return _describe(shop, "--query", "two dogs")


@mistake("a number of candidates without a source", "--candidates", "--source")
def _(shop: Workshop) -> list[str]:
    return _describe(shop, "--candidates", "3")


@mistake("a description that would replace a page of one's own", "mine.html")
def _(shop: Workshop) -> list[str]:
    return _describe(shop, "--html", str(shop.write("mine.html", "<html><p>mine</p></html>")))


@mistake("a description that would replace the image", "photo.html", "input")
def _(shop: Workshop) -> list[str]:
    image = shop.write("photo.html", (shop.toy.data / "images" / "red_ball.png").read_bytes())
    return ["describe", str(image), "--html", str(image)]


@mistake("a page of descriptions that is named like an image", "--html", "out.png")
def _(shop: Workshop) -> list[str]:
    return _describe(shop, "--html", str(shop / "out.png"))


@mistake("a page of descriptions in a folder that is a file", "file")
def _(shop: Workshop) -> list[str]:
    return _describe(shop, "--html", str(shop.write("file", "") / "out.html"))
