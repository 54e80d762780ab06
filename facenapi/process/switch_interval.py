"""How long a thread that computes keeps the interpreter to itself when others wait for it.

Python's own 5 ms add up over the five or so system calls of a request, so that a full server would be late in saying
that it is full; and two threads that search spend a third of their time on waiting for each other.
"""

import sys

TURN_S = 0.001


def take_short_turns() -> None:
    """Let threads of this process take turns of a millisecond."""
    sys.setswitchinterval(TURN_S)
