"""What `inspect` tells of a model: above all whether its masks are the log's."""

import keras
import numpy as np
import pytest

pytest.importorskip("jinja2")

import keras_dsd as dsd
from keras_dsd.analysis import inspection
from keras_dsd.reports import run_record


def test_masks_are_named_and_hashed_as_in_the_log(tmp_path):
    log, found = tmp_path / "run.jsonl", []
    layers = [keras.Input((6,)), keras.layers.Dense(8), keras.layers.Dense(1)]
    model = dsd.make_prunable(keras.Sequential(layers))
    model.compile("sgd", "mse")

    def look(epoch, logs):
        found.append(inspection.inspect(model))
        if epoch == 0:  # what nothing in training does
            kernel = model.layers[0].kernel
            old = keras.ops.convert_to_numpy(kernel)
            kernel.assign(np.ones_like(old))
            found.append(inspection.inspect(model))
            kernel.assign(old)

    x = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
    plan = [dsd.phases.Sparse(1, sparsity=0.5), dsd.phases.Redense(1)]
    callbacks = [
        dsd.DSDCallback(plan, audit=log, verbose=0),
        keras.callbacks.LambdaCallback(on_epoch_end=look),
    ]
    history = model.fit(x, x[:, :1], epochs=2, callbacks=callbacks, verbose=0)
    sparse, astray, dense = found
    (line,) = dsd.audit.read(log)
    for key in ("path", "sha256"):
        assert [m[key] for m in sparse["masks"]] == [w[key] for w in line["weights"]]
    assert [mask["active"] for mask in sparse["masks"]] == [24, 4]
    assert [mask["strays"] for mask in sparse["masks"]] == [0, 0]
    assert [mask["strays"] for mask in astray["masks"]] == [24, 0]

    record = run_record.record(log, model=sparse, history=history)
    assert record["model"]["update"] == 1
    assert record["epochs"][0]["sparsity"] == record["updates"][0]["sparsity"] == 0.5
    assert [epoch["phase"] for epoch in record["epochs"]] == [1, 2]
    assert run_record.record(log, model=dense)["model"]["in_force"] is False
