"""A short run of schemathesis with all its checks; ``benchmarks.api_conformance`` runs it at length."""

import pytest

pytest.importorskip("schemathesis")

from benchmarks.api_conformance import run  # noqa: E402


def test_the_service_conforms_to_its_document():
    found = run(5, phases="examples,coverage,fuzzing")
    assert found["failures"] == 0, found["output"]
    assert found["cases"] > 300 and found["answered"] > 15
