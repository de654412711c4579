"""What each row of the README's tables is: its name keeps this meaning, and ``keep.py`` and the tests hold it to it.

A row that is trained or decoded in another way is another row, with another name.
"""

from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Row:
    """A row: models of one recipe, decoded in one way.

    Attributes:
        label: What stands in the first column.
        search: Keys of the decoding that make the row what it is.
        encoders: Keys of ``ENCODERS``.
        folders: The kept folders in ``results/``, one for each seed.
        members: How many captioners write together.
        trainings: For each folder, the kept folders whose epochs make up its training; empty when one of them was not
            kept, and then the row has no training minutes.
        precision: What it was trained in; ``members`` of one row share it.
        chosen: What the repository holds of "dev chose": the epochs (history.csv has dev's scores of each, log.txt
            which was kept), and a sweep of the decoding where there is one.
    """

    label: str
    search: dict[str, object]
    encoders: tuple[str, ...]
    folders: tuple[str, ...]
    members: int = 1
    trainings: tuple[tuple[str, ...], ...] = ()
    precision: str = "float32"
    chosen: str = "epochs"

    @property
    def looks_up(self) -> bool:
        """Whether captions of training images take part in the decoding."""
        return self.search["type"] == "consensus"


def _folders(name: str, seeds: int = 1) -> tuple[str, ...]:
    return tuple(f"flickr8k_{name}" + (f"_{n}" if n > 1 else "") for n in range(1, seeds + 1))


def _single(name: str, seeds: int = 1) -> dict[str, tuple]:
    """Returns folders whose one training is their own."""
    folders = _folders(name, seeds)
    return {"folders": folders, "trainings": tuple((folder,) for folder in folders)}


_BOTH = ("inception_v3", "mobilenet_v2")
_BEAM5, _BEAM3 = {"type": "beam", "beam_size": 5}, {"type": "beam", "beam_size": 3}
_OLD = {"type": "consensus", "beam_size": 5, "samples": 20, "neighbour_agreement": 8.0, "likelihood": 2.0}
_NEW = {"type": "consensus", "beam_size": 10, "samples": 60, "neighbour_agreement": 24.0, "likelihood": 1.0}
_XE, _SCST, _FROZEN = _folders("xe", 3), _folders("scst", 2), _folders("xe_frozen", 3)
_TWO_STAGES = tuple(zip(_XE, _SCST, strict=False))

