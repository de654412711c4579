"""Files of a run that somebody removes while it trains."""

import shutil

import pytest

from capsmith.core.errors import CapsmithError
from capsmith.training.kept import KeptFiles

FILES = ("config.yaml", "vocabulary.json", "encoder_1/encoder.weights.h5", "encoder_2/encoder.json")


@pytest.fixture
def run(tmp_path):
    for name in (*FILES, "model.weights.h5", "cache/manifest.json", "labels.json"):
        (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name).write_bytes(name.encode() * 1000)
    return tmp_path / "run"


def test_what_is_gone_comes_back_byte_for_byte(run, log_lines):
    with KeptFiles(run, 2) as kept:
        kept.restore()
        assert not log_lines
        shutil.rmtree(run)
        kept.restore()
        assert {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()} == set(FILES)
        assert all((run / name).read_bytes() == name.encode() * 1000 for name in FILES)
        (run / "vocabulary.json").unlink()
        kept.restore()
    assert (run / "vocabulary.json").exists()
    assert log_lines[1] == f"vocabulary.json had been removed from {run}: written again"


def test_where_nothing_can_be_written_it_is_an_error(run):
    with KeptFiles(run, 2) as kept:
        shutil.rmtree(run)
        run.write_text("a file in the folder's place")
        with pytest.raises(CapsmithError, match="cannot write"):
            kept.restore()
