"""Photographs and libraries to recommend captions from."""

from tests.mistakes import Workshop, mistake


def _recommend(shop: Workshop, *more: str) -> list[str]:
    return ["recommend", str(shop.run()), str(shop.toy.data / "images" / "red_ball.png"), "--no-cache", *more]


def _library(shop: Workshop, name: str, content: str | bytes) -> list[str]:
    return _recommend(shop, "--captions", str(shop.write(name, content)))


@mistake("captions to recommend by the run of a captioner", "run", "joint embedding")
def _(shop: Workshop) -> list[str]:
    return _recommend(shop)


@mistake("captions to recommend without a run", "red_ball.png", "not a run")
def _(shop: Workshop) -> list[str]:
    return ["recommend", str(shop.toy.data / "images" / "red_ball.png")]


@mistake("captions to recommend without a photo", "run", "no photo")
def _(shop: Workshop) -> list[str]:
    return ["recommend", str(shop.run())]


@mistake("a library that is missing", "gone.csv", "No such file")
def _(shop: Workshop) -> list[str]:
    return _recommend(shop, "--captions", str(shop / "gone.csv"))


@mistake("a library without a column of captions", "lines.csv", "did you mean 'captions'?")
def _(shop: Workshop) -> list[str]:
    return _library(shop, "lines.csv", "captions,theme\nHello.,tea\n")


@mistake("a library that is empty", "lines.txt", "empty")
def _(shop: Workshop) -> list[str]:
    return _library(shop, "lines.txt", "# nothing yet\n\n")


@mistake("a library with an escape that colours a terminal", "lines.txt", "line 2")
def _(shop: Workshop) -> list[str]:
    return _library(shop, "lines.txt", "Hello.\nHello \x1b[31m.\n")


@mistake("a library nested 100,000 deep", "lines.jsonl", "line 1")
def _(shop: Workshop) -> list[str]:
    return _library(shop, "lines.jsonl", '{"caption": ' + "[" * 100_000)


@mistake("a library that is an image", "lines.txt")
def _(shop: Workshop) -> list[str]:
    return _library(shop, "lines.txt", (shop.toy.data / "images" / "red_ball.png").read_bytes())


@mistake("a theme that no caption has", "'teas'", "did you mean 'tea'?")
def _(shop: Workshop) -> list[str]:
    return [*_library(shop, "lines.csv", "caption,theme\nHello.,tea\n"), "--theme", "teas"]


@mistake("no captions to recommend", "top 0")
def _(shop: Workshop) -> list[str]:
    return _recommend(shop, "--top", "0")
