import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from scalelaws.models.families import hidden_states, initial_weights, output_weight, weight_shapes
from scalelaws.models.shapes import Shape, shape_of
from torch.utils.flop_counter import FlopCounterMode

TRANSFORMER = Shape(2, 32, 2, 96, 50)
SHAPES = {
    "transformer": TRANSFORMER,
    "untied": replace(TRANSFORMER, tied=False),
    "narrow feed-forward": replace(TRANSFORMER, feed_forward_ratio=1.5),
    "rotary": replace(TRANSFORMER, positions="rotary"),
    "mup": replace(TRANSFORMER, parametrization="mup"),
    "universal": replace(TRANSFORMER, family="universal", n_layer=1, recurrence=3),
    "lstm": Shape(2, 32, 0, 96, 50, "none", "lstm"),
}
IDS = torch.arange(2 * 96).view(2, 96) % 50


@pytest.fixture(params=SHAPES)
def shape(request):
    return SHAPES[request.param]


def states(shape, ids=IDS, weights=None, dtype=torch.float32):
    return hidden_states(weights or initial_weights(shape, seed=0), shape, ids, dtype).view(*ids.shape, -1)


def test_counts_equal_the_weights(shape):
    sizes = {name: math.prod(size) for name, size in weight_shapes(shape).items()}
    embeddings = sum(size for name, size in sizes.items() if name.endswith("embedding"))
    assert shape.embedding_parameters == embeddings
    assert shape.parameters == sum(sizes.values()) - embeddings
    assert {name: tuple(w.shape) for name, w in initial_weights(shape, 0).items()} == weight_shapes(shape)


def test_flops_are_those_of_the_products_that_torch_counts(monkeypatch):
    # What is compiled on a CPU is attention in plain products, which can be counted; PyTorch's own cannot.
    monkeypatch.setattr("torch.compiler.is_compiling", lambda: True)
    for shape in (SHAPES["untied"], SHAPES["narrow feed-forward"], SHAPES["universal"]):
        # Attention in blocks of 64 queries goes through 64/2 keys more than causality needs.
        blocks = 2 * shape.n_layer * shape.recurrence * 64 * shape.d_model
        assert counted_flops(replace(shape, context=128)) == replace(shape, context=128).forward_flops + blocks
    gates = 2 * 2 * 4 * 32 * 32  # of one step of one LSTM layer, which torch's fused kernel does not report
    assert SHAPES["lstm"].forward_flops == 2 * gates + 2 * 50 * 32


def counted_flops(shape):
    weights = initial_weights(shape, 0)
    with FlopCounterMode(display=False) as counter:
        ids = torch.zeros((1, shape.context), dtype=torch.int64)
        _ = hidden_states(weights, shape, ids, torch.float32) @ output_weight(weights, shape).T
    return counter.get_total_flops() / shape.context


def test_a_state_depends_on_no_later_token(shape):
    changed = IDS.clone()
    changed[:, 70:] = 7
    before, after = states(shape), states(shape, changed)
    torch.testing.assert_close(before[:, :70], after[:, :70], rtol=0, atol=1e-6)
    assert (before[:, 70:] - after[:, 70:]).abs().max() > 1e-3


def test_a_state_depends_on_the_first_token(shape):
    changed = IDS.clone()
    changed[:, 0] = 7
    assert (states(shape)[:, 5] - states(shape, changed)[:, 5]).abs().max() > 1e-6


def test_bfloat16_follows_float32(shape):
    rounded = states(shape, dtype=torch.bfloat16)
    assert rounded.dtype == torch.bfloat16
    assert (states(shape) - rounded.float()).abs().mean() < 0.01 * shape.output_scale


def test_a_universal_transformer_that_goes_once_is_a_transformer():
    once = replace(TRANSFORMER, n_layer=1)
    assert torch.equal(states(replace(once, family="universal", recurrence=1)), states(once))


def test_a_universal_transformer_is_a_transformer_whose_layers_have_equal_weights():
    shape = SHAPES["universal"]
    weights = initial_weights(shape, 0)
    for layer in (1, 2):
        weights |= {n.replace(".0.", f".{layer}."): w for n, w in weights.items() if n.startswith("layers.0.")}
    deep = replace(TRANSFORMER, n_layer=3)
    assert torch.equal(states(shape), states(deep, weights=weights))
    assert shape.applied_parameters == deep.parameters == 3 * shape.parameters
    assert shape.forward_flops == deep.forward_flops


def test_the_lstm_is_that_of_torch():
    shape = SHAPES["lstm"]
    weights = initial_weights(shape, 0)
    plain = torch.nn.LSTM(32, 32, num_layers=2, batch_first=True)
    for layer in range(2):
        ours = [weights[f"layers.{layer}.{part}"] for part in ("input", "recurrent", "bias")]
        for part, value in zip(("weight_ih", "weight_hh", "bias_ih"), ours, strict=True):
            getattr(plain, f"{part}_l{layer}").data.copy_(value)
        getattr(plain, f"bias_hh_l{layer}").data.zero_()
    embedded = weights["token_embedding"][IDS]
    expected = rms_normed(plain(rms_normed(embedded))[0])
    torch.testing.assert_close(states(shape), expected.detach())


def test_the_lstm_follows_its_equations():
    shape = replace(SHAPES["lstm"], n_layer=1)
    weights = initial_weights(shape, 3)
    x = rms_normed(weights["token_embedding"][IDS])
    h = c = torch.zeros(2, 32)
    for t in range(96):
        gates = x[:, t] @ weights["layers.0.input"].T + h @ weights["layers.0.recurrent"].T + weights["layers.0.bias"]
        enter, keep, cell, leave = gates.chunk(4, dim=1)
        c = torch.sigmoid(keep) * c + torch.sigmoid(enter) * torch.tanh(cell)
        h = torch.sigmoid(leave) * torch.tanh(c)
    torch.testing.assert_close(states(shape, weights=weights)[:, -1], rms_normed(h))
    assert (weights["layers.0.bias"].view(4, 32) == torch.tensor([0.0, 1.0, 0.0, 0.0])[:, None]).all()


def rms_normed(x):
    return F.rms_norm(x, x.shape[-1:], eps=1e-6)


@pytest.mark.parametrize("family", ["universal", "lstm"])
@pytest.mark.parametrize("target", [3e3, 1e5, 4e7])
def test_a_shape_of_every_family_is_found_near_every_size(family, target):
    shape = shape_of(target, 128, 4096, family=family, recurrence=6 if family == "universal" else 1)
    assert abs(math.log(shape.parameters / target)) < 0.35
    assert shape.name.startswith(family)
    weight_shapes(shape)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"aspect_ratio": 4}, lambda s: 2 < s.d_model / s.n_layer < 8),
        ({"aspect_ratio": 100}, lambda s: s.d_model / s.n_layer > 50),
        ({"head_size": 8}, lambda s: s.d_model == 8 * s.n_head),
        ({"feed_forward_ratio": 1.0}, lambda s: s.d_feed_forward == s.d_model),
    ],
)
def test_a_sweep_of_shapes_keeps_the_size(asked, found):
    shape = shape_of(4e5, 128, 4096, **asked)
    assert found(shape), shape
    assert abs(math.log(shape.parameters / 4e5)) < 0.2
