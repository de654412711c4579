"""Executes the notebooks in place and stores small outputs: ``python notebooks/run.py [NAME …]``."""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent
NOISE = ("WARNING: All log messages", "I0000", "E0000", "W0000")  # TensorFlow's own lines, dropped


def run(path: Path) -> None:
    """Executes a notebook from the project's root. Streams are joined, and images kept in one format."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(FOLDER.parent)}}
    NotebookClient(notebook, timeout=1200, kernel_name="python3", resources=resources).execute()
    for cell in notebook.cells:
        cell.get("metadata", {}).pop("execution", None)  # times of day
        if cell.cell_type == "code":
            cell.outputs = stored_outputs(cell.outputs)
    nbformat.write(notebook, path)


def stored_outputs(outputs: list) -> list:
    """Returns the outputs of a cell as they are committed."""
    stored: list = []
    for output in outputs:
        if output.output_type == "stream":
            lines = [line for line in output.text.splitlines(keepends=True) if not line.startswith(NOISE)]
            output.text = "".join(lines)
            if stored and stored[-1].get("name") == output.name:
                stored[-1].text += output.text
            elif output.text:
                stored.append(output)
            continue
        if {"image/jpeg", "image/png"} <= output.data.keys():
            del output.data["image/png"]
        stored.append(output)
    return stored


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(path.stem for path in FOLDER.glob("*.ipynb")):
        run(FOLDER / f"{name}.ipynb")
