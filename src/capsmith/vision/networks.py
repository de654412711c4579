"""The networks of the table, with their weights, cut at a layer."""

import re
from pathlib import Path
from typing import Any

import keras

from capsmith.core.errors import FeatureError, PluginError, one_line
from capsmith.core.loaded_plugins import plugin_errors
from capsmith.core.schema import nearest
from capsmith.vision.config import EncoderConfig
from capsmith.vision.encoders import ENCODERS, EncoderSpec
from capsmith.vision.small_cnn import small_cnn
from capsmith.vision.weights import count_numbers, draw, load_file, size_of


def build_core(config: EncoderConfig, weights: Path | None = None) -> keras.Model:
    """Builds a network of the table up to its cut.

    Args:
        config: The encoder's settings; any type but ``custom``.
        weights: A file with the weights of exactly this cut, to be loaded instead of what the config names.

    Returns:
        A model from preprocessed pixels (B, H, W, 3) to the layer's output.

    Raises:
        FeatureError: No such layer, weights that cannot be had or do not fit, or too small an image size.
    """
    spec = ENCODERS[config.type]
    size, layer = config.size or (0, 0), config.layer or spec.layer
    download = config.origin == "imagenet" and weights is None
    network, top = (None, False) if download and layer is None else _with_layer(spec, size, layer)
    if network is None or download:
        network = _network(spec, size, top, "imagenet")
    core = cut(network, layer)
    if weights is not None:
        load_file(core, weights)
    elif config.origin == "none":
        if not config.trainable:
            draw(core, seed=0)
    elif not download:
        _load(spec, network, core, Path(config.origin).expanduser(), layer, top)
    return core


