"""Plugins that cannot be loaded or register wrongly, and runs that require one."""

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator

from tests.mistakes import Workshop, mistake
from tests.mistakes.components import DECODER, HEADS, SETTINGS, plugin_option, score_with, train_with
from tests.support import plugin_files
from tests.support.plugin_files import forgetting


def _list(shop: Workshop, text: str | bytes) -> list[str]:
    """Returns the command that loads a plugin and lists its names."""
    return ["list", "decoders", *plugin_option(shop, text)]


# --- files that are not plugins ---------------------------------------------------------------------------------------


@mistake("plugin that is not there", "gone.py")
def _(shop: Workshop) -> list[str]:
    return ["list", "decoders", "--plugin", str(shop / "gone.py")]


@mistake("plugin that is a folder", "mine.py")
def _(shop: Workshop) -> list[str]:
    (shop / "mine.py").mkdir()
    return ["validate", "--config", shop.config(), "--plugin", str(shop / "mine.py")]


@mistake("plugin that is a pipe", "mine.py")
def _(shop: Workshop) -> list[str]:
    os.mkfifo(shop / "mine.py")
    return ["validate", "--config", shop.config(), "--plugin", str(shop / "mine.py")]


@mistake("plugin that is a link to itself", "mine.py")
def _(shop: Workshop) -> list[str]:
    (shop / "mine.py").symlink_to("mine.py")
    return ["list", "metrics", "--plugin", str(shop / "mine.py")]


@mistake("plugin that is a model", "model.keras")
def _(shop: Workshop) -> list[str]:
    return ["list", "encoders", *plugin_option(shop, b"PK", "model.keras")]


@mistake("plugin by the name of a package that is not installed", "nowhere", "installed")
def _(shop: Workshop) -> list[str]:
    return ["train", "--config", shop.config(), "--plugin", "nowhere"]


@mistake("plugin of 11 MB", "11,534,336")
def _(shop: Workshop) -> list[str]:
    path = shop.write("mine.py", b"")
    with path.open("r+b") as file:
        file.truncate(11 * 1024 * 1024)
    return ["list", "decoders", "--plugin", str(path)]


@mistake("plugin without a name", "--plugin", "empty")
def _(shop: Workshop) -> list[str]:
    return ["list", "decoders", "--plugin", ""]


# --- plugins that cannot be run ---------------------------------------------------------------------------------------


@mistake("plugin with a syntax error", "mine.py", "line 2")
def _(shop: Workshop) -> list[str]:
    return _list(shop, "x = 1\ndef f(:\n")


@mistake("plugin with a NUL", "mine.py")
def _(shop: Workshop) -> list[str]:
    return _list(shop, b"x = 1\0\n")


@mistake("plugin that is not UTF-8", "mine.py", "utf-8")
def _(shop: Workshop) -> list[str]:
    return _list(shop, b"x = '\xff'\n")


@mistake("plugin that raises when it is loaded", "mine.py", "line 2")
def _(shop: Workshop) -> list[str]:
    return _list(shop, "x = 1\n1 / 0\n")


@mistake("plugin that needs a package that is not there", "mine.py", "line 1", "nowhere_at_all")
def _(shop: Workshop) -> list[str]:
    return _list(shop, "import nowhere_at_all\n")


@mistake("plugin that ends the process", "mine.py", "line 2")
def _(shop: Workshop) -> list[str]:
    return _list(shop, "import sys\nsys.exit(0)\n")


@mistake("plugin that calls itself without end", "mine.py", "line 2", "RecursionError")
def _(shop: Workshop) -> list[str]:
    return _list(shop, "def f():\n    f()\nf()\n")


@mistake("plugin whose error is long and has control characters", "ValueError")
def _(shop: Workshop) -> list[str]:
    return _list(shop, "raise ValueError('\\x1b[31m' + 10_000 * 'long ')\n")


@mistake("plugin that registers nothing", "registers no")
def _(shop: Workshop) -> list[str]:
    return _list(shop, "x = 1\n")


# --- plugins whose registration is wrong ------------------------------------------------------------------------------


