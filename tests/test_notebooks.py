"""The notebooks run from top to bottom and are committed with the outputs of one run."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_run(path, tmp_path, monkeypatch):
    monkeypatch.setenv("CAPSMITH_NOTEBOOK_DIR", str(tmp_path))
    monkeypatch.setenv("CAPSMITH_NOTEBOOK_QUICK", "1")
    notebook = nbformat.read(path, as_version=4)
    for cell in code_cells(notebook):
        cell.outputs = []
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    assert (tmp_path / "run" / "history.png").is_file()
    assert list(tmp_path.glob("**/index.html"))
    assert (tmp_path / "captions.png").is_file()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_outputs_are_of_one_run_and_small(path):
    """``python notebooks/run.py`` writes them."""
    cells = code_cells(nbformat.read(path, as_version=4))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    images = [output for output in outputs if "image/jpeg" in output.get("data", {})]
    assert len(images) >= 3 and path.stat().st_size < 600_000
    text = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "epoch 1/" in text and "bleu4" in text and not any(place in text for place in ("/tmp", "/home", "/root"))
