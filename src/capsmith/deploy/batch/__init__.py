"""Sharded jobs: images in numbered blocks, each computed into a shard by a process of this machine or of a cluster.

``plan.py`` divides the input, ``job.py`` runs a job and resumes it, ``work.py`` is what an engine executes.
"""
