"""Third-party captioners: their names, what programs answer, and what they cannot do."""

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.mistakes import Workshop, mistake

_TIMEOUT = "CAPSMITH_EXEC_TIMEOUT"
_PROGRAM = Path(__file__).parents[1] / "support" / "caption_program.py"


def _program(*arguments: str) -> str:
    return "exec:" + shlex.join([sys.executable, str(_PROGRAM), *arguments])


def _script(shop: Workshop, answer: str) -> str:
    """Returns a program that writes a line for each line it reads."""
    script = shop.write("program.py", f"import sys\nfor line in sys.stdin:\n    print({answer!r}, flush=True)\n")
    return "exec:" + shlex.join([sys.executable, str(script)])


def _photo(shop: Workshop) -> str:
    return str(shop.toy.data / "images" / "red_ball.png")


def _caption(shop: Workshop, model: str, *more: str) -> list[str]:
    return ["caption", model, _photo(shop), *more]


def _evaluate(shop: Workshop, model: str, *more: str) -> list[str]:
    return ["evaluate", model, "--dataset", shop.config(), "--out", str(shop / "report"), *more]


@contextlib.contextmanager
def _seconds(value: str) -> Iterator[None]:
    os.environ[_TIMEOUT] = value
    try:
        yield
    finally:
        del os.environ[_TIMEOUT]


# --- names ------------------------------------------------------------------------------------------------------------


@mistake("a program without a command", "exec:", "needs a command")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "exec:")


@mistake("a program of blanks", "exec:", "needs a command")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "exec:   ")


@mistake("a command whose quotation is not closed", "exec:", "quotation")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "exec:python 'caption.py")


@mistake("a program that does not exist", "exec:", "no-such-program")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "exec:no-such-program --fast")


@mistake("a program that may not be executed", "exec:", "script.sh")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, f"exec:{shlex.quote(str(shop.write('script.sh', 'cat')))}")


@mistake("a program that is a folder", "exec:")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, f"exec:{shlex.quote(str(shop.folder))}")


@mistake("a program that is an image", "exec:", "cannot be started")
def _(shop: Workshop) -> list[str]:
    image = shop.write("photo.png", Path(_photo(shop)).read_bytes())
    image.chmod(0o755)
    return _caption(shop, f"exec:{shlex.quote(str(image))}")


@mistake("a shell's pipe in a command, which no shell reads", "exec:", "touch")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, f"exec:touch; touch {shlex.quote(str(shop.sentinel))}")


@mistake("a command with a zero byte", "exec:")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, f"{_program()} a\0b")


@mistake("an unknown kind of captioner", "vlm:model")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "vlm:model")


@mistake("blip: without a name", "blip:")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "blip:")


@mistake("a control character in a name", "exec:")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "exec:no\x1b[31m-program")


# --- what programs do -------------------------------------------------------------------------------------------------


@mistake("a program that ends at once", "exec:false", "exit code 1")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "exec:false")


@mistake("a program that crashes", "exit code 3", "out of memory", works=("a red square",))
def _(shop: Workshop) -> list[str]:
    return [*_caption(shop, _program("crash")), str(shop.toy.data / "images" / "blue_ball.png")]


@mistake("a program that repeats its input", "exec:cat", "red_ball.png", "JSON")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "exec:cat")


@mistake("a program that prints its progress", "loading weights")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, _program("garbage"))


@mistake("a program that never ends a line", "1,000,000 bytes")
def _(shop: Workshop) -> list[str]:
    script = shop.write("flood.py", "import sys\nwhile True:\n    sys.stdout.write('x' * 100000)\n")
    return _caption(shop, "exec:" + shlex.join([sys.executable, str(script)]))


@mistake("a program that answers nothing in time", _TIMEOUT, "0.3 s", around=lambda shop: _seconds("0.3"))
def _(shop: Workshop) -> list[str]:
    return _caption(shop, "exec:sleep 60")


@mistake("a time limit that is no number", f"{_TIMEOUT}=soon", around=lambda shop: _seconds("soon"))
def _(shop: Workshop) -> list[str]:
    return _caption(shop, _program())


@mistake("a time limit that is negative", f"{_TIMEOUT}=-1", around=lambda shop: _seconds("-1"))
def _(shop: Workshop) -> list[str]:
    return _caption(shop, _program())


@mistake("a time limit that is not finite", f"{_TIMEOUT}=nan", around=lambda shop: _seconds("nan"))
def _(shop: Workshop) -> list[str]:
    return _caption(shop, _program())


@mistake("an answer that is a list", "program.py", "JSON object")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, _script(shop, '["a dog"]'))


@mistake("an answer without a caption", "caption")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, _script(shop, "{}"))


@mistake("an answer whose caption is a number", "caption")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, _script(shop, '{"caption": 3}'))


@mistake("an answer with no captions", "caption")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, _script(shop, '{"captions": []}'))


@mistake("an answer nested too deep", "JSON")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, _script(shop, "[" * 100_000))


