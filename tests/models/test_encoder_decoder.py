"""The packed encoder-decoder against one that is written plainly for one pair, and what must not leak into what."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from scalelaws.models.encoder_decoder import hidden_states, initial_weights, layout, weight_shapes
from scalelaws.models.families import output_weight
from scalelaws.models.shapes import Shape, shape_of
from torch import nn

LEARNED = Shape(5, 32, 2, 48, 40, family="encoder_decoder", encoder_layers=2)
SHAPES = {
    "learned": LEARNED,
    "rotary": replace(LEARNED, positions="rotary"),
    "untied, narrow": replace(LEARNED, tied=False, feed_forward_ratio=1.5),
    "mup": replace(LEARNED, parametrization="mup"),
}
TARGET, END = 39, 38
PAIRS = [([3, 1, 4, 1, 5], [9, 2, 6]), ([7], [1, 8, 2, 8, 1, 8, 2, 8, 4]), ([2, 7, 1, 8, 2, 8], [0, 0, 7])]


@pytest.fixture(params=SHAPES)
def shape(request):
    return SHAPES[request.param]


def stream(pairs):
    return [token for source, target in pairs for token in (*source, TARGET, *target, END)]


def large_weights(shape):
    """Weights under which every part of the model matters."""
    return {name: 3 * weight for name, weight in initial_weights(shape, 0).items()}


def packed_losses(shape, ids, weights):
    """The loss of the token after each of a window's but the last."""
    hidden = hidden_states(weights, shape, torch.tensor([ids]), torch.float32) * shape.output_scale
    return F.cross_entropy(hidden[:-1] @ output_weight(weights, shape).T, torch.tensor(ids[1:]), reduction="none")


class PlainAttention(nn.Module):
    """Attention head by head, every query before any mask."""

    def __init__(self, shape, query, key, value, out):
        super().__init__()
        self.shape, self.matrices = shape, (query, key, value, out)

    def forward(self, x, y, causal):
        query, key, value, out = self.matrices
        heads = []
        for q, k, v in zip(
            *(z.chunk(self.shape.n_head, 1) for z in (x @ query.T, y @ key.T, y @ value.T)), strict=True
        ):
            if self.shape.positions == "rotary":
                q, k = turned(q), turned(k)
            scores = q @ k.T / self.shape.attention_divisor
            if causal:
                scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -math.inf)
            heads.append(scores.softmax(1) @ v)
        return torch.cat(heads, 1) @ out.T


def turned(x):
    """Rotary positions as products of complex numbers."""
    half = x.shape[1] // 2
    angles = torch.arange(len(x))[:, None] * 10_000.0 ** (-torch.arange(half) / half)
    return (
        torch.view_as_real(torch.complex(x[:, :half], x[:, half:]) * torch.exp(1j * angles)).permute(0, 2, 1).flatten(1)
    )


class PlainPair(nn.Module):
    """One pair at a time, no masks but the causal one: the losses of a target's tokens and of its end id."""

    def __init__(self, shape, weights):
        super().__init__()
        self.shape, self.weights = shape, weights

    def attention(self, layer, query, out, x, y, causal=False):
        w = {part: self.weights[f"layers.{layer}.{part}"] for part in (query, out)}
        if query == "across_query":
            matrices = (w[query], *self.weights[f"layers.{layer}.across_in"].chunk(2))
        else:
            matrices = w[query].chunk(3)
        return PlainAttention(self.shape, *matrices, w[out])(x, y, causal)

    def feed_forward(self, layer, x):
        inner = nn.GELU("tanh")(rms(x) @ self.weights[f"layers.{layer}.feed_forward_in"].T)
        return x + inner @ self.weights[f"layers.{layer}.feed_forward_out"].T

    def embedded(self, ids):
        x = self.weights["token_embedding"][torch.tensor(ids)]
        return x + self.weights["position_embedding"][: len(ids)] if self.shape.positions == "learned" else x

    def forward(self, source, target):
        x = self.embedded(source)
        for layer in range(self.shape.encoder_layers):
            x = x + self.attention(layer, "attention_in", "attention_out", rms(x), rms(x))
            x = self.feed_forward(layer, x)
        memory = rms(x)
        y = self.embedded([TARGET, *target])
        for layer in range(self.shape.encoder_layers, self.shape.n_layer):
            y = y + self.attention(layer, "attention_in", "attention_out", rms(y), rms(y), causal=True)
            y = y + self.attention(layer, "across_query", "across_out", rms(y), memory)
            y = self.feed_forward(layer, y)
        logits = rms(y) * self.shape.output_scale @ output_weight(self.weights, self.shape).T
        return nn.CrossEntropyLoss(reduction="none")(logits, torch.tensor([*target, END]))


def rms(x):
    return F.rms_norm(x, x.shape[-1:], eps=1e-6)


def test_losses_of_a_packed_window_are_those_of_one_pair_at_a_time(shape):
    weights = large_weights(shape)
    packed, end = packed_losses(shape, stream(PAIRS), weights), 0
    for source, target in PAIRS:
        begin, end = end + len(source), end + len(source) + len(target) + 2
        torch.testing.assert_close(
            packed[begin : end - 1], PlainPair(shape, weights)(source, target), rtol=1e-4, atol=1e-4
        )


