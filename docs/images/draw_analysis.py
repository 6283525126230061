"""Draws the pictures of docs/analysis.md: `python -m docs.images.draw_analysis`.

Two small networks learn scikit-learn's digits, one by DSD, one by RigL.
"""

import pathlib
import tempfile

import keras
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

import keras_dsd as dsd
from keras_dsd import analysis, phases

FOLDER = pathlib.Path(__file__).parent


def run(plan, folder, **options):
    """Trains in phases; returns the snapshots that a folder then holds."""
    keras.utils.set_random_seed(0)
    x, y = load_digits(return_X_y=True)
    layers = [keras.layers.Dense(units, "relu") for units in (256, 256)]
    model = keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(10)])
    dsd.make_prunable(model, track_gradients=True)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    callbacks = [
        dsd.DSDCallback(plan, verbose=0),
        analysis.Snapshots(folder, verbose=0, **options),
    ]
    model.fit(x / 16, y, 32, sum(one.epochs for one in plan), 0, callbacks)
    return analysis.snapshots.read(folder)


def save(figure, name):
    """Writes a figure as a small PNG."""
    figure.savefig(FOLDER / name, dpi=80)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        run(phases.dsd(30, sparsity=0.5), folder)
        save(analysis.histograms(folder).plot(), "analysis_histograms.png")
    with tempfile.TemporaryDirectory() as folder:
        plan = [phases.Sparse(30, sparsity=0.8, regrowth="rigl", update_every=20)]
        _before, *moments = run(plan, folder, every=2, weights=False)
        figure = Figure(figsize=(11, 4), layout="constrained")
        left, right = figure.subplots(1, 2)
        analysis.overlap(moments).plot(left)
        analysis.survival(moments).plot(right)
        save(figure, "analysis_masks.png")
