"""An export is opened only if its manifest is intact and every file is the one that was exported."""

import copy
import json
import os
import shutil

import pytest

from capsmith.core.errors import CheckpointError
from capsmith.models.export_folder import ExportFolder
from tests.support.exports import SIDE, D, read_manifest, write_export


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_export(tmp_path_factory.mktemp("export") / "toy")


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "toy")


def refused(folder, match):
    with pytest.raises(CheckpointError, match=match) as caught:
        ExportFolder(folder).verify()
    assert "\n" not in str(caught.value)


def test_an_intact_export_is_read(folder):
    export = ExportFolder.named(folder)
    export.verify()
    (entry,) = export.manifest.members
    assert export.is_export
    assert entry.encoders[0].file == "encoder.onnx" and entry.encoders[0].image_size == (SIDE, SIDE)
    assert (entry.feature_shape, entry.n_static, entry.state) == ((D,), 1, 2)
    assert export.manifest.labels == {"trained_on": "nothing"}


def test_members_lie_in_their_folders(tmp_path):
    export = ExportFolder(write_export(tmp_path / "two", seeds=(0, 1)))
    export.verify()
    assert [entry.step for entry in export.manifest.members] == ["member_1/step.onnx", "member_2/step.onnx"]


def test_other_folders_are_no_exports(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 1\n")
    assert not ExportFolder(tmp_path).is_export and not ExportFolder(tmp_path / "nothing").is_export
    (tmp_path / "manifest.json").write_text('{"format": 1, "fingerprint": {}}')  # that of a feature store
    assert not ExportFolder(tmp_path).is_export
    refused(tmp_path, "manifest")


@pytest.mark.parametrize("name", ["encoder.onnx", "start.onnx", "step.onnx", "vocabulary.json"])
def test_changed_missing_and_truncated_files_are_refused(written, tmp_path, name):
    for number, change in enumerate((flip, truncate, os.remove, grow)):
        folder = shutil.copytree(written, tmp_path / str(number))
        change(folder / name)
        refused(folder, name)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def grow(path):
    path.write_bytes(path.read_bytes() + b"\0")


def test_links_to_outside_are_refused(folder, tmp_path):
    shutil.move(folder / "step.onnx", tmp_path / "step.onnx")
    (folder / "step.onnx").symlink_to(tmp_path / "step.onnx")
    refused(folder, "outside")


def test_a_linked_folder_and_links_inside_are_fine(folder, tmp_path):
    shutil.move(folder / "step.onnx", folder / "real.onnx")
    (folder / "step.onnx").symlink_to("real.onnx")
    (tmp_path / "link").symlink_to(folder)
    ExportFolder(tmp_path / "link").verify()


def test_pipes_are_not_read(folder):
    (folder / "step.onnx").unlink()
    os.mkfifo(folder / "step.onnx")
    refused(folder, "pipe")


CHANGES = {
    "a later format": ({"format": 2}, "upgrade capsmith"),
    "format of another type": ({"format": True}, "format"),
    "unknown kind": ({"kind": "pickle"}, "kind"),
    "kind that is not read": ({"kind": "litert"}, "litert"),
    "no members": ({"members": []}, "members"),
    "members of another type": ({"members": {}}, "members"),
    "files of another type": ({"files": []}, "files"),
    "text missing": ({"text": None}, "text"),
    "decoding missing": ({"decoding": []}, "decoding"),
    "too many members": ({"members": [{}] * 65}, "members"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_damaged_manifests_are_refused(folder, name):
    change, match = CHANGES[name]
    (folder / "manifest.json").write_text(json.dumps(read_manifest(folder) | change))
    refused(folder, match)


ENTRIES = {
    "file outside": ("step", "../step.onnx", "inside"),
    "absolute file": ("step", "/etc/passwd", "inside"),
    "backslash": ("step", "..\\step.onnx", "inside"),
    "folder outside": ("folder", "..", "inside"),
    "hidden file": ("start", ".start", "inside"),
    "unlisted file": ("start", "other.onnx", "files lacks"),
    "file of another type": ("step", 3, "step"),
    "negative n_static": ("n_static", -1, "n_static"),
    "n_static beyond the state": ("n_static", 3, "n_static"),
    "no state": ("state", 0, "state"),
    "huge state": ("state", 10**6, "state"),
    "true for a number": ("state", True, "state"),
    "no feature shape": ("feature_shape", [], "feature_shape"),
    "zero channels": ("feature_shape", [0], "feature_shape"),
    "fraction of channels": ("feature_shape", [6.0], "feature_shape"),
    "huge features": ("feature_shape", [10**9, 10**9], "feature_shape"),
    "no encoders": ("encoders", [], "encoders"),
    "attention of another type": ("attends", 1, "attends"),
    "attention to a vector": ("attends", True, "attends"),
    "rounding of another type": ("store_float16", "no", "store_float16"),
    "huge image": (
        "encoders",
        [{"file": "encoder.onnx", "image_size": [10**6, 1], "feature_shape": [D]}],
        "image_size",
    ),
    "grid for a vector": (
        "encoders",
        [{"file": "encoder.onnx", "image_size": [8, 8], "feature_shape": [4, D]}],
        "features",
    ),
    "grid of other regions": (
        "encoders",
        [{"file": "encoder.onnx", "image_size": [8, 8], "feature_shape": [D], "grid": [2, 3]}],
        "grid",
    ),
    "grid of one side": (
        "encoders",
        [{"file": "encoder.onnx", "image_size": [8, 8], "feature_shape": [D], "grid": [1]}],
        "grid",
    ),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_damaged_members_are_refused(folder, name):
    key, value, match = ENTRIES[name]
    content = copy.deepcopy(read_manifest(folder))
    content["members"][0][key] = value
    (folder / "manifest.json").write_text(json.dumps(content))
    refused(folder, match)


@pytest.mark.parametrize(
    "name, entry",
    [
        ("step.onnx", {"sha256": "0" * 64, "bytes": 1}),
        ("step.onnx", {"sha256": "x" * 64, "bytes": 1}),
        ("step.onnx", {"bytes": 1}),
        ("step.onnx", {"sha256": "0" * 64, "bytes": 2**40}),
        ("step.onnx", {"sha256": "0" * 64, "bytes": -1}),
        ("step.onnx", "0" * 64),
        ("../step.onnx", {"sha256": "0" * 64, "bytes": 1}),
        ("/etc/passwd", {"sha256": "0" * 64, "bytes": 1}),
        ("vocabulary.json/../../x", {"sha256": "0" * 64, "bytes": 1}),
        ("nothing.npz", {"sha256": "0" * 64, "bytes": 1}),
    ],
)
def test_damaged_lists_of_files_are_refused(folder, name, entry):
    content = read_manifest(folder)
    content["files"][name] = entry
    (folder / "manifest.json").write_text(json.dumps(content))
    refused(folder, "manifest|export")


@pytest.mark.parametrize("raw", ["", "{", "[]", "null", '{"format": 1}', "[" * 100_000, '{"format": 1, "format": 1}'])
def test_files_that_are_no_manifest_are_refused(folder, raw):
    (folder / "manifest.json").write_text(raw)
    refused(folder, r"manifest\.json")


def test_a_huge_manifest_is_not_read(folder):
    with (folder / "manifest.json").open("r+b") as file:
        file.truncate(2**23)
    refused(folder, r"manifest\.json")