ROWS = {
    "merge": Row("merge LSTM, MobileNetV2 pooled, GloVe 50d", _BEAM5, ("mobilenet_v2",), **_single("merge")),
    "merge_inception": Row(
        "merge LSTM, InceptionV3 mixed8 pooled, GloVe 50d", _BEAM5, ("inception_v3",), **_single("merge_inception")
    ),
    "inject": Row("inject LSTM, InceptionV3 mixed8 pooled, GloVe 50d", _BEAM5, ("inception_v3",), **_single("inject")),
    "attention": Row(
        "soft attention (Show, Attend and Tell), both encoders 8 × 8", _BEAM5, _BOTH, **_single("attention")
    ),
    "quick": Row(
        "attention on attention, MobileNetV2 8 × 8 adapted, half the width, 8 epochs (flickr8k_quick.yaml)",
        _BEAM5,
        ("mobilenet_v2",),
        **_single("quick"),
        chosen="epochs; decoding: `sweep_dev.csv`, of another training",
    ),
    "updown": Row("top-down attention, both encoders 8 × 8", _BEAM5, _BOTH, **_single("updown"), precision="bfloat16"),
    "xe_inception": Row(
        "attention on attention, InceptionV3 mixed8 8 × 8", _BEAM5, ("inception_v3",), **_single("xe_inception")
    ),
    "xe_frozen": Row(
        "attention on attention, InceptionV3 mixed8 and MobileNetV2, 8 × 8, as ImageNet left them, two views",
        _BEAM5,
        _BOTH,
        **_single("xe_frozen", 3),
    ),
    "xe_frozen_consensus": Row(
        "the same, consensus",
        _OLD,
        _BOTH,
        _folders("xe_frozen_consensus", 3),
        trainings=tuple((one,) for one in _FROZEN),
    ),
    "xe": Row(
        "attention on attention, both encoders adapted to the captions' words, one view",
        _BEAM5,
        _BOTH,
        **_single("xe", 3),
    ),
    "xe_consensus": Row(
        "the same, consensus", _OLD, _BOTH, _folders("xe_consensus", 3), trainings=tuple((one,) for one in _XE)
    ),
    "scst_inception": Row(
        "InceptionV3 alone, then self-critical training, greedy",
        {"type": "greedy"},
        ("inception_v3",),
        _folders("scst_inception"),
        trainings=(("flickr8k_xe_inception", "flickr8k_scst_inception"),),
    ),
    "scst_frozen": Row(
        "both encoders as ImageNet left them, then self-critical training",
        _BEAM3,
        _BOTH,
        _folders("scst_frozen", 2),
        trainings=tuple(zip(_FROZEN[1:], _folders("scst_frozen", 2), strict=True)),
    ),
    "scst_frozen_consensus": Row(
        "the same, consensus",
        {**_OLD, "beam_size": 3},
        _BOTH,
        _folders("scst_frozen_consensus", 2),
        trainings=tuple(zip(_FROZEN[1:], _folders("scst_frozen", 2), strict=True)),
    ),
    "scst": Row("both encoders adapted, then self-critical training", _BEAM3, _BOTH, _SCST, trainings=_TWO_STAGES),
    "scst_consensus": Row("the same, consensus", _NEW, _BOTH, _folders("scst_consensus", 2), trainings=_TWO_STAGES),
    "scst_bfloat16": Row(
        "another seed of it, both stages in bfloat16, encoders adapted anew",
        _BEAM3,
        _BOTH,
        _folders("scst_bfloat16"),
        precision="bfloat16",
        chosen="epochs of its second stage",
    ),
    "scst_consensus_bfloat16": Row(
        "the same, consensus",
        _NEW,
        _BOTH,
        _folders("scst_consensus_bfloat16"),
        precision="bfloat16",
        chosen="epochs of its second stage",
    ),
    "best_frozen": Row(
        "five of both stages writing together, encoders as ImageNet left them, consensus",
        {**_OLD, "beam_size": 10},
        _BOTH,
        _folders("best_frozen"),
        members=5,
        chosen="epochs of four members of five",
    ),
    "best_five": Row(
        "five of both stages writing together, encoders adapted, consensus",
        _NEW,
        _BOTH,
        _folders("best_five"),
        members=5,
        trainings=((*_XE, *_SCST),),
    ),
    "best": Row(
        "four of both stages, each proposing, encoders adapted, consensus that also asks which words features speak of",
        {"type": "consensus", "drawn_by": "each", "samples": 60, "neighbour_agreement": 16.0, "content": 7.0},
        _BOTH,
        _folders("best"),
        members=4,
        precision="bfloat16",
        chosen="epochs of two members of four (the other: `flickr8k_precision/bfloat16`)",
    ),
}
"""Rows by name, in the order of the tables: the figures of a row are ``flickr8k.NAME.…``."""

HEADLINE = (
    "merge", "inject", "attention", "quick", "updown", "xe", "xe_consensus", "scst", "scst_consensus", "best_five",
    "best",
)  # fmt: skip
"""Rows of the table of what captions say, beside people."""


ENCODER_SIZES = {"mobilenet_v2": (2_257_984, 9_449_296), "inception_v3": (10_674_848, 43_351_272)}
"""Numbers in an encoder as far as the rows use it (InceptionV3 up to mixed8), and bytes of its weights."""
MEMORY_BYTES = 15_673_088
"""``memory.npz`` of 6,000 Flickr8k images with the features of both encoders: what consensus looks up."""