@mistake("plugin that takes a name of ours", "mine.py", "line 5", "'merge'")
def _(shop: Workshop) -> list[str]:
    return _list(shop, HEADS["decoder"] + SETTINGS["decoder"].format(":M").replace('"mine"', '"merge"'))


@mistake("plugin whose name differs in case alone", "'UpDown'", "'updown'")
def _(shop: Workshop) -> list[str]:
    return _list(shop, HEADS["decoder"] + SETTINGS["decoder"].format(":M").replace('"mine"', '"UpDown"'))


@mistake("plugin whose name is no word", "'my decoder'")
def _(shop: Workshop) -> list[str]:
    return _list(shop, HEADS["decoder"] + SETTINGS["decoder"].format(":M").replace('"mine"', '"my decoder"'))


@mistake("plugin whose settings have no type", "MineConfig", "type: Literal")
def _(shop: Workshop) -> list[str]:
    return _list(
        shop, HEADS["decoder"] + '@DECODERS.register(":M")\nclass MineConfig(DecoderConfig):\n    x: int = 1\n'
    )


@mistake("plugin whose type may be any word", "MineConfig", "type: Literal")
def _(shop: Workshop) -> list[str]:
    text = SETTINGS["decoder"].format(":M").replace('Literal["mine"]', "str")
    return _list(shop, HEADS["decoder"] + text)


@mistake("plugin whose settings are of another kind", "decoder")
def _(shop: Workshop) -> list[str]:
    text = HEADS["decoder"] + HEADS["dataset"] + SETTINGS["decoder"].format(":M")
    return _list(shop, text.replace("class MineConfig(DecoderConfig)", "class MineConfig(DatasetConfig)"))


@mistake("plugin whose target is no place", "'Mine'", "'package.module:name'")
def _(shop: Workshop) -> list[str]:
    return _list(shop, HEADS["decoder"] + SETTINGS["decoder"].format("Mine"))


@mistake("plugin that lacks what it registers", "'mine'", "Mine")
def _(shop: Workshop) -> list[str]:
    return _list(shop, HEADS["decoder"] + SETTINGS["decoder"].format(":Mine"))


@mistake("plugin whose class is in a module that is not there", "'mine'", around=forgetting)
def _(shop: Workshop) -> list[str]:
    return train_with(shop, "decoder", "", "nowhere:Mine")


@mistake("plugin whose encoder has no size", "'mine'")
def _(shop: Workshop) -> list[str]:
    return _list(shop, HEADS["encoder"] + 'register_encoder("mine", "of mine", size=32)(print)\n')


@mistake("plugin whose pixels are scaled as nobody knows", "'mine'", "'imagenet'")
def _(shop: Workshop) -> list[str]:
    text = 'register_encoder("mine", "of mine", size=(32, 32), preprocess="imagenet")(print)\n'
    return _list(shop, HEADS["encoder"] + text)


@mistake("plugin whose metric has a name of ours", "'bleu4'")
def _(shop: Workshop) -> list[str]:
    return score_with(shop, "return []", "bleu4")


@mistake("misspelt name of a plugin's decoder", "decoder.type", "'mien'", "did you mean 'mine'?", around=forgetting)
def _(shop: Workshop) -> list[str]:
    plugin = plugin_option(shop, HEADS["decoder"] + SETTINGS["decoder"].format(":Mine") + DECODER)
    return ["validate", "--config", shop.config(decoder={"type": "mien"}), *plugin]


@mistake("misspelt key of a plugin's settings", "decoding.smaples", "did you mean 'samples'?", around=forgetting)
def _(shop: Workshop) -> list[str]:
    shop.sections["decoding"] = {"type": "longest", "smaples": 3}
    return ["validate", "--config", shop.config(), *plugin_files.option(shop.folder, "my_search.py")]


# --- runs that need a plugin ------------------------------------------------------------------------------------------


def _needing(shop: Workshop, kind: str, name: str, plugin: str = "mine.py", **config: str) -> str:
    """Copies the run and makes it require a component of a plugin."""
    run = shop.run()
    need = {"kind": kind, "name": name, "plugin": plugin, "sha256": "0" * 64}
    (run / "plugins.json").write_text(json.dumps({"format": 1, "needs": [need]}))
    for before, after in config.items():
        text = (run / "config.yaml").read_text()
        (run / "config.yaml").write_text(text.replace(f"type: {before}", f"type: {after}"))
    return str(run)


