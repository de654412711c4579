"""Changes to the config of a trained model that leave the model as it is."""

from collections.abc import Mapping, Sequence

from capsmith.config import AnyConfig, load_config
from capsmith.core.errors import ConfigError
from capsmith.core.scopes import Use, difference


def with_overrides(
    trained: AnyConfig, overrides: Sequence[str], unloaded: Mapping[tuple[str, str], str], model: object
) -> AnyConfig:
    """Returns the config of a trained model with changes that leave the model as it is.

    Args:
        trained: The config it was trained with.
        overrides: The changes, such as ``decoding.beam_size=3``.
        unloaded: Components of plugins that are not loaded, each with its plugin.
        model: Name of the run or export in messages.

    Raises:
        ConfigError: A change is invalid, or would change the model.
    """
    if not overrides:
        return trained
    config = load_config(trained.model_dump(mode="json"), overrides, unloaded)
    if changed := difference(trained, config, Use.EVALUATE):
        raise ConfigError(f"--set cannot change what {model} was trained with ({changed})")
    return config
