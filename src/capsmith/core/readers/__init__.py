"""Strict readers for files that may be damaged or malicious.

Every file that capsmith opens by a name from outside is read here:

- ``regular_files``: regular files only (no pipes, no devices), up to a maximum size;
- ``json_files``: JSON of bounded depth, without repeated keys; schemas of capsmith's own files;
- ``archives``: zip archives whose members unpack to a bounded size;
- ``number_tables``: CSV of numbers, such as ``history.csv``.

``capsmith.core.readers.arrays`` reads ``.npz`` and ``.npy`` files in the same way.
"""