def _image(shop: Workshop) -> str:
    return str(shop.toy.data / "images" / "red_ball.png")


@mistake("run whose decoder is of a plugin", "'mine'", "--plugin mine.py", "load_plugin")
def _(shop: Workshop) -> list[str]:
    run = _needing(shop, "decoder", "mine", inject="mine")
    shutil.copy(shop.write("mine.py", f"open({str(shop.sentinel)!r}, 'w')\n"), run)
    return ["caption", run, _image(shop)]


@mistake("run whose encoder is of a plugin", "'mine'", "--plugin mine.py")
def _(shop: Workshop) -> list[str]:
    return ["caption", _needing(shop, "encoder", "mine", small_cnn="mine"), _image(shop)]


@mistake("evaluation of a run whose dataset is of a plugin", "'mine'", "--plugin mine.py")
def _(shop: Workshop) -> list[str]:
    return ["evaluate", _needing(shop, "dataset", "mine", folder="mine")]


@mistake("run whose search is of a plugin", "'mine'", "--plugin")
def _(shop: Workshop) -> list[str]:
    return ["caption", _needing(shop, "decoding", "mine", beam="mine"), _image(shop)]


@mistake("run that needs a plugin with a hostile name", "--plugin", "'")
def _(shop: Workshop) -> list[str]:
    return ["caption", _needing(shop, "decoder", "mine", "\x1b[2J; rm -rf ~.py"), _image(shop)]


@mistake("list of needed plugins that is no JSON", "plugins.json", "JSON")
def _(shop: Workshop) -> list[str]:
    run = shop.run()
    (run / "plugins.json").write_text("{")
    return ["caption", str(run), _image(shop)]


@mistake("list of needed plugins of another form", "plugins.json", "damaged")
def _(shop: Workshop) -> list[str]:
    run = shop.run()
    (run / "plugins.json").write_text('{"format": 1, "needs": ["mine.py"]}')
    return ["evaluate", str(run)]


@mistake("needed plugin of an unknown kind", "plugins.json", "damaged")
def _(shop: Workshop) -> list[str]:
    return ["caption", _needing(shop, "trojan", "mine"), _image(shop)]


@mistake("list of needed plugins of a megabyte", "plugins.json", "damaged")
def _(shop: Workshop) -> list[str]:
    run = shop.run()
    (run / "plugins.json").write_text(json.dumps({"format": 1, "needs": ["x" * 10**6]}))
    return ["caption", str(run), _image(shop)]


# --- installed plugins ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _on_the_path(shop: Workshop) -> Iterator[None]:
    before = [*sys.path]
    sys.path[:0] = [str(folder) for folder in shop.folder.glob("site*")]
    try:
        with forgetting():
            yield
    finally:
        sys.path[:] = before


def _install(shop: Workshop, package: str, name: str, module: str) -> None:
    info = f"site_{package}/{package}-1.0.dist-info"
    shop.write(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    shop.write(f"{info}/entry_points.txt", f"[capsmith.plugins]\n{name} = {module}\n")


@mistake("two packages with a plugin of one name", "one and two", around=_on_the_path)
def _(shop: Workshop) -> list[str]:
    _install(shop, "one", "mine", "mine_one")
    _install(shop, "two", "mine", "mine_two")
    return ["list", "decoders", "--plugin", "mine"]


@mistake("installed plugin whose module is gone", "ModuleNotFoundError", "gone_module", around=_on_the_path)
def _(shop: Workshop) -> list[str]:
    _install(shop, "one", "mine", "gone_module")
    return ["list", "decoders", "--plugin", "mine"]


@mistake("installed plugin that fails", "line 1", around=_on_the_path)
def _(shop: Workshop) -> list[str]:
    _install(shop, "one", "mine", "failing_module")
    shop.write("site_one/failing_module.py", "1 / 0\n")
    return ["list", "decoders", "--plugin", "mine"]
