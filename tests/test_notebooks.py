"""The notebooks run from top to bottom, and their last pictures and scores are there."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("CAPSMITH_NOTEBOOK_DIR", str(tmp_path))
    monkeypatch.setenv("CAPSMITH_NOTEBOOK_QUICK", "1")
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "commit notebooks without outputs"
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    assert (tmp_path / "run" / "report" / "index.html").is_file()
    assert (tmp_path / "captions.png").is_file()
