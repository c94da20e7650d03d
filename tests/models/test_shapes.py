import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scalelaws.models.shapes import Shape, shape_of
from scalelaws.models.transformer import weight_shapes


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_counts_equal_the_weights(positions):
    shape = Shape(n_layer=3, d_model=48, n_head=3, context=32, vocabulary=500, positions=positions)
    sizes = {name: math.prod(size) for name, size in weight_shapes(shape).items()}
    embeddings = sum(size for name, size in sizes.items() if "embedding" in name)
    assert shape.embedding_parameters == embeddings
    assert shape.parameters == sum(sizes.values()) - embeddings


def test_known_models_come_out_at_their_published_size():
    assert Shape(12, 768, 12, 1024, 50257).parameters == 84_934_656  # GPT-2 small without embeddings
    assert Shape(48, 1600, 25, 1024, 50257).parameters == 1_474_560_000  # GPT-2 XL
    assert Shape(1, 8, 1, 1024, 50257).parameters == 768  # the smallest model of Kaplan et al. 2020


@given(st.floats(768, 1.5e9))
def test_a_shape_of_moderate_aspect_is_found_near_every_size(target):
    shape = shape_of(target, context=1024, vocabulary=50257)
    assert abs(math.log(shape.parameters / target)) < 0.4
    assert shape.d_model % shape.n_head == 0
    assert 2 <= shape.d_model / shape.n_layer <= 150


@pytest.mark.parametrize("head_size", [46, 130, 200])
@pytest.mark.parametrize("target", [1e6, 1e7, 1e8, 1e9])
def test_a_head_of_any_size_leaves_widths_for_every_size(head_size, target):
    shape = shape_of(target, context=1024, vocabulary=50257, head_size=head_size)
    assert shape.d_model == head_size * shape.n_head
    assert abs(math.log(shape.parameters / target)) < 0.2
    assert shape.d_model / shape.n_layer > 20


@pytest.mark.parametrize("head_size", [8, 32, 64])
def test_heads_of_a_common_size_have_the_widths_that_are_taken_without_one(head_size):
    plain, given_heads = (
        shape_of(4e6, context=1024, vocabulary=50257, aspect_ratio=48, head_size=size) for size in (None, head_size)
    )
    assert (given_heads.n_layer, given_heads.d_model) == (plain.n_layer, plain.d_model)


@given(st.floats(1e5, 1e9), st.floats(1.05, 3))
def test_a_larger_target_never_gives_a_smaller_model(target, factor):
    smaller, larger = (shape_of(N, context=1024, vocabulary=50257).parameters for N in (target, target * factor))
    assert smaller <= larger
