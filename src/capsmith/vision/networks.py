"""Builds the networks of the encoder table with their weights, up to a layer."""

import re
from pathlib import Path
from typing import Any

import keras

from capsmith.core.errors import FeatureError, PluginError, one_line
from capsmith.core.loaded_plugins import plugin_errors
from capsmith.core.spelling import nearest
from capsmith.vision.config import EncoderConfig
from capsmith.vision.efficientnet_lite import efficientnet_lite2
from capsmith.vision.encoders import ENCODERS, EncoderSpec
from capsmith.vision.small_cnn import small_cnn
from capsmith.vision.weights import count_numbers, count_parameters, load_weights_file, set_random_weights

_OWN_NETWORKS = {"efficientnet_lite2": efficientnet_lite2, "small_cnn": small_cnn}


def build_network(config: EncoderConfig, weights: Path | None = None) -> keras.Model:
    """Builds a network of the encoder table up to the chosen layer.

    Args:
        config: The encoder's settings, of any type but ``custom``.
        weights: A file with the weights of exactly these layers, to load instead of the config's weights.

    Returns:
        A model from preprocessed pixels (B, H, W, 3) to the layer's output.

    Raises:
        FeatureError: The layer does not exist, the weights cannot be loaded, or the image size is too small.
    """
    spec = ENCODERS[config.type]
    size, layer = config.size or (0, 0), config.layer or spec.layer
    download = config.origin == "imagenet" and weights is None
    network, top = (None, False) if download and layer is None else _network_with_layer(spec, size, layer)
    if network is None or download:
        network = _complete_network(spec, size, top, "imagenet")
    core = truncate(network, layer)
    if weights is not None:
        load_weights_file(core, weights)
    elif config.origin == "none":
        if not config.trainable:
            set_random_weights(core, seed=0)
    elif not download:
        _load(spec, network, core, Path(config.origin).expanduser(), layer, top)
    return core


