"""Only the pinned files of onnxruntime-web are used, and their absence is one line that says what to do."""

import hashlib
import io
import tarfile

import pytest

from capsmith.core.errors import CheckpointError, ConfigError
from capsmith.deploy.export import onnxruntime_web as module

CONTENT = {name: name.encode() for name in module.FILES}


@pytest.fixture(autouse=True)
def pinned(monkeypatch):
    monkeypatch.setattr(module, "FILES", {name: hashlib.sha256(data).hexdigest() for name, data in CONTENT.items()})


def tarball(path, content, kind=tarfile.REGTYPE):
    with tarfile.open(path, "w:gz") as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size, member.type = len(data) if kind == tarfile.REGTYPE else 0, kind
            member.linkname = "/etc/passwd"
            archive.addfile(member, io.BytesIO(data))
    return path


def packed(path, **changes):
    files = {f"package/dist/{name}": data for name, data in {**CONTENT, **changes}.items()}
    return tarball(path, {"package/package.json": b"{}", **files})


def test_a_tarball_and_a_folder_give_the_files(tmp_path):
    assert module.onnxruntime_web(packed(tmp_path / "package.tgz")) == CONTENT
    (tmp_path / "node" / "dist").mkdir(parents=True)
    for name, data in CONTENT.items():
        (tmp_path / "node" / "dist" / name).write_bytes(data)
    assert module.onnxruntime_web(tmp_path / "node") == CONTENT
    assert module.onnxruntime_web(tmp_path / "node" / "dist") == CONTENT


def test_other_content_is_refused(tmp_path):
    changed = packed(tmp_path / "package.tgz", **{"ort.wasm.min.mjs": b"another"})
    with pytest.raises(ConfigError, match=r"package\.tgz.*1\.30\.0|ort\.wasm\.min\.mjs"):
        module.onnxruntime_web(changed)


def test_what_is_not_the_package_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.tgz").write_text("not a tarball")
    (tmp_path / "cut.tgz").write_bytes(packed(tmp_path / "package.tgz").read_bytes()[:60])
    linked = tarball(tmp_path / "links.tgz", {f"package/dist/{n}": b"" for n in CONTENT}, tarfile.SYMTYPE)
    outside = tarball(tmp_path / "outside.tgz", {f"../dist/{name}": data for name, data in CONTENT.items()})
    for source in (tmp_path / "empty", tmp_path / "text.tgz", tmp_path / "cut.tgz", linked, outside, tmp_path / "no"):
        with pytest.raises(ConfigError, match=source.name):
            module.onnxruntime_web(source)


def test_without_npm_the_option_is_named(monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    with pytest.raises(CheckpointError, match=module.OPTION):
        module.onnxruntime_web()


def test_a_failing_npm_is_reported(monkeypatch, tmp_path):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error network' >&2\nexit 7\n")
    npm.chmod(0o755)
    monkeypatch.setattr(module.shutil, "which", lambda name: str(npm))
    with pytest.raises(CheckpointError, match=rf"npm error network.*{module.OPTION}"):
        module.onnxruntime_web()


def test_npm_fetches_the_pinned_version(monkeypatch, tmp_path):
    packed(tmp_path / "source.tgz")
    npm = tmp_path / "npm"
    npm.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\ncp {tmp_path}/source.tgz onnxruntime-web.tgz\n')
    npm.chmod(0o755)
    monkeypatch.setattr(module.shutil, "which", lambda name: str(npm))
    assert module.onnxruntime_web() == CONTENT
    assert f"onnxruntime-web@{module.VERSION}" in (tmp_path / "asked").read_text().split()
