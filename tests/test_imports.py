"""Fast startup: light modules do not load Keras, and the help loads hardly anything."""

import json
import subprocess
import sys

import pytest

HEAVY = ("keras", "tensorflow", "jax", "torch", "h5py")
LIGHT = [
    "capsmith",
    "capsmith.evaluation.attention_plot",
    "capsmith.cli",
    "capsmith.config",
    "capsmith.core.registry",
    "capsmith.core.files",
    "capsmith.core.schema",
    "capsmith.data",
    "capsmith.data.flickr8k",
    "capsmith.data.folder",
    "capsmith.data.image_listing",
    "capsmith.data.kaggle",
    "capsmith.data.karpathy",
    "capsmith.data.scenes.reader",
    "capsmith.models.decoders.config",
    "capsmith.decoding.search",
    "capsmith.vision.config",
    "capsmith.vision.encoders",
    "capsmith.vision.extraction",
    "capsmith.vision.fingerprint",
    "capsmith.vision.image_files",
    "capsmith.vision.images",
    "capsmith.models.feature_origin",
    "capsmith.vision.journal",
    "capsmith.vision.pickle_store",
    "capsmith.vision.safe_pickle",
    "capsmith.vision.store",
    "capsmith.metrics",
    "capsmith.data.prepare",
    "capsmith.evaluation.plots",
    "capsmith.evaluation.report",
    "capsmith.data.text.cleaning",
    "capsmith.data.text.glove",
    "capsmith.data.text.tokens",
    "capsmith.data.text.vocabulary",
    "capsmith.training.config",
    "capsmith.training.history",
    "capsmith.training.schedules",
]


def loaded_by(script):
    """Returns the names of the packages that a script has loaded at its end."""
    tail = "\nimport json; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", "import sys\n" + script + tail], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_light_modules_load_no_keras():
    """Imports all modules in one process for speed; only after a failure each one alone, to name the cause."""
    if any(name in loaded_by("import " + ", ".join(LIGHT)) for name in HEAVY):
        culprits = {name: [h for h in HEAVY if h in loaded_by(f"import {name}")] for name in LIGHT}
        pytest.fail(str({name: found for name, found in culprits.items() if found}))


def test_the_check_detects_keras():
    assert "h5py" in loaded_by("import h5py")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"], ["caption", "--help"]])
def test_help_loads_neither_keras_nor_numpy(arguments):
    script = f"from capsmith.cli import main\ntry: main({arguments})\nexcept SystemExit as end: assert end.code == 0"
    assert not {*HEAVY, "numpy", "PIL", "pydantic", "yaml"} & set(loaded_by(script))


@pytest.mark.parametrize(
    "arguments", [["list", "encoders"], ["list", "metrics"], ["validate", "--config", "quickstart"]]
)
def test_list_and_validate_load_no_keras(arguments):
    assert not set(HEAVY) & set(loaded_by(f"from capsmith.cli import main\nassert main({arguments}) == 0"))
