"""`sparsity_report`: rows, reasons, totals and bytes, of wrapped and plain models."""

import gzip

import keras
import numpy as np
import pytest
from keras import layers

import keras_dsd as dsd
from keras_dsd.analysis import sparsity
from keras_dsd.layers import conversion
from tests import helpers, zoo


def trained(sparsity=0.5, **options):
    model = dsd.make_prunable(helpers.mlp(), **options)
    model.compile("sgd", "mse", run_eagerly=True)
    x, y = helpers.data()
    phases = [dsd.phases.Sparse(1, sparsity=sparsity)]
    model.fit(x, y, callbacks=[dsd.DSDCallback(phases, verbose=0)], verbose=0)
    return model


def test_totals_and_bytes():
    model = trained()
    report = dsd.sparsity_report(model)
    values = helpers.values(model.weights)
    assert report.size == sum(value.size for value in values)
    assert report.zeros == sum(value.size - np.count_nonzero(value) for value in values)
    assert report.prunable == 12 * 16 + 16 * 4
    assert report.masked == report.prunable // 2
    assert report.sparsity == 0.5
    assert report.dense_bytes == sum(value.nbytes for value in values)
    assert report.nonzero_bytes == 4 * sum(np.count_nonzero(value) for value in values)
    packed = len(gzip.compress(b"".join(value.tobytes() for value in values), mtime=0))
    assert abs(report.gzip_bytes - packed) <= 32
    assert report.gzip_bytes < report.dense_bytes


@pytest.mark.parametrize("name", zoo.MODELS)
def test_a_row_for_every_weight_of_rank_2(name):
    model, _ = zoo.MODELS[name]()
    expected = [w.path for w in model.weights if len(w.shape) >= 2]
    before = dsd.sparsity_report(model)
    assert [row.path for row in before.rows] == expected
    assert all(row.reason for row in before.rows)
    assert before.prunable == before.masked == 0 and before.sparsity == 0.0
    dsd.make_prunable(model)
    after = dsd.sparsity_report(model)
    assert [row.path for row in after.rows] == expected
    assert after.size == before.size
    assert after.dense_bytes == before.dense_bytes
    reasons = {row.reason for row in after.rows}
    assert None in reasons


def test_targets_and_reasons():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, name="picture"),
            layers.Flatten(),
            layers.Dense(6, name="frozen", trainable=False),
            layers.Dense(6, name="own"),
            layers.Dense(6, name="excluded"),
            layers.Dense(6, name="follows"),
        ]
    )
    dsd.Prunable(model.get_layer("own"), sparsity=0.25)
    dsd.make_prunable(model, exclude="excluded")
    rows = {row.path.split("/")[-2]: row for row in dsd.sparsity_report(model).rows}
    assert rows["picture"].reason == "convolution of the picture (3 channels)"
    assert rows["frozen"].reason == "not trainable"
    assert rows["excluded"].reason == sparsity.NOT_CHOSEN
    assert rows["own"].reason is None and rows["own"].target == 0.25
    assert rows["follows"].reason is None and rows["follows"].target is None
    assert rows["follows"].shape == (6, 6)


def test_zeros_that_no_mask_holds():
    """A weight may be zero by itself: sparsity counts it, masked does not."""
    model = dsd.make_prunable(helpers.mlp())
    model.layers[1].kernel.assign(np.zeros((16, 4)))
    report = dsd.sparsity_report(model)
    assert [row.achieved for row in report.rows] == [0.0, 1.0]
    assert [row.masked for row in report.rows] == [0.0, 0.0]
    assert (report.prunable_zeros, report.masked) == (64, 0)
    assert report.sparsity == 64 / 256
    table = str(report)
    assert "64 of 256 prunable weights are zero (25.00%), 0 of them held" in table


def set_masks(model, *masks):
    """Lays masks of 0 and 1 over the pruned weights of a model, in their order."""
    for weight, mask in zip(conversion.pruned_weights(model), masks, strict=True):
        weight.variable.assign(np.array(mask, "float32"))
    dsd.hold_zeros(model)


