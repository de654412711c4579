"""The rows of the results tables. The name of a row keeps its meaning; ``tools.keep`` and the tests enforce it.

A model that is trained or decoded in another way is another row with another name. Rows whose name ends in
``_consensus``, and the three ``best`` rows, rerank candidate captions by minimum Bayes risk (MBR).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """Models of one recipe, decoded in one way.

    Attributes:
        label: First column of the tables.
        search: Decoding settings that define the row, by dotted key.
        encoders: Keys of ``ENCODER_SIZES``.
        folders: Folders below ``results/``, one for each seed.
        members: Number of captioners in the ensemble.
        trainings: For each folder, the folders whose epochs make up its training. Empty when one of them was not kept;
            the row then has no training time.
        precision: Precision of the training; members of a row share it.
        verifiable: Evidence in the repository that dev chose the model: the epochs (``history.csv`` has the dev scores
            of each, ``log.txt`` the epoch that was kept), and a sweep of the decoding settings where one was kept.
    """

    label: str
    search: dict[str, object]
    encoders: tuple[str, ...]
    folders: tuple[str, ...]
    members: int = 1
    trainings: tuple[tuple[str, ...], ...] = ()
    precision: str = "float32"
    verifiable: str = "epochs"

    @property
    def uses_training_captions(self) -> bool:
        """Whether decoding looks up captions of training images."""
        return is_mbr(self.search)


def folder_of(row: str, seed: int) -> str:
    """Returns the folder of a row's seed, relative to ``results/``."""
    return f"flickr8k/{row}/seed_{seed}"


def _folders(row: str, *seeds: int) -> tuple[str, ...]:
    return tuple(folder_of(row, seed) for seed in seeds or (1,))


def _single_stage(row: str, *seeds: int) -> dict[str, tuple]:
    """Returns folders that hold their complete training."""
    folders = _folders(row, *seeds)
    return {"folders": folders, "trainings": tuple((folder,) for folder in folders)}


def is_mbr(decoding: dict[str, object]) -> bool:
    """Returns whether decoding settings, by dotted key, rerank by minimum Bayes risk."""
    return decoding.get("rerank.type") == "mbr"


_BEAM5, _BEAM3 = {"type": "beam", "beam_size": 5}, {"type": "beam", "beam_size": 3}
_MBR: dict[str, object] = {"type": "beam", "beam_size": 5, "rerank.type": "mbr"}
_MBR_A = {**_MBR, "rerank.samples": 20, "rerank.knn_weight": 8.0, "rerank.log_prob_weight": 2.0}
_MBR_60: dict[str, object] = {**_MBR, "beam_size": 10, "rerank.samples": 60}
_MBR_B = {**_MBR_60, "rerank.knn_weight": 24.0, "rerank.log_prob_weight": 1.0}
_MBR_MEMBERS = {
    **_MBR_60,
    "rerank.samples_from": "members",
    "rerank.knn_weight": 16.0,
    "rerank.concept_weight": 7.0,
}


_BOTH = ("inception_v3", "mobilenet_v2")
_XE, _SCST = _folders("xe", 1, 2, 3), _folders("scst", 1, 2)
_FROZEN, _SCST_FROZEN = _folders("xe_frozen", 1, 2, 3), _folders("scst_frozen", 2, 3)
_TWO_STAGES = tuple(zip(_XE, _SCST, strict=False))
_FROZEN_STAGES = tuple(zip(_FROZEN[1:], _SCST_FROZEN, strict=True))

