import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scalelaws.models.exponentials import _library, can_exponentiate, exponentiate

needs_compiler = pytest.mark.skipif(not can_exponentiate(), reason="needs a C++ compiler for this processor")


@needs_compiler
@settings(deadline=None)
@given(
    rows=st.integers(1, 5), columns=st.integers(1, 600), spread=st.floats(0, 20), middle=st.floats(-60, 60),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_exponentials_are_as_near_as_their_digits(rows, columns, spread, middle, seed):
    draw = torch.Generator().manual_seed(seed)
    whole = (middle + spread * torch.randn(rows, columns + 3, generator=draw)).clamp(-80, 80).bfloat16()
    logits, before, beside = whole[:, :columns], whole[:, :columns].double(), whole[:, columns:].clone()
    sums = torch.ones(rows)
    exponentiate(logits, sums)
    torch.testing.assert_close(logits.double(), before.exp(), rtol=2**-8, atol=0)
    torch.testing.assert_close(sums.double(), 1 + before.exp().sum(1), rtol=1e-5, atol=0)
    assert torch.equal(whole[:, columns:], beside)


@needs_compiler
@pytest.mark.parametrize("logit", [math.nan, -math.nan, math.inf, -math.inf, 89, 200, 3e7, 1e38, -200, -1e9, -1e17])
def test_what_has_no_exponential_is_seen_in_the_sum(logit):
    sums = torch.zeros(1)
    exponentiate(torch.full((1, 40), logit).bfloat16(), sums)
    assert not 1e-32 < sums.item() < 1e32


@pytest.mark.parametrize("compiler", ["no-such-compiler", "false", "true"])
def test_without_a_compiler_that_can_there_are_none(monkeypatch, compiler):
    monkeypatch.setenv("CXX", compiler)
    with pytest.warns(UserWarning, match="bfloat16 exponentials are PyTorch's, which are slower"):
        assert _library.__wrapped__() is None
