"""Strict readers of files that somebody may have damaged, or made to do harm.

Whatever capsmith opens by a name that it was given passes through here:

- ``regular_files``: opens files only (no pipes, no devices), and bounds what is read as a whole;
- ``json_files``: JSON of bounded depth, without repeated keys; schemas of our own files;
- ``archives``: zip archives whose members do not unpack to more than they should;
- ``number_tables``: CSV of numbers, such as ``history.csv``.

``capsmith.core.readers.arrays`` reads ``.npz`` and ``.npy`` files in the same way.
"""