def test_gradients_of_a_packed_window_are_those_of_one_pair_at_a_time(shape):
    weights = {name: w.requires_grad_(True) for name, w in initial_weights(shape, 0).items()}
    ids = torch.tensor(stream(PAIRS))
    predicted = layout(ids[None], TARGET, END).in_target[0] & (ids != END)
    packed = torch.autograd.grad(packed_losses(shape, ids.tolist(), weights)[predicted[:-1]].sum(), weights.values())
    one_by_one = sum(PlainPair(shape, weights)(*pair).sum() for pair in PAIRS)
    for name, ours, plain in zip(weights, packed, torch.autograd.grad(one_by_one, weights.values()), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-3, atol=1e-4, msg=name)


def test_a_token_knows_its_pair_its_half_and_its_place():
    found = layout(torch.tensor([[8, END, 3, 1, TARGET, 9, 2, END, 7, TARGET, 5], [7] * 11]), TARGET, END)
    assert found.pair.tolist() == [[0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2], [0] * 11]
    assert found.in_target.int().tolist() == [[1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1], [1] * 11]
    assert found.place.tolist() == [[0, 1, 0, 1, 0, 1, 2, 3, 0, 0, 1], list(range(11))]
    assert layout(torch.tensor([[4, 4, TARGET]]), TARGET, END).in_target.tolist() == [[False, False, True]]


def changes(shape, place, token):
    """How much the loss after each token changes where one token of the stream is another."""
    ids = stream(PAIRS)
    changed = [*ids[:place], token, *ids[place + 1 :]]
    weights = large_weights(shape)
    return (packed_losses(shape, ids, weights) - packed_losses(shape, changed, weights)).abs()


def test_a_later_token_of_the_target_and_another_pair_change_nothing(shape):
    found = changes(shape, 14, 33)  # of the second pair, whose target is predicted from 11 to 20
    assert found[:13].max() == 0, "the pair before, and what comes before in its own"
    assert found[13] > 1e-3, "the token itself is another"
    assert found[14:21].min() > 1e-5, "those behind it see it"
    assert found[28:].max() == 0, "the next pair's target"


def test_the_source_changes_all_of_its_own_target_and_no_other(shape):
    found = changes(shape, 2, 33)
    assert found[5:9].min() > 1e-5
    assert found[11:21].max() == 0 and found[28:].max() == 0


def test_a_target_whose_source_is_cut_off_sees_what_is_left_of_it(shape):
    weights = large_weights(shape)
    losses = packed_losses(shape, stream(PAIRS)[3:], weights)
    source, target = PAIRS[0]
    torch.testing.assert_close(losses[2:6], PlainPair(shape, weights)(source[3:], target), rtol=1e-4, atol=1e-4)
    nothing = packed_losses(shape, [9, 2, 6, END, *stream(PAIRS[1:])], weights)
    assert torch.isfinite(nothing).all()
    source, target = PAIRS[1]
    torch.testing.assert_close(nothing[5:15], PlainPair(shape, weights)(source, target), rtol=1e-4, atol=1e-4)


def test_counts_equal_the_weights(shape):
    sizes = {name: math.prod(size) for name, size in weight_shapes(shape).items()}
    embeddings = sum(size for name, size in sizes.items() if name.endswith("embedding"))
    encoder = sum(size for name, size in sizes.items() if name.startswith(("layers.0.", "layers.1.")))
    assert shape.embedding_parameters == embeddings
    assert shape.halves == {"encoder_parameters": encoder, "decoder_parameters": shape.parameters - encoder}
    assert shape.parameters == sum(sizes.values()) - embeddings


def test_at_ratio_four_an_encoder_layer_has_twelve_widths_squared_and_a_decoder_layer_sixteen():
    assert LEARNED.parameters == (2 * 12 + 3 * 16) * 32**2
    base = Shape(12, 512, 8, 512, 37_000, family="encoder_decoder", encoder_layers=6, feed_forward_ratio=4.0)
    assert base.parameters == 44_040_192  # the base model of Vaswani et al. 2017: 63M less 19M of embeddings


@pytest.mark.parametrize("share", [0.25, 1 / 3, 0.5])
@pytest.mark.parametrize("target", [3e3, 1e5, 4e7])
def test_a_shape_is_found_near_every_size_and_has_exactly_its_share(target, share):
    shape = shape_of(target, 128, 4096, family="encoder_decoder", encoder_share=share)
    assert shape.encoder_layers / shape.n_layer == pytest.approx(share)
    assert abs(math.log(shape.parameters / target)) < 0.35
    assert (
        shape.name == f"encoder_decoder-{shape.encoder_layers}+{shape.n_layer - shape.encoder_layers}L{shape.d_model}d"
    )


def test_flops_are_those_of_the_products(monkeypatch):
    def plain(q, k, v, attn_mask, scale):
        return torch.softmax((q @ k.transpose(-1, -2) * scale).masked_fill(~attn_mask, -math.inf), -1) @ v

    from torch.utils.flop_counter import FlopCounterMode

    monkeypatch.setattr(F, "scaled_dot_product_attention", plain)
    with FlopCounterMode(display=False) as counter:
        weights = initial_weights(LEARNED, 0)
        ids = torch.zeros((1, LEARNED.context), dtype=torch.int64)
        _ = hidden_states(weights, LEARNED, ids, torch.float32) @ output_weight(weights, LEARNED).T
    assert counter.get_total_flops() / LEARNED.context == LEARNED.forward_flops


def test_bfloat16_follows_float32(shape):
    weights, ids = initial_weights(shape, 0), torch.tensor([stream(PAIRS)])
    exact, rounded = (hidden_states(weights, shape, ids, dtype) for dtype in (torch.float32, torch.bfloat16))
    assert rounded.dtype == torch.bfloat16
    assert (exact - rounded.float()).abs().mean() < 0.01
