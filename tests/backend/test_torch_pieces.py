"""PyTorch: what is done piece by piece comes out as if it were done at once."""

import keras
import numpy as np
import pytest

from keras_dsd import backend

if keras.backend.backend() != "torch":
    pytest.skip("written with torch", allow_module_level=True)

import torch

from keras_dsd.backend import torch_pieces

SHAPE = (3, torch_pieces.PIECE - 5)  # no whole number of pieces


def normal(seed=0, shape=SHAPE):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.standard_normal(shape, dtype="float32"))


def test_pieces_are_views_of_all_that_there_is():
    left, right, number = torch.zeros(SHAPE), normal(), torch.tensor(2.0)
    sizes = []
    for to, of, factor in torch_pieces.of(left, right, number):
        to.copy_(of * factor)
        sizes.append(to.numel())
    assert sizes == [torch_pieces.PIECE, torch_pieces.PIECE, torch_pieces.PIECE - 15]
    assert torch.equal(left, right * 2)


@pytest.mark.parametrize(
    "tensors",
    [(normal(shape=(50, 40)),), (normal(), normal().T.contiguous().T)],
    ids=["small", "scattered"],
)
def test_one_piece(tensors):
    ((*pieces,),) = torch_pieces.of(*tensors)
    assert all(one is other for one, other in zip(pieces, tensors, strict=True))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("is_scattered", [False, True])
def test_large_masks(dtype, is_scattered):
    value, mask = normal().to(getattr(torch, dtype)), normal(1) > 0
    value[0, :4] = torch.tensor([torch.nan, torch.inf, -torch.inf, -0.0])
    mask[0, :4] = False
    if is_scattered:
        value = value.T.contiguous().T
    found = backend.masked(value, mask)
    expected = torch.where(mask, value, 0.0)
    assert found.dtype == value.dtype
    assert torch.equal(found, expected)
    assert not torch.signbit(found[~mask]).any()


def test_a_compiled_step_chooses_by_the_mask():
    """Compilers fuse that; views of bits they do not all take."""
    traced = []

    def compile_nothing(graph, inputs):
        traced.extend(node.target for node in graph.graph.nodes)
        return graph

    run = torch.compile(backend.masked, backend=compile_nothing)
    value, mask = normal(), normal(1) > 0
    assert torch.equal(run(value, mask), torch.where(mask, value, 0.0))
    assert torch.where in traced


def test_elementwise():
    number = torch.tensor(3.0)

    @backend.elementwise
    def larger(value, other, number):
        """Says which."""
        return value > other * number

    value, other = normal(), normal(1)
    assert torch.equal(larger(value, other, number), value > other * 3)
    assert larger(number, number, number).shape == ()
    assert larger.__doc__ == "Says which."


def test_updates_write_where_values_lie():
    weight = keras.Variable(np.zeros(SHAPE, "float32"))
    scattered = keras.Variable(normal().T.contiguous().T)
    assert not scattered.value.is_contiguous()
    units = [[weight], [scattered]]
    places = [variable.value.data_ptr() for (variable,) in units]
    run = backend.compiled_update_each(
        lambda values, new: new, lambda values, new: [values[0] + new], units
    )
    before = [variable.value.clone() for (variable,) in units]
    run([normal(1), normal(2)])
    for seed, (old, (variable,)) in enumerate(zip(before, units, strict=True), 1):
        assert torch.equal(variable.value, old + normal(seed))
    assert places == [variable.value.data_ptr() for (variable,) in units]
