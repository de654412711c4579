"""Executes the notebooks in place and keeps their outputs, small: ``python notebooks/run.py [NAME …]``."""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent
NOISE = ("WARNING: All log messages", "I0000", "E0000", "W0000")  # of TensorFlow's C++ code


def run(path: Path) -> None:
    """Executes a notebook from the project's root; what it printed becomes one output, and an image one format."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(FOLDER.parent)}}
    NotebookClient(notebook, timeout=1200, kernel_name="python3", resources=resources).execute()
    for cell in notebook.cells:
        cell.get("metadata", {}).pop("execution", None)  # times of day
        if cell.cell_type == "code":
            cell.outputs = kept(cell.outputs)
    nbformat.write(notebook, path)


def kept(outputs: list) -> list:
    """Returns the outputs of a cell as they are committed."""
    found: list = []
    for output in outputs:
        if output.output_type == "stream":
            lines = [line for line in output.text.splitlines(keepends=True) if not line.startswith(NOISE)]
            output.text = "".join(lines)
            if found and found[-1].get("name") == output.name:
                found[-1].text += output.text
            elif output.text:
                found.append(output)
            continue
        if {"image/jpeg", "image/png"} <= output.data.keys():
            del output.data["image/png"]
        found.append(output)
    return found


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(path.stem for path in FOLDER.glob("*.ipynb")):
        run(FOLDER / f"{name}.ipynb")
