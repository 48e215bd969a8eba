"""When a step must not count: a loss that is not finite, or far above what the last steps had.

The window and the six deviations are those of Levanter's skip-step optimiser and of what PaLM's training did by hand
(https://arxiv.org/abs/2204.02311, section 5.1): leave the update out, go on with other data, blame nobody.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

WINDOW = 128
"""Accepted losses that a new one is compared with; fewer than half of them say nothing yet."""

SIGMAS = 6.0

SKIPS_ALLOWED = 10
"""Skipped updates in `SPAN` steps, from which on training goes back."""

SPAN = 100

ROLLBACKS_ALLOWED = 3


def is_spike(loss: float, accepted: Sequence[float]) -> bool:
    """Whether a finite loss lies more than six deviations above the accepted ones.

    Where they hardly differ, a tenth of their mean counts as the deviation: small losses vary by their nature.

    >>> is_spike(70.0, [1.0, 1.1] * 40), is_spike(1.5, [1.0, 1.1] * 40), is_spike(70.0, [1.0, 1.1] * 10)
    (True, False, False)
    """
    if len(accepted) < WINDOW // 2:
        return False
    mean = statistics.fmean(accepted)
    deviation = math.sqrt(statistics.fmean((x - mean) ** 2 for x in accepted))
    return loss > mean + SIGMAS * max(deviation, 0.1 * abs(mean))


def keep(accepted: list[float], loss: float) -> None:
    """Adds an accepted loss to the window, in place."""
    accepted.append(loss)
    del accepted[:-WINDOW]
