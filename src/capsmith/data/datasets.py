"""Datasets: one reader per format, each with a settings class and a function in its own file.

A new format is one file that registers its settings in ``DATASETS``, and one name in the import below.
"""

from capsmith.data import flickr8k, folder, kaggle, karpathy  # noqa: F401 - importing registers them
from capsmith.data.records import DATASETS, Corpus, DatasetConfig, Problems, Record, SplitConfig, read_dataset
from capsmith.data.scenes import reader as scenes  # noqa: F401 - importing registers them
from capsmith.data.shards import parquet, webdataset  # noqa: F401 - importing registers them

__all__ = ["DATASETS", "Corpus", "DatasetConfig", "Problems", "Record", "SplitConfig", "read_dataset"]
