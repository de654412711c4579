"""``python -m capsmith``."""

import sys

from capsmith.cli import main

sys.exit(main())
