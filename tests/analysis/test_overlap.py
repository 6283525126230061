"""`analysis.overlap` and `agreement`: IoU as by hand, chance as it comes about."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from matplotlib import pyplot as plt
from scipy import stats

from keras_dsd import analysis
from tests import helpers

pytestmark = pytest.mark.one_backend


@st.composite
def runs(draw, at_least=2):
    """Draws masks of two weights at two to five moments."""
    shapes = {
        path: draw(arrays.array_shapes(min_dims=1, max_dims=3, max_side=5))
        for path in "ab"
    }
    return [
        {path: draw(arrays.arrays(bool, shape)) for path, shape in shapes.items()}
        for _ in range(draw(st.integers(at_least, 5)))
    ]


def iou(one, other):
    """Returns the IoU of two masks, connection by connection."""
    both = sum(bool(a and b) for a, b in zip(one.flat, other.flat, strict=True))
    either = sum(bool(a or b) for a, b in zip(one.flat, other.flat, strict=True))
    return both / either if either else 1.0


@settings(max_examples=30)
@given(runs())
def test_iou_is_that_by_hand(moments):
    found = analysis.overlap(moments)
    assert found.paths == ["a", "b"]
    for path in [None, "a", "b"]:
        flat = [
            np.concatenate([m[key].ravel() for key in ([path] if path else "ab")])
            for m in moments
        ]
        wanted = [[iou(one, other) for other in flat] for one in flat]
        np.testing.assert_allclose(found.iou(path), wanted, rtol=1e-12)


def test_chance_is_what_random_masks_share(rng):
    sizes, kept = {"a": 400, "b": 900}, {"a": (40, 200), "b": (300, 90)}

    def drawn(run):
        masks = {}
        for path, size in sizes.items():
            masks[path] = np.zeros(size, bool)
            masks[path][rng.choice(size, kept[path][run], replace=False)] = True
        return masks

    found = [analysis.overlap([drawn(0), drawn(1)]) for _ in range(300)]
    for path in [None, "a", "b"]:
        ious = np.array([one.iou(path)[0, 1] for one in found])
        error = ious.std() / np.sqrt(len(ious))
        assert abs(ious.mean() - found[0].chance(path)[0, 1]) < 4 * error + 1e-3
        deviations = np.array([one.deviations(path)[0, 1] for one in found])
        assert abs(deviations.mean()) < 0.25
        assert abs(deviations.std() - 1) < 0.15
    shared = stats.hypergeom(400, 40, 200)
    one = found[0].shared["a"][0, 1]
    np.testing.assert_allclose(
        found[0].deviations("a")[0, 1], (one - shared.mean()) / shared.std()
    )


def test_layers_that_differ_in_sparsity_agree_no_more_for_it(rng):
    masks = [
        {"a": rng.random(20_000) < 0.9, "b": rng.random(20_000) < 0.02}
        for _ in range(2)
    ]
    found = analysis.agreement(masks)
    (together, *_) = found.table()
    assert together["iou"] > 0.7  # of masks with nothing in common but their sparsities
    assert abs(together["iou"] - together["chance"]) < 0.01
    assert abs(together["deviations"]) < 4


def test_agreement_is_the_mean_over_pairs():
    a, b, c = ({"a": np.arange(8) < n} for n in (2, 4, 8))
    found = analysis.agreement([a, b, c])
    assert found.table()[1]["iou"] == np.mean([2 / 4, 2 / 8, 4 / 8])
    assert found.table()[1]["chance"] == pytest.approx(
        np.mean([1 / 5, 2 / 8, 4 / 8]), rel=1e-12
    )
    assert str(found).splitlines()[2].split() == ["a", "0.4167", "0.3167", "nan"]
    assert (
        json.loads(json.dumps(found.to_dict(), allow_nan=False))["table"][1][
            "deviations"
        ]
        is None
    )


def test_runs_of_models_that_one_process_built():
    found = analysis.agreement([helpers.mlp(), helpers.mlp(), helpers.mlp()])
    assert [row["iou"] for row in found.table()] == [1.0, 1.0, 1.0]
    assert len(found.overlap.labels) == 3


def test_it_is_drawn_and_written():
    masks = [{"a": np.arange(40) < n} for n in range(1, 31)]
    for found in (analysis.overlap(masks), analysis.agreement(masks)):
        figure = found.plot()
        assert figure.axes
        _, ax = plt.subplots()
        assert found.plot(ax=ax) is ax.figure
        json.dumps(found.to_dict(), allow_nan=False)
    drawn = analysis.overlap(masks).plot(path="a").axes[0]
    np.testing.assert_array_equal(
        drawn.images[0].get_array(), analysis.overlap(masks).iou("a")
    )
    plt.close("all")


def test_a_weight_that_is_not_there_is_refused():
    found = analysis.overlap([{"a": np.ones(3, bool)}] * 2)
    for method in (found.iou, found.chance, found.deviations):
        with pytest.raises(ValueError, match=r"Known: \['a'\]\. Received: path='b'$"):
            method("b")
