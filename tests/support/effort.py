"""How long the longest tests take: scripts/test has a short form of each, FACENAPI_TEST_LONG=1 the long one."""

import os

LONG = os.environ.get("FACENAPI_TEST_LONG", "") not in ("", "0")
