"""Encoders and their weights, custom Keras models included."""

import json
import zipfile
from pathlib import Path

from tests.mistakes import Workshop, mistake


def _extract(shop: Workshop, **changes) -> list[str]:
    return ["extract", "--config", shop.config(**changes)]


@mistake("missing encoder weights", "gone.weights.h5", "No such file")
def _(shop: Workshop) -> list[str]:
    return _extract(shop, encoder={"weights": str(shop / "gone.weights.h5")})


@mistake("encoder weights that are text", "text.weights.h5")
def _(shop: Workshop) -> list[str]:
    return _extract(shop, encoder={"weights": str(shop.write("text.weights.h5", "weights" * 99))})


@mistake("encoder weights of another encoder", "model.weights.h5")
def _(shop: Workshop) -> list[str]:
    return _extract(shop, encoder={"weights": str(shop.toy.run / "model.weights.h5")})


@mistake("a layer that the encoder lacks", "encoder.layer", "'block9_out'", "did you mean 'block")
def _(shop: Workshop) -> list[str]:
    return _extract(shop, encoder={"layer": "block9_out"})


def _custom(shop: Workshop, path: Path) -> list[str]:
    return _extract(shop, encoder={"type": "custom", "weights": str(path)})


def _archive(shop: Workshop, name: str, config: object) -> Path:
    """Writes a ``.keras`` file with any config."""
    with zipfile.ZipFile(shop / name, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.9.0", "date_saved": "2025-01-01"}))
        archive.writestr("model.weights.h5", b"")
    return shop / name


@mistake("a custom encoder that is no archive", "mine.keras")
def _(shop: Workshop) -> list[str]:
    return _custom(shop, shop.write("mine.keras", b"x" * 500))


@mistake("a custom encoder with a Lambda layer", "mine.keras", "Lambda")
def _(shop: Workshop) -> list[str]:
    return _custom(shop, lambda_model(shop / "mine.keras", shop.sentinel))


def lambda_model(path: Path, sentinel: Path) -> Path:
    """Saves a model that creates the sentinel when its Lambda layer is loaded and built."""
    import keras

    command = f"touch '{sentinel}'"
    inputs = keras.Input((16, 16, 3))
    outputs = keras.layers.Lambda(eval(f"lambda x: (__import__('os').system({command!r}), x)[1]"))(inputs)
    keras.Model(inputs, outputs).save(path)
    sentinel.unlink(missing_ok=True)  # building it ran the layer
    return path


def _function(module: str, name: str, *args: object) -> dict[str, object]:
    """Returns the Keras config of a layer that calls a function."""
    layer = {
        "module": module,
        "class_name": "function",
        "config": name,
        "registered_name": name,
        "name": "a",
        "inbound_nodes": [{"args": list(args), "kwargs": {}}],
    }
    settings = {"name": "m", "layers": [layer], "input_layers": [["a", 0, 0]], "output_layers": [["a", 0, 0]]}
    return {"module": "keras", "class_name": "Functional", "config": settings, "registered_name": "Functional"}


@mistake("a custom encoder that calls os.system", "mine.keras", "os.system")
def _(shop: Workshop) -> list[str]:
    return _custom(shop, _archive(shop, "mine.keras", _function("os", "system", f"touch '{shop.sentinel}'")))


@mistake("a custom encoder that calls a function of Keras's own", "mine.keras", "keras.utils.get_file")
def _(shop: Workshop) -> list[str]:
    config = _function("keras.utils", "get_file", str(shop.sentinel), "file:///etc/hostname")
    return _custom(shop, _archive(shop, "mine.keras", config))


@mistake("a custom encoder whose class is not Keras's", "mine.keras", "subprocess.Popen")
def _(shop: Workshop) -> list[str]:
    config = {"module": "subprocess", "class_name": "Popen", "config": {"args": ["touch", str(shop.sentinel)]}}
    return _custom(shop, _archive(shop, "mine.keras", config))


@mistake("a custom encoder nested 100,000 deep", "mine.keras", "damaged")
def _(shop: Workshop) -> list[str]:
    with zipfile.ZipFile(shop / "mine.keras", "w") as archive:
        archive.writestr("config.json", "[" * 100_000)
    return _custom(shop, shop / "mine.keras")
