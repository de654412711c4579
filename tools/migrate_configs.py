"""Rewrites kept configs, and the decoding sections of kept scores, with today's keys; leading comments stay.

python -m tools.migrate_configs [FOLDER …]        # default: results
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capsmith.config import Config, validate
from capsmith.core.files import write_text
from capsmith.core.migrations import migrate
from capsmith.core.yaml_io import dump_yaml, read_yaml
from tools.paths import RESULTS


def migrated(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a kept config with today's keys."""
    decoding = dict(values["decoding"])
    if decoding.get("rerank") == "none":  # a key of one unreleased version, which some results were made with
        del decoding["rerank"]
    return migrate({**values, "decoding": decoding}, Config)


def migrate_config(path: Path) -> bool:
    """Rewrites one config; returns whether it changed.

    Raises:
        ConfigError: The file is not a config of any version.
    """
    old = read_yaml(path)
    new = migrated(old)
    validate(new, str(path))
    if new == old:
        return False
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    write_text(path, "".join(lines[:first]) + dump_yaml(new))
    return True


def migrated_decoding(decoding: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the decoding section of a config with today's keys."""
    section: dict[str, Any] = migrated({"decoding": decoding})["decoding"]
    return section


def migrate_scores(path: Path) -> bool:
    """Rewrites the decoding section of a ``scores.json``; returns whether it changed."""
    text = path.read_text(encoding="utf-8")
    scores = json.loads(text)
    decoding = migrated_decoding(scores["decoding"])
    if decoding == scores["decoding"]:
        return False
    end = "\n" if text.endswith("\n") else ""
    write_text(path, json.dumps(scores | {"decoding": decoding}, indent=2, ensure_ascii=False) + end)
    return True


def main() -> None:
    """Migrates all configs and scores in folders."""
    folders = [Path(name) for name in sys.argv[1:]] or [RESULTS]
    configs = [path for folder in folders for path in sorted(folder.rglob("config.yaml"))]
    scores = [path for folder in folders for path in sorted(folder.rglob("scores.json"))]
    print(f"{sum(map(migrate_config, configs))} of {len(configs)} configs migrated")
    print(f"{sum(map(migrate_scores, scores))} of {len(scores)} scores migrated")


if __name__ == "__main__":
    main()
