"""Sharded data sets: WebDataset tars and Parquet files, read without unpacking them."""