@mistake("an answer of another image", "/the/image/before.png")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, _program("behind"))


@mistake("an answer that says that the image cannot be captioned", "red_ball.png", "too\\ndark")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, _script(shop, '{"error": "too\\ndark"}'))


@mistake("a broken image for a program", "broken.png")
def _(shop: Workshop) -> list[str]:
    return ["caption", _program(), str(shop.write("broken.png", Path(_photo(shop)).read_bytes()[:40]))]


# --- what they cannot do ----------------------------------------------------------------------------------------------


@mistake("an ensemble of a run and a program", "exec:", "ensemble")
def _(shop: Workshop) -> list[str]:
    return ["caption", str(shop.toy.run), _program(), _photo(shop)]


@mistake("an ensemble of programs", "exec:", "ensemble")
def _(shop: Workshop) -> list[str]:
    return ["caption", _program(), _program(), _photo(shop)]


@mistake("the average of a program's weights", "exec:", "ensemble")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, _program(), "--average")


@mistake("a program after the images", "exec:", "come before the images")
def _(shop: Workshop) -> list[str]:
    return ["caption", str(shop.toy.run), _photo(shop), _program()]


@mistake("beams of a program", "beam", "exec:")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, _program(), "--set", "decoding.type=beam", "--set", "decoding.beam_size=3")


@mistake("a program's captions to begin with", "prefix", "exec:")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, _program(), "--prefix", "a photo of")


@mistake("words that a program's captions need", "include", "exec:")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, _program(), "--include", "dog")


@mistake("samples of a program", "sample", "exec:")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, _program(), "--set", "decoding.type=sample")


@mistake("an encoder of a program", "encoder.type=vgg16", "exec:")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, _program(), "--set", "encoder.type=vgg16")


@mistake("a misspelt search of a program", "max_lenght")
def _(shop: Workshop) -> list[str]:
    return _caption(shop, _program(), "--set", "decoding.max_lenght=3")


@mistake("the export of a program", "exec:")
def _(shop: Workshop) -> list[str]:
    return ["export", _program(), str(shop / "export")]


@mistake("the layers of a program", "--layers", "exec:")
def _(shop: Workshop) -> list[str]:
    return ["show", _program(), "--layers"]


@mistake("the diagram of a program", "--diagram", "exec:")
def _(shop: Workshop) -> list[str]:
    return ["show", _program(), "--diagram", str(shop / "out.svg")]


@mistake("an index of images by a program", "exec:")
def _(shop: Workshop) -> list[str]:
    return ["index", _program(), str(shop.toy.data / "images"), "--out", str(shop / "new.index")]


@mistake("descriptions by a program that does not exist", "no-such-program")
def _(shop: Workshop) -> list[str]:
    return ["describe", _photo(shop), "--model", "exec:no-such-program"]


@mistake("a service of a program that does not exist", "no-such-program")
def _(shop: Workshop) -> list[str]:
    return ["serve", "exec:no-such-program", "--port", "0"]


@mistake("a service of a program that crashes", "exec:false", "exit code 1", works=("serving",))
def _(shop: Workshop) -> list[str]:
    return ["serve", "exec:false", "--port", "0"]


@mistake("a studio with a program that does not exist", "no-such-program")
def _(shop: Workshop) -> list[str]:
    images, project = str(shop.data() / "images"), str(shop / "project")
    return ["studio", "exec:no-such-program", "--images", images, "--project", project, "--port", "0"]


# --- evaluation -------------------------------------------------------------------------------------------------------


@mistake("the evaluation of a program on nothing", "exec:", "--dataset")
def _(shop: Workshop) -> list[str]:
    return ["evaluate", _program()]


@mistake("a data set for a run, which has its own", "--dataset")
def _(shop: Workshop) -> list[str]:
    return ["evaluate", str(shop.run()), "--dataset", shop.config()]


@mistake("an evaluation on a config that is missing", "gone.yaml")
def _(shop: Workshop) -> list[str]:
    return ["evaluate", _program(), "--dataset", str(shop / "gone.yaml")]


@mistake("an evaluation of a program on images that are missing", "nowhere")
def _(shop: Workshop) -> list[str]:
    return _evaluate(shop, _program(), "--set", f"data.root={shop / 'nowhere'}")


@mistake("an evaluation of an ensemble of programs", "exec:", "ensemble")
def _(shop: Workshop) -> list[str]:
    return ["evaluate", _program(), _program(), "--dataset", shop.config()]


@mistake("an evaluation with beams of a program", "beam", "exec:")
def _(shop: Workshop) -> list[str]:
    return _evaluate(shop, _program(), "--set", "decoding.type=beam", "--set", "decoding.beam_size=4")


@mistake("an evaluation whose program crashes", "exit code 3", "out of memory")
def _(shop: Workshop) -> list[str]:
    return _evaluate(shop, _program("crash"))


@mistake("a report over files of one's own", "report", "--out")
def _(shop: Workshop) -> list[str]:
    shop.write("report/index.html", "mine")
    return _evaluate(shop, _program())
