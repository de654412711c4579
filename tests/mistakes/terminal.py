"""Names that would control or flood a terminal: messages must escape or shorten them."""

import json
import os
from pathlib import Path

from tests.mistakes import Workshop, mistake
from tests.support import toy

ESCAPE, RED = "\x1b[31m", r"\x1b[31m"
TURNED, SHOWN = "gpj\u202e.png", r"gpj\u202e.png"  # displayed as gnp.jpg where right-to-left override applies
LONG = "/".join(["d" * 200] * 19)
CUT = "d…d"


def _captions(shop: Workshop, *rows: dict[str, str]) -> list[str]:
    shop.data()
    toy.write_captions(shop / "data" / "captions.csv", [*toy.rows(), *rows])
    return ["extract", "--config", shop.config()]


@mistake("an image whose name colours the terminal", RED)
def _(shop: Workshop) -> list[str]:
    return ["caption", str(shop.toy.run), str(shop / f"{ESCAPE}gone.png")]


@mistake("an image whose name has a line end", r"one\ntwo.png")
def _(shop: Workshop) -> list[str]:
    return ["caption", str(shop.toy.run), str(shop / "one\ntwo.png")]


@mistake("an image whose name turns the direction of writing", SHOWN)
def _(shop: Workshop) -> list[str]:
    return ["caption", str(shop.toy.run), str(shop.write(TURNED, "no image"))]


@mistake("an image whose name is not UTF-8", r"caf\udce9.png")
def _(shop: Workshop) -> list[str]:
    return ["caption", str(shop.toy.run), os.fsdecode(bytes(shop.folder) + b"/caf\xe9.png")]


@mistake("a run whose name rings the bell", r"\x07")
def _(shop: Workshop) -> list[str]:
    return ["caption", str(shop / "\a\b"), "x.png"]


@mistake("a config whose name has a line end of Unicode", r"\u2028")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", str(shop / "one\u2028two.yaml")]


@mistake("references whose file colours the terminal", RED)
def _(shop: Workshop) -> list[str]:
    return ["score", "--hypotheses", str(shop / "said.jsonl"), "--references", str(shop / f"{ESCAPE}true.jsonl")]


@mistake("an image to explain whose id moves the cursor", r"\x1b[2J")
def _(shop: Workshop) -> list[str]:
    lines = "".join(json.dumps({"image": row["image"], "caption": row["caption"]}) + "\n" for row in toy.rows()[::2])
    given = str(shop.write("said.jsonl", lines))
    return ["score", "--hypotheses", given, "--references", given, "--explain", "\x1b[2Jgone"]


@mistake("a folder to look at whose name turns the direction of writing", r"\u202e")
def _(shop: Workshop) -> list[str]:
    return ["init", str(shop / "\u202esotohp")]


@mistake("a caption's image whose name colours the terminal", RED)
def _(shop: Workshop) -> list[str]:
    return _captions(shop, {"image": f"{ESCAPE}gone.png", "caption": "a ball", "split": "train"})


@mistake("a split whose name turns the direction of writing", r"\u202e")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, {"image": "red_ball.png", "caption": "a ball", "split": "\u202eniart"})


@mistake("a caption's image whose name has 5,000 letters", "xxx…xxx")
def _(shop: Workshop) -> list[str]:
    return _captions(shop, {"image": "x" * 5000 + ".png", "caption": "a ball", "split": "train"})


@mistake("a damaged config of a run that colours the terminal", RED)
def _(shop: Workshop) -> list[str]:
    with (shop.run() / "config.yaml").open("a") as file:
        file.write(json.dumps({f"{ESCAPE}decoder": 3})[1:-1] + "\n")
    return ["caption", str(shop / "run"), "x.png"]


@mistake("a page to be written into a folder that rings the bell", r"\x07")
def _(shop: Workshop) -> list[str]:
    shop.write("\a/index.html", "<h1>mine</h1>")
    return ["inspect", "--config", shop.config(), "--out", str(shop / "\a")]


@mistake("an image with a path of 4,000 letters", CUT)
def _(shop: Workshop) -> list[str]:
    return ["caption", str(shop.toy.run), str(Path("/") / LONG / "x.png")]


@mistake("a run with a path of 4,000 letters", CUT)
def _(shop: Workshop) -> list[str]:
    return ["caption", LONG, "x.png"]


@mistake("a config with a path of 4,000 letters and blanks", "…", ".yaml")
def _(shop: Workshop) -> list[str]:
    return ["validate", "--config", LONG + "/a b.yaml"]


@mistake("a path of 4,000 short words", "…")
def _(shop: Workshop) -> list[str]:
    return ["evaluate", "a b/" * 1000]


@mistake("a root of the data with a path of 4,000 letters", "data.root", CUT)
def _(shop: Workshop) -> list[str]:
    return ["extract", "--config", shop.config(data={"root": LONG})]


@mistake("a sheet whose path is too long for any system", "sheet.png", "File name too long", CUT,
         works=("red_ball.png\t",))  # fmt: skip
def _(shop: Workshop) -> list[str]:
    image = shop.toy.data / "images" / "red_ball.png"
    return ["caption", str(shop.toy.run), str(image), "--show", str(shop / ("d" * 300) / "sheet.png")]
