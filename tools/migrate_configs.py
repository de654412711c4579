"""Rewrites saved configs of earlier versions with today's keys; leading comments stay.

python -m tools.migrate_configs results/**/config.yaml
"""

import sys
from pathlib import Path

from capsmith.config import Config, validate
from capsmith.core.files import write_text
from capsmith.core.migrations import migrate
from capsmith.core.yaml_io import dump_yaml, read_yaml


def migrate_file(path: Path) -> bool:
    """Rewrites one config; returns whether it changed.

    Raises:
        ConfigError: The file is not a config of any version.
    """
    old = read_yaml(path)
    new = migrate(old, Config)
    validate(new, str(path))
    if new == old:
        return False
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    comments = [line for line in lines[: next(n for n, line in enumerate(lines) if not line.startswith("#"))]]
    write_text(path, "".join(comments) + dump_yaml(new))
    return True


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"{name}: {'migrated' if migrate_file(Path(name)) else 'unchanged'}")
