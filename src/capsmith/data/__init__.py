"""Datasets: one reader per format. The names below are imported when they are first used."""

from typing import TYPE_CHECKING

from capsmith.core.lazy_names import lazy_names

if TYPE_CHECKING:
    from capsmith.data.datasets import DATASETS, Corpus, DatasetConfig, Problems, Record, SplitConfig, read_dataset

__all__ = ["DATASETS", "Corpus", "DatasetConfig", "Problems", "Record", "SplitConfig", "read_dataset"]

__getattr__ = lazy_names(__name__, dict.fromkeys(__all__, "capsmith.data.datasets"))