def layers_by_name(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """Returns the layers by name, with automatic names numbered from this model's first layer.

    Keras numbers layers across the process: ``conv2d_93`` of the first model becomes ``conv2d_187`` in the second one.
    """
    numbers: dict[str, tuple[str, int]] = {}
    first: dict[str, int] = {}
    for layer in model.layers:
        base = re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", type(layer).__name__)).lower()
        if automatic := re.fullmatch(rf"{base}(?:_(\d+))?", layer.name):
            number = int(automatic[1] or 0)
            numbers[layer.name] = base, number
            first[base] = min(number, first.get(base, number))
    named = {}
    for layer in model.layers:
        base, number = numbers.get(layer.name, (layer.name, 0))
        number -= first.get(base, 0)
        named[f"{base}_{number}" if number else base] = layer
    return named


def truncate(model: keras.Model, layer: str | None) -> keras.Model:
    """Returns the model up to a layer's output, or the complete model for None.

    Raises:
        FeatureError: The layer does not exist. The message names the nearest one.
    """
    if layer is None:
        return model
    known = layers_by_name(model)
    if layer not in known:
        raise _unknown_layer(layer, model)
    return keras.Model(model.inputs[0], known[layer].output, name=model.name)


def layers_after(model: keras.Model, layer: str) -> keras.Model:
    """Returns the part of a model from a layer's output to the model's output. The layers are shared.

    Raises:
        FeatureError: The layer does not exist or is the last one, or some path through the model bypasses it.
    """
    key = "encoder.pretrain_on_words.after"
    known = layers_by_name(model)
    if layer not in known:
        raise _unknown_layer(layer, model, key)
    if known[layer] is model.layers[-1]:
        raise FeatureError(f"{key}: '{layer}' is the last layer of {model.name}: choose an earlier one")
    try:
        return keras.Model(known[layer].output, model.outputs[0], name="behind")
    except ValueError as error:
        raise FeatureError(f"{key}: some path through {model.name} bypasses '{layer}': choose another layer") from error


def _unknown_layer(layer: str, model: keras.Model, key: str = "encoder.layer") -> FeatureError:
    known = list(layers_by_name(model))
    last = ", ".join(known[-6:])
    return FeatureError(f"{key}: {model.name} has no layer '{layer}'{nearest(layer, known)} (its last layers: {last})")


def _complete_network(spec: EncoderSpec, size: tuple[int, int], top: bool, weights: str | None) -> keras.Model:
    if spec.build is not None:
        with plugin_errors("encoder", spec.name):
            network = spec.build(size, weights)
        return _check_registered(spec, network)
    if spec.application is None:
        return _OWN_NETWORKS[spec.name](size)
    build = getattr(keras.applications, spec.application)
    try:
        return build(weights=weights, include_top=top, input_shape=(*size, 3))
    except Exception as error:
        if weights is None:
            raise FeatureError(f"encoder.image_size: {spec.name} cannot be built: {one_line(error)}") from error
        raise FeatureError(
            f"cannot get the ImageNet weights of {spec.name} ({one_line(error)[:160]}); "
            "without a network connection, set a file: encoder.weights: PATH.weights.h5"
        ) from error


def _check_registered(spec: EncoderSpec, network: Any) -> keras.Model:
    """Checks the network that a registered function returned.

    Raises:
        PluginError: It cannot be used as an encoder.
    """
    expected = "expected a Keras model from pixels (B, H, W, 3) to (B, rows, columns, D), (B, L, D) or (B, D)"
    if not isinstance(network, keras.Model):
        raise PluginError(f"encoder '{spec.name}': its function returned {type(network).__name__}: {expected}")
    inputs, outputs = (
        [tuple(tensor.shape) for tensor in getattr(network, ends, None) or []] for ends in ("inputs", "outputs")
    )
    if len(inputs) != 1 or len(inputs[0]) != 4 or inputs[0][3] != 3:
        raise PluginError(f"encoder '{spec.name}' has the inputs {inputs or 'unknown'}: {expected}")
    if len(outputs) != 1 or len(outputs[0]) not in (2, 3, 4) or outputs[0][-1] is None:
        raise PluginError(f"encoder '{spec.name}' has the outputs {outputs}: {expected}")
    return network


def _network_with_layer(spec: EncoderSpec, size: tuple[int, int], layer: str | None) -> tuple[keras.Model, bool]:
    """Returns the network that has the layer, and whether it includes the classifier (as for VGG's fc2)."""
    without_top = _complete_network(spec, size, False, None)
    if layer is None or layer in layers_by_name(without_top):
        return without_top, False
    if spec.application is None or spec.size is None:
        raise _unknown_layer(layer, without_top)
    with_top = _complete_network(spec, spec.size, True, None)
    if layer not in layers_by_name(with_top):
        raise _unknown_layer(layer, without_top)
    if size != spec.size:
        raise FeatureError(f"encoder.layer: '{layer}' is part of the classifier, which needs image_size {spec.size}")
    return with_top, True


def _load(spec: EncoderSpec, network: keras.Model, core: keras.Model, path: Path, layer: str | None, top: bool) -> None:
    """Loads a file that holds the network with or without its classifier, up to the chosen layer, or up to a later one.

    The number of parameters determines which. Keras itself would silently load some of these files into the wrong
    layers.
    """
    numbers = count_numbers(path)
    if numbers == count_parameters(network):
        return load_weights_file(network, path)
    if numbers == count_parameters(core):
        return load_weights_file(core, path)
    expected = [f"{count_parameters(network):,} {'with' if top else 'without'} its classifier"]
    if count_parameters(core) != count_parameters(network):
        expected.append(f"{count_parameters(core):,} up to '{layer}'")
    if spec.application is not None and spec.size is not None and not top:
        with_top = _complete_network(spec, spec.size, True, None)
        if numbers == count_parameters(with_top):
            load_weights_file(with_top, path)
            return _copy_weights(with_top, network)
        expected.append(f"{count_parameters(with_top):,} with its classifier")
    longer = _part_with(network, core, numbers)
    if longer is not None:
        return load_weights_file(longer, path)
    raise FeatureError(
        f"encoder weights {path} hold {numbers:,} numbers, but {spec.name} has {', '.join(expected)}: "
        "is this the file of another encoder?"
    )


def _part_with(network: keras.Model, core: keras.Model, parameters: int) -> keras.Model | None:
    """Returns the part of a network, longer than the core, that has this number of parameters, or None."""
    if not count_parameters(core) < parameters < count_parameters(network):
        return None
    needed = {id(layer) for layer in core.layers}
    for layer in reversed(network.layers):
        part = keras.Model(network.inputs[0], layer.output)
        if count_parameters(part) == parameters and needed <= {id(layer) for layer in part.layers}:
            return part
    return None


def _copy_weights(source: keras.Model, target: keras.Model) -> None:
    source_layers = layers_by_name(source)
    for name, layer in layers_by_name(target).items():
        if layer.weights:
            layer.set_weights(source_layers[name].get_weights())
