"""SPICE 1.0 (Anderson et al. 2016), computed by the original Java program."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from capsmith.core.errors import CapsmithError
from capsmith.metrics.metric import Corpus, MeanMetric

_MODELS = "stanford-corenlp-3.6.0-models.jar"


def spice(hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> NDArray[np.float64]:
    """Runs SPICE.

    Args:
        hypotheses: N tokenised captions.
        references: The tokenised references of each.

    Returns:
        The F-score of each caption, 0 to 1, (N,); 0 where neither side has a proposition.

    Raises:
        CapsmithError: Java fails, or its output is not valid.
    """
    from capsmith.core.readers.json_files import parse_json
    from capsmith.metrics.java import run_java

    rows = [
        {"image_id": number, "test": " ".join(hypothesis), "refs": [" ".join(reference) for reference in group]}
        for number, (hypothesis, group) in enumerate(zip(hypotheses, references, strict=True))
    ]
    with tempfile.TemporaryDirectory() as folder:
        captions, output = Path(folder, "captions.json"), Path(folder, "scores.json")
        captions.write_text(json.dumps(rows), encoding="utf-8")
        run_java("spice", ["-Xmx8G", "-jar", "spice-1.0.jar", str(captions), "-out", str(output), "-silent"])
        try:
            results = parse_json(output.read_bytes(), strict=False)
            by_number = {row["image_id"]: row["scores"]["All"]["f"] for row in results}
            scores = np.array([by_number[number] for number in range(len(rows))], np.float64)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CapsmithError(f"SPICE returned no usable output: {error}") from error
    return np.nan_to_num(scores)


class Spice(MeanMetric):
    """SPICE."""

    name, title = "spice", "SPICE"

    def values(self, corpus: Corpus) -> NDArray[np.float64]:
        """Returns the F-score of each image, 0 to 1, (N,)."""
        return spice(corpus.hypotheses, corpus.references.tokens)

    def signature(self) -> tuple[str, ...]:
        """Returns the version of the program."""
        return ("v:1.0",)

    def check_requirements(self) -> None:
        """Raises CapsmithError when ``pycocoevalcap``, Java or the models of SPICE are missing."""
        from capsmith.metrics import java

        java.require_java(self.name)
        if not (java.package_folder(self.name) / "lib" / _MODELS).exists():
            fetch = "from pycocoevalcap.spice.get_stanford_models import get_stanford_models as get; get()"
            raise CapsmithError(f'SPICE needs a separate download (about 400 MB, once): python -c "{fetch}"')