def test_dead_neurons_of_dense_layers():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(2)])
    dsd.make_prunable(model)
    report = dsd.sparsity_report(model)
    assert [(row.no_incoming, row.no_outgoing) for row in report.rows] == [(0, 0)] * 2
    assert report.dead_neurons == 0
    set_masks(
        model,
        # Output 1 is dead; so are the inputs 0, 2 and 3.
        [[0, 0, 0], [1, 0, 1], [0, 0, 0], [0, 0, 0]],
        # Output 1 is dead; so is input 2.
        [[1, 0], [1, 0], [0, 0]],
    )
    report = dsd.sparsity_report(model)
    assert [(row.no_incoming, row.no_outgoing) for row in report.rows] == [
        (1, 3),
        (1, 1),
    ]
    assert report.dead_neurons == 6
    assert "without incoming or outgoing connections: 6.\n" in str(report)


def test_dead_neurons_of_a_convolution():
    """A channel or filter is alive as long as one tap of its kernel is."""
    model = keras.Sequential([keras.Input((6, 6, 5)), layers.Conv2D(4, (3, 2))])
    dsd.make_prunable(model)
    mask = np.zeros((3, 2, 5, 4), bool)
    set_masks(model, mask)
    (row,) = dsd.sparsity_report(model).rows
    assert (row.no_incoming, row.no_outgoing) == (4, 5)
    mask[0, 0, 3, 1] = mask[2, 1, 4, 1] = mask[1, 0, 4, 2] = True
    set_masks(model, mask)
    report = dsd.sparsity_report(model)
    (row,) = report.rows
    # Filters 1 and 2 read something; channels 3 and 4 are read.
    assert (row.no_incoming, row.no_outgoing) == (2, 3)
    assert report.dead_neurons == 5


def test_zeros_that_no_mask_holds_kill_no_neuron():
    model = dsd.make_prunable(helpers.mlp(), exclude="dense_1")
    for layer in model.layers:
        layer.kernel.assign(np.zeros(layer.kernel.shape))
    report = dsd.sparsity_report(model)
    assert [(row.no_incoming, row.no_outgoing) for row in report.rows] == [(0, 0)] * 2
    assert report.dead_neurons == 0


def test_as_a_table():
    text = str(dsd.sparsity_report(trained(exclude="dense_1")))
    lines = text.splitlines()
    assert "sequential/dense/kernel" in text and "12x16" in text
    assert "50.00%" in text and "left out" in text
    assert len(lines) >= 5
    assert lines == [line.rstrip() for line in lines]


def test_a_model_without_matrices():
    model = keras.Sequential([keras.Input((4,)), layers.BatchNormalization()])
    report = dsd.sparsity_report(model)
    assert report.rows == [] and report.size == 16
    assert str(report)
    nothing = keras.Sequential([keras.Input((4,)), layers.ReLU()])
    report = dsd.sparsity_report(nothing)
    assert (report.size, report.zeros, report.sparsity) == (0, 0, 0.0)
    assert str(report)


def test_of_a_single_layer():
    layer = layers.Dense(4)
    layer.build((None, 8))
    assert dsd.sparsity_report(layer).rows[0].reason
    assert dsd.sparsity_report(dsd.Prunable(layer)).prunable == 32


def test_reading_changes_nothing():
    model = trained()
    before = helpers.values(model.variables)
    first = dsd.sparsity_report(model)
    assert dsd.sparsity_report(model) == first
    for one, other in zip(helpers.values(model.variables), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_after_a_file(tmp_path):
    model = trained()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    one, other = dsd.sparsity_report(model), dsd.sparsity_report(loaded)
    assert (one.zeros, one.masked, one.gzip_bytes) == (
        other.zeros,
        other.masked,
        other.gzip_bytes,
    )
