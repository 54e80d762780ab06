"""``python -m facenapi``."""

import sys

from facenapi.cli import main

sys.exit(main())
