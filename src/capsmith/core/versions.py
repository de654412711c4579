"""The versions of software that results depend on."""

import contextlib
import importlib.metadata
import platform

_PACKAGES = ("capsmith", "keras", "tensorflow", "jax", "torch", "numpy", "pillow", "nltk")


def installed_versions() -> dict[str, str]:
    """Returns the versions of Python, the platform and the installed packages that results depend on."""
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions
