"""Which precision a machine multiplies in, and how fast."""

import pytest
import torch
from scalelaws.training import processes, speed
from scalelaws.training.speed import QUICK_SIZE, matrix_product_rate, native_precision, peak_rate

CPU = torch.device("cpu")


@pytest.mark.parametrize("wanted", ["bfloat16", "float32"])
def test_a_precision_that_is_named_is_taken(wanted):
    assert native_precision(wanted, CPU) == wanted


def test_without_a_wish_it_is_the_one_that_this_machine_multiplies_faster():
    """Emulated bfloat16 is tens of times slower, native bfloat16 about twice as fast: no noise hides which is which."""
    rates = {precision: matrix_product_rate(precision, 1, QUICK_SIZE // 2) for precision in ("bfloat16", "float32")}
    assert native_precision("auto", CPU) == max(rates, key=rates.__getitem__)


def test_a_run_s_share_is_that_of_all_its_devices_products(monkeypatch):
    monkeypatch.setattr(processes, "count", lambda: 4)
    monkeypatch.setattr(speed, "matrix_product_rate", lambda *asked: (seen.append(asked), 1e12)[1])
    seen = []
    assert [peak_rate("bfloat16", 1, device) for device in (CPU, torch.device("cuda", 3))] == [4e12, 4e12]
    assert [device for *_, device in seen] == [CPU, torch.device("cuda", 3)]
