"""Benchmarks of sharded jobs, sharded data sets and training on several devices."""
