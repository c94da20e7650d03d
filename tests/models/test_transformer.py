from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from scalelaws.models.parts import embedding_deviation
from scalelaws.models.shapes import BASE_WIDTH, Shape
from scalelaws.models.transformer import _query_block, hidden_states, initial_weights

IDS = torch.arange(2 * 96).view(2, 96) % 50


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_a_state_depends_on_no_later_token(positions):
    shape = Shape(2, 32, 2, 96, 50, positions)
    weights = initial_weights(shape, seed=0)
    changed = IDS.clone()
    changed[:, 70:] = 7
    before, after = (hidden_states(weights, shape, ids, torch.float32).view(2, 96, -1) for ids in (IDS, changed))
    torch.testing.assert_close(before[:, :70], after[:, :70], rtol=0, atol=1e-6)
    assert (before[:, 70:] - after[:, 70:]).abs().max() > 1e-3


def test_attention_in_blocks_equals_attention_at_once():
    q, k, v = torch.randn(3, 2, 4, 150, 16, generator=torch.Generator().manual_seed(0))
    blocks = torch.cat([_query_block(q, k, v, 4.0, start) for start in range(0, 150, 64)], dim=2)
    torch.testing.assert_close(blocks, F.scaled_dot_product_attention(q, k, v, is_causal=True))


def test_what_is_compiled_for_a_cpu_has_the_same_states_and_gradients(monkeypatch):
    shape = Shape(2, 32, 2, 96, 50)

    def states_and_gradients():
        weights = {name: w.requires_grad_(True) for name, w in initial_weights(shape, seed=0).items()}
        states = hidden_states(weights, shape, IDS, torch.float32)
        states.square().mul(torch.arange(32)).sum().backward()
        return states, [w.grad for w in weights.values()]

    plain = states_and_gradients()
    monkeypatch.setattr("torch.compiler.is_compiling", lambda: True)
    torch.testing.assert_close(states_and_gradients(), plain, rtol=1e-4, atol=1e-3)


def test_rotary_states_depend_on_distance_not_on_place():
    shape = Shape(1, 32, 2, 96, 50, "rotary")
    weights = initial_weights(shape, seed=0)
    early = hidden_states(weights, shape, torch.tensor([[1, 2, 3]]), torch.float32)
    # A sequence of which the same three tokens are the whole past: a window moved, not a longer one.
    again = hidden_states(weights, Shape(1, 32, 2, 500, 50, "rotary"), torch.tensor([[1, 2, 3]]), torch.float32)
    torch.testing.assert_close(early, again)


def test_bfloat16_follows_float32():
    shape = Shape(2, 32, 2, 96, 50)
    weights = initial_weights(shape, seed=0)
    exact = hidden_states(weights, shape, IDS, torch.float32)
    rounded = hidden_states(weights, shape, IDS, torch.bfloat16)
    assert rounded.dtype == torch.bfloat16
    assert (exact - rounded.float()).abs().mean() < 0.01


def test_weights_depend_on_the_seed_alone():
    shape = Shape(2, 32, 2, 96, 50)
    first, again, other = (initial_weights(shape, seed)["layers.0.attention_in"] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("width", [16, 40, 112])
def test_layers_do_not_drown_the_token_in_a_new_narrow_model(width):
    shape = Shape(2, width, width // 8, 128, 1000)
    weights = initial_weights(shape, seed=0)
    ids = torch.randint(1000, (8, 128), generator=torch.Generator().manual_seed(1))
    states = hidden_states(weights, shape, ids, torch.float32)
    assert F.cosine_similarity(states, weights["token_embedding"][ids.flatten()]).mean() > 0.15


def test_embeddings_start_as_gpt2s_do_at_its_widths_and_alike_at_every_width_with_mup():
    assert embedding_deviation(Shape(2, 1024, 16, 128, 1000)) == 0.02
    mup = {width: Shape(2, width, width // 16, 128, 1000, parametrization="mup") for width in (64, BASE_WIDTH, 1024)}
    assert {embedding_deviation(shape) for shape in mup.values()} == {
        embedding_deviation(replace(mup[BASE_WIDTH], parametrization="standard"))
    }
