"""Methods as data: names, controls, and what they cost in epochs."""

import json

import pytest

from keras_dsd import patterns, phases, studies
from keras_dsd.studies import methods

pytestmark = pytest.mark.one_backend


@pytest.mark.parametrize("name", methods.names())
@pytest.mark.parametrize("epochs", [10, 17])
def test_built_in_methods_fill_the_epochs_and_come_back(name, epochs):
    method = methods.get(name, epochs)
    assert method.epochs in (None, epochs)
    config = json.loads(json.dumps(method.get_config()))
    assert studies.Method.from_config(config) == method


def test_sparsity_in_the_name():
    assert methods.get("rigl-0.9", 9).phases[0].sparsity == 0.9
    assert methods.get("rigl-0.9", 9).track_gradients
    assert not methods.get("set", 9).track_gradients
    assert methods.get("dsd", 9).phases[1].sparsity == 0.3


def test_controls_have_the_same_lengths_and_rates():
    for control, method in (("lowered", "dsd"), ("restarts", "restart")):
        mine, theirs = methods.get(control, 20).phases, methods.get(method, 20).phases
        assert [(p.epochs, p.lr_factor) for p in mine] == [
            (p.epochs, p.lr_factor) for p in theirs
        ]
        assert all(isinstance(p, phases.Dense) for p in mine)


@pytest.mark.parametrize(
    ("wanted", "received"),
    [
        (["dsd", "dsd"], "listed twice"),
        (["dsdd"], "Known: .*'acdc'.*Received: method='dsdd'"),
        (["conventional-0.5"], "has no sparsity"),
        (["dsd-1.5"], "Method 'dsd-1.5'"),
        (["dsdsd"], "Method 'dsdsd': .*Received: epochs=3"),
        ({"a b": "dsd"}, "Received: method='a b'"),
        ({"mine": studies.Method(phases=phases.dsd(9))}, "train for 3 epochs"),
        ([], "at least one"),
    ],
)
def test_bad_methods(wanted, received):
    with pytest.raises(ValueError, match=received):
        methods.resolve(wanted, epochs=3)


def test_a_method_without_phases_has_nothing_to_make_prunable():
    with pytest.raises(ValueError, match="Received: wrap="):
        studies.Method(wrap={"exclude": "logits"})
    with pytest.raises(TypeError, match="Received: phases="):
        studies.Method(phases=["dense"])


def test_acdc_ends_sparse_as_in_the_paper_or_dense():
    kinds = [type(p).__name__ for p in phases.acdc(9, cycles=2, end="dense")]
    assert kinds == ["Dense", "Sparse", "Redense", "Sparse", "Redense"]
    assert phases.acdc(9, cycles=2)[-1].sparsity == 0.8
    assert sum(p.epochs for p in phases.restart(13, cycles=2)) == 13
    with pytest.raises(ValueError, match="Received: epochs=4"):
        phases.acdc(4, cycles=2, end="dense")


def test_blocks_for_litert_end_sparse():
    first, last = phases.recipe("litert-blocks", 10, sparsity=0.7)
    assert (first.epochs, last.epochs, last.sparsity) == (3, 7, 0.7)
    assert last.is_sparse and last.pattern == patterns.Block((4, 1))
    with pytest.raises(ValueError, match="Received: epochs=1"):
        phases.recipe("litert-blocks", 1)
