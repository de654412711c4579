import pytest

from capsmith.core.errors import CapsmithError, MissingExtraError
from capsmith.metrics import java, score
from tests.support.fake_java import CAPTIONS, REFERENCES


def test_missing_java_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(java, "package_folder", lambda name: tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CapsmithError, match="METEOR needs Java"):
        score(CAPTIONS, REFERENCES, ["bleu", "meteor"])


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr(java.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"METEOR.*capsmith\[coco\]"):
        score(CAPTIONS, REFERENCES, ["meteor"])


def test_failure_in_java_is_reported_with_its_first_line(fake_java):
    fake_java("print('Error: could not reserve heap', file=sys.stderr); print('more', file=sys.stderr); sys.exit(1)")
    with pytest.raises(CapsmithError, match=r"METEOR.*exit code 1.*could not reserve heap$"):
        score(CAPTIONS, REFERENCES, ["meteor"])