def layers_by_name(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """Returns the layers by name, those that Keras named itself counted from this model's first.

    Keras counts through the whole process: what is ``conv2d_93`` in a fresh process is ``conv2d_187`` in the second
    model of one.
    """
    numbers: dict[str, tuple[str, int]] = {}
    first: dict[str, int] = {}
    for layer in model.layers:
        base = re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", type(layer).__name__)).lower()
        if own := re.fullmatch(rf"{base}(?:_(\d+))?", layer.name):
            number = int(own[1] or 0)
            numbers[layer.name] = base, number
            first[base] = min(number, first.get(base, number))
    named = {}
    for layer in model.layers:
        base, number = numbers.get(layer.name, (layer.name, 0))
        number -= first.get(base, 0)
        named[f"{base}_{number}" if number else base] = layer
    return named


def cut(model: keras.Model, layer: str | None) -> keras.Model:
    """Returns the model up to a layer; the whole of it for None.

    Raises:
        FeatureError: No such layer; the message names the nearest.
    """
    if layer is None:
        return model
    known = layers_by_name(model)
    if layer not in known:
        raise _no_layer(layer, model)
    return keras.Model(model.inputs[0], known[layer].output, name=model.name)


def behind(model: keras.Model, layer: str) -> keras.Model:
    """Returns the part of a model after a layer, from that layer's output on; the layers are the model's own.

    Raises:
        FeatureError: No such layer, nothing after it, or other ways lead past it.
    """
    known = layers_by_name(model)
    if layer not in known:
        raise _no_layer(layer, model, "encoder.pretrain_on_words.after")
    if known[layer] is model.layers[-1]:
        raise FeatureError(
            f"encoder.pretrain_on_words.after: '{layer}' is the last layer of {model.name}: name an earlier one"
        )
    try:
        return keras.Model(known[layer].output, model.outputs[0], name="behind")
    except ValueError as error:
        raise FeatureError(
            f"encoder.pretrain_on_words.after: not all of {model.name} goes through '{layer}': name another layer"
        ) from error


def _no_layer(layer: str, model: keras.Model, key: str = "encoder.layer") -> FeatureError:
    known = list(layers_by_name(model))
    last = ", ".join(known[-6:])
    return FeatureError(f"{key}: {model.name} has no layer '{layer}'{nearest(layer, known)} (its last: {last})")


def _network(spec: EncoderSpec, size: tuple[int, int], top: bool, weights: str | None) -> keras.Model:
    if spec.build is not None:
        with plugin_errors("encoder", spec.name):
            network = spec.build(size, weights)
        return _registered(spec, network)
    if spec.application is None:
        return small_cnn(size)
    build = getattr(keras.applications, spec.application)
    try:
        return build(weights=weights, include_top=top, input_shape=(*size, 3))
    except Exception as error:
        if weights is None:
            raise FeatureError(f"encoder.image_size: {spec.name} cannot be built: {one_line(error)}") from error
        raise FeatureError(
            f"cannot get the ImageNet weights of {spec.name} ({one_line(error)[:160]}); "
            "without a network, give a file: encoder.weights: PATH.weights.h5"
        ) from error


def _registered(spec: EncoderSpec, network: Any) -> keras.Model:
    """Checks what the function of a registered encoder built.

    Raises:
        PluginError: It is no network that can be an encoder.
    """
    wanted = "a Keras model from pixels (B, H, W, 3) to (B, rows, columns, D), (B, L, D) or (B, D) is needed"
    if not isinstance(network, keras.Model):
        raise PluginError(f"encoder '{spec.name}': its function returned {type(network).__name__}: {wanted}")
    taken, given = ([tuple(one.shape) for one in getattr(network, ends, None) or []] for ends in ("inputs", "outputs"))
    if len(taken) != 1 or len(taken[0]) != 4 or taken[0][3] != 3:
        raise PluginError(f"encoder '{spec.name}' takes {taken or 'nothing that is known'}: {wanted}")
    if len(given) != 1 or len(given[0]) not in (2, 3, 4) or given[0][-1] is None:
        raise PluginError(f"encoder '{spec.name}' gives {given}: {wanted}")
    return network


def _with_layer(spec: EncoderSpec, size: tuple[int, int], layer: str | None) -> tuple[keras.Model, bool]:
    """Returns the network that has the layer, and whether that is the one with the classifier (VGG's fc2)."""
    bare = _network(spec, size, False, None)
    if layer is None or layer in layers_by_name(bare):
        return bare, False
    if spec.application is None or spec.size is None:
        raise _no_layer(layer, bare)
    full = _network(spec, spec.size, True, None)
    if layer not in layers_by_name(full):
        raise _no_layer(layer, bare)
    if size != spec.size:
        raise FeatureError(f"encoder.layer: '{layer}' is part of the classifier, which needs image_size {spec.size}")
    return full, True


def _load(spec: EncoderSpec, network: keras.Model, core: keras.Model, path: Path, layer: str | None, top: bool) -> None:
    """Loads a file that holds the network with its classifier, without it, up to the cut, or up to a later layer.

    They are told apart by how many numbers they hold: Keras itself would load some files of another extent without a
    word, and into the wrong layers.
    """
    numbers = count_numbers(path)
    if numbers == size_of(network):
        return load_file(network, path)
    if numbers == size_of(core):
        return load_file(core, path)
    expected = [f"{size_of(network):,} {'with' if top else 'without'} its classifier"]
    if size_of(core) != size_of(network):
        expected.append(f"{size_of(core):,} up to '{layer}'")
    if spec.application is not None and spec.size is not None and not top:
        full = _network(spec, spec.size, True, None)
        if numbers == size_of(full):
            load_file(full, path)
            return _transfer(full, network)
        expected.append(f"{size_of(full):,} with its classifier")
    longer = _holding(network, core, numbers)
    if longer is not None:
        return load_file(longer, path)
    raise FeatureError(
        f"encoder weights {path} hold {numbers:,} numbers, but {spec.name} has {', '.join(expected)}: "
        "is it the file of another encoder?"
    )


def _holding(network: keras.Model, core: keras.Model, numbers: int) -> keras.Model | None:
    """Returns the part of a network, beyond the core, that has so many weights: a file may hold more than is used."""
    if not size_of(core) < numbers < size_of(network):
        return None
    needed = {id(layer) for layer in core.layers}
    for layer in reversed(network.layers):
        part = keras.Model(network.inputs[0], layer.output)
        if size_of(part) == numbers and needed <= {id(layer) for layer in part.layers}:
            return part
    return None


def _transfer(source: keras.Model, target: keras.Model) -> None:
    given = layers_by_name(source)
    for name, layer in layers_by_name(target).items():
        if layer.weights:
            layer.set_weights(given[name].get_weights())