ROWS = {
    "merge": Row("merge LSTM, MobileNetV2 pooled, GloVe 50d", _BEAM5, ("mobilenet_v2",), **_single_stage("merge")),
    "merge_inception": Row(
        "merge LSTM, InceptionV3 mixed8 pooled, GloVe 50d",
        _BEAM5,
        ("inception_v3",),
        **_single_stage("merge_inception"),
    ),
    "inject": Row(
        "inject LSTM, InceptionV3 mixed8 pooled, GloVe 50d", _BEAM5, ("inception_v3",), **_single_stage("inject")
    ),
    "attention": Row(
        "soft attention (Show, Attend and Tell), both encoders 8 × 8", _BEAM5, _BOTH, **_single_stage("attention")
    ),
    "quick": Row(
        "attention on attention, MobileNetV2 8 × 8 adapted, half width, 8 epochs (flickr8k_quick.yaml)",
        _BEAM5,
        ("mobilenet_v2",),
        **_single_stage("quick"),
        verifiable="epochs; decoding: `sweep_dev.csv`, of another training",
    ),
    "updown": Row(
        "top-down attention, both encoders 8 × 8", _BEAM5, _BOTH, **_single_stage("updown"), precision="bfloat16"
    ),
    "xe_inception": Row(
        "attention on attention, InceptionV3 mixed8 8 × 8", _BEAM5, ("inception_v3",), **_single_stage("xe_inception")
    ),
    "xe_frozen": Row(
        "attention on attention, InceptionV3 mixed8 and MobileNetV2, 8 × 8, ImageNet weights, two cached crops",
        _BEAM5,
        _BOTH,
        **_single_stage("xe_frozen", 1, 2, 3),
    ),
    "xe_frozen_consensus": Row(
        "the same, MBR reranking",
        _MBR_A,
        _BOTH,
        _folders("xe_frozen_consensus", 1, 2, 3),
        trainings=tuple((folder,) for folder in _FROZEN),
    ),
    "xe": Row(
        "attention on attention, both encoders adapted to caption words, one cached crop",
        _BEAM5,
        _BOTH,
        **_single_stage("xe", 1, 2, 3),
    ),
    "xe_consensus": Row(
        "the same, MBR reranking",
        _MBR_A,
        _BOTH,
        _folders("xe_consensus", 1, 2, 3),
        trainings=tuple((folder,) for folder in _XE),
    ),
    "scst_inception": Row(
        "InceptionV3 alone, then self-critical training, greedy",
        {"type": "greedy"},
        ("inception_v3",),
        _folders("scst_inception"),
        trainings=((*_folders("xe_inception"), *_folders("scst_inception")),),
    ),
    "scst_frozen": Row(
        "both encoders with ImageNet weights, then self-critical training",
        _BEAM3,
        _BOTH,
        _SCST_FROZEN,
        trainings=_FROZEN_STAGES,
    ),
    "scst_frozen_consensus": Row(
        "the same, MBR reranking",
        {**_MBR_A, "beam_size": 3},
        _BOTH,
        _folders("scst_frozen_consensus", 2, 3),
        trainings=_FROZEN_STAGES,
    ),
    "scst": Row("both encoders adapted, then self-critical training", _BEAM3, _BOTH, _SCST, trainings=_TWO_STAGES),
    "scst_consensus": Row(
        "the same, MBR reranking", _MBR_B, _BOTH, _folders("scst_consensus", 1, 2), trainings=_TWO_STAGES
    ),
    "scst_bfloat16": Row(
        "another seed of it, both stages in bfloat16, encoders adapted again",
        _BEAM3,
        _BOTH,
        _folders("scst_bfloat16", 3),
        precision="bfloat16",
        verifiable="epochs of its second stage",
    ),
    "scst_consensus_bfloat16": Row(
        "the same, MBR reranking",
        _MBR_B,
        _BOTH,
        _folders("scst_consensus_bfloat16", 3),
        precision="bfloat16",
        verifiable="epochs of its second stage",
    ),
    "best_frozen": Row(
        "ensemble of five models from both stages, encoders with ImageNet weights, MBR reranking",
        {**_MBR_A, "beam_size": 10},
        _BOTH,
        _folders("best_frozen", 2),
        members=5,
        verifiable="epochs of four members of five",
    ),
    "best_five": Row(
        "ensemble of five models from both stages, encoders adapted, MBR reranking",
        _MBR_B,
        _BOTH,
        _folders("best_five"),
        members=5,
        trainings=((*_XE, *_SCST),),
    ),
    "best": Row(
        "four models from both stages, each proposing candidates, encoders adapted, MBR reranking with a concept score",
        _MBR_MEMBERS,
        _BOTH,
        _folders("best"),
        members=4,
        precision="bfloat16",
        verifiable="epochs of two members of four (the other: `flickr8k/precision/bfloat16`)",
    ),
}
"""Rows by name, in the order of the tables. The figures of a row are ``flickr8k.NAME.…``."""

HEADLINE = (
    "merge", "inject", "attention", "quick", "updown", "xe", "xe_consensus", "scst", "scst_consensus", "best_five",
    "best",
)  # fmt: skip
"""Rows of the table that compares models with people."""

README_ROWS = {
    "merge": "merge LSTM, MobileNetV2, GloVe",
    "attention": "soft attention, two encoders",
    "xe": "attention on attention, two adapted encoders",
    "scst": "the same, then self-critical training",
    "best": "ensemble of four, MBR reranking",
}
"""Rows of the README's short table, with shorter labels."""

ENCODER_SIZES = {"mobilenet_v2": (2_257_984, 9_449_296), "inception_v3": (10_674_848, 43_351_272)}
"""Parameters of an encoder up to the layer that the rows use (InceptionV3: mixed8), and bytes of its weights."""
CAPTION_INDEX_BYTES = 15_673_088
"""``caption_index.npz`` of 6,000 Flickr8k images with the features of both encoders: what MBR reranking looks up."""
