"""What runs are trained on, by name: how fast it is, and what it holds."""

import math
import re
from dataclasses import dataclass

from scalelaws.errors import InputError


@dataclass(frozen=True)
class Device:
    """One core, or one GPU."""

    flops_per_second: float
    """FLOP/s of training that a plan expects: 40% of a GPU's bfloat16 peak, 25% of that of a core that has it."""
    slow_flops_per_second: float
    """What time is asked for by: any core of the last ten years in float32, a third of what is expected of a GPU."""
    layer_seconds: float
    """What an update takes for each layer at least, however small the model is; allowed for, not measured."""
    gpu_bytes: float
    """A GPU's own memory; infinite for a core, which shares its node's."""
    tokens_at_once: int
    """Tokens of a batch that go through the model together."""


DEVICES = {
    "CPU core": Device(1e11, 1e10, 5e-4, math.inf, 8192),
    "A100": Device(1.25e14, 4e13, 2e-3, 80e9, 65_536),
    "H100": Device(4e14, 1.3e14, 2e-3, 80e9, 65_536),
    "H200": Device(4e14, 1.3e14, 2e-3, 141e9, 65_536),
}
WRITTEN = re.compile(rf"(?:(\d+) *x *)?(?:(\d+) +)?({'|'.join(DEVICES)})s?")


@dataclass(frozen=True)
class Hardware:
    """What one run may take at most: so many devices of each of so many nodes."""

    name: str
    devices_per_node: int = 1
    nodes: int = 1

    @property
    def device(self) -> Device:
        """What is known of one device."""
        return DEVICES[self.name]

    @property
    def has_gpus(self) -> bool:
        """Whether the devices are GPUs."""
        return math.isfinite(self.device.gpu_bytes)


def hardware_of(text: str) -> Hardware:
    """Hardware as people write it: "CPU core", "8 H100", "4 x 8 H100" (nodes x devices of each). Raises InputError."""
    found = WRITTEN.fullmatch(text.strip())
    if found is None or "0" in found.groups():
        known = ", ".join(DEVICES)
        raise InputError("config: hardware", f"{text!r} is not known", f"Write it as 4 x 8 H100; there are {known}.")
    nodes, devices, name = found.groups()
    return Hardware(name, int(devices or 1), int(nodes or 1))
