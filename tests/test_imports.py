"""Fast startup: light modules do not load Keras, captioning from an export loads hardly anything."""

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

ABSENT = ("pydantic", "yaml", "tqdm", "nltk", "jinja2", "markupsafe", "fastapi", *HEAVY)
"""Packages that an environment for captioning need not have: it has NumPy, Pillow and onnxruntime."""
CAPTIONING = [
    "capsmith.core.errors",
    "capsmith.core.files",
    "capsmith.core.locks",
    "capsmith.core.log",
    "capsmith.core.onnx_graph",
    "capsmith.core.onnx_session",
    "capsmith.core.outputs",
    "capsmith.core.pages.stylesheet",
    "capsmith.core.plain_settings",
    "capsmith.core.progress",
    "capsmith.core.readers.arrays",
    "capsmith.core.readers.json_files",
    "capsmith.core.spelling",
    "capsmith.core.tables",
    "capsmith.core.temporary",
    "capsmith.core.terminal",
    "capsmith.data",
    "capsmith.data.image_listing",
    "capsmith.data.text.cleaning",
    "capsmith.data.text.plain_settings",
    "capsmith.data.text.subwords",
    "capsmith.data.text.tokens",
    "capsmith.data.text.vocabulary",
    "capsmith.decoding.beam",
    "capsmith.decoding.chance",
    "capsmith.decoding.constraints",
    "capsmith.decoding.engine",
    "capsmith.decoding.features",
    "capsmith.decoding.hypotheses",
    "capsmith.decoding.joint_stepper",
    "capsmith.decoding.limits",
    "capsmith.decoding.namespace",
    "capsmith.decoding.onnx_stepper",
    "capsmith.decoding.plain_settings",
    "capsmith.decoding.rerank.mbr",
    "capsmith.decoding.rerank.rerank",
    "capsmith.decoding.sampling",
    "capsmith.decoding.satisfying",
    "capsmith.decoding.search",
    "capsmith.decoding.wishes",
    "capsmith.deploy.folder.caption_folder",
    "capsmith.deploy.folder.pipeline",
    "capsmith.deploy.folder.record",
    "capsmith.deploy.folder.selection",
    "capsmith.deploy.folder.writers.gallery",
    "capsmith.metrics",
    "capsmith.metrics.ngrams",
    "capsmith.metrics.reward",
    "capsmith.metrics.tfidf",
    "capsmith.metrics.utility",
    "capsmith.models.arguments",
    "capsmith.models.attention_maps",
    "capsmith.models.caption",
    "capsmith.models.export_folder",
    "capsmith.models.export_manifest",
    "capsmith.models.exported_parts",
    "capsmith.models.run",
    "capsmith.models.training_domain",
    "capsmith.models.wishes",
    "capsmith.retrieval.caption_index",
    "capsmith.retrieval.concepts",
    "capsmith.retrieval.index_file",
    "capsmith.retrieval.pooled",
    "capsmith.vision.image_files",
    "capsmith.vision.images",
    "capsmith.vision.joined",
    "capsmith.vision.loading",
    "capsmith.vision.onnx_encoder",
    "capsmith.vision.regions",
]
"""The modules that captioning from an export uses."""


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


def import_without(packages, modules):
    """Imports modules in a process that lacks some packages; returns the end of its error, empty if there is none."""
    script = f"import sys\nsys.modules.update(dict.fromkeys({packages!r}))\nimport {', '.join(modules)}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    return "\n".join(done.stderr.splitlines()[-6:])


def test_captioning_needs_no_package_for_training():
    assert import_without(ABSENT, CAPTIONING) == ""


@pytest.mark.parametrize(
    ("module", "package"), [("core.schema", "pydantic"), ("core.yaml_io", "yaml"), ("core.pages.environment", "jinja2")]
)
def test_the_check_detects_a_package_for_training(module, package):
    assert f"import of {package} halted" in import_without(ABSENT, [f"capsmith.{module}"])


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
