"""Batches whose loss cannot be right: their updates are left out, and a run that goes on like that is lost."""

import math
import statistics
from collections.abc import Sequence

SPIKE_WINDOW = 128
"""Losses of so many updates say what is usual."""
SPIKE_FIRST = 32
"""With fewer than this nothing is called a spike."""
SPIKE_DEVIATIONS, SPIKE_NATS = 6.0, 0.5
"""A spike lies so many standard deviations and so many nats above the mean of the window (OLMo's rule, and a floor for
runs whose losses hardly vary)."""
SPIKES_TO_DIVERGE = 20


def is_spike(recent: Sequence[float], loss: float) -> bool:
    """Whether a batch's loss lies beyond what the losses before it allow."""
    if len(recent) < SPIKE_FIRST:
        return False
    mean = statistics.fmean(recent)
    return loss > mean + max(SPIKE_DEVIATIONS * statistics.pstdev(recent, mean), SPIKE_NATS)


def has_diverged(recent: Sequence[float], spikes_in_a_row: int, vocabulary: int) -> bool:
    """Whether a run is lost: too many spikes in a row, or batches that go worse than guessing evenly."""
    guessing = math.log(vocabulary) + SPIKE_NATS
    return spikes_in_a_row >= SPIKES_TO_DIVERGE or (len(recent) == SPIKE_WINDOW and statistics.fmean(recent) > guessing)
