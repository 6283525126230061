"""The page on GANs, VAEs and others: its code runs, and does what its text says."""

import pathlib

import keras
import numpy as np
import pytest

import keras_dsd as dsd
from tests import helpers

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "other_trainings.md"
BACKENDS = {"# TensorFlow": "tensorflow", "# PyTorch": "torch", "# JAX": "jax"}


def blocks():
    """Yields the page's code for this backend."""
    for part in PAGE.read_text().split("```python\n")[1:]:
        block = part.split("```")[0]
        first = block.splitlines()[0].split(":")[0]
        if BACKENDS.get(first, keras.backend.backend()) == keras.backend.backend():
            yield block


@pytest.fixture(scope="module")
def page():
    """What the names of the page's code are, once it has run."""
    keras.utils.clear_session(free_memory=False)
    names: dict = {"__name__": "pasted"}
    for block in blocks():
        exec(block, names)
    return names


def test_plain_fit_ends_with_the_phases(page):
    for name in ("vae", "distiller", "gan", "actor"):
        history = page[name].history.history
        assert history["dsd_phase"] == [0, 1, 2], name
        assert history["sparsity"][1] > 0.3, name
    teacher, student = page["teacher"], page["student"]
    assert not teacher.trainable and not dsd_layers(teacher) and not dsd_layers(student)


def dsd_layers(model):
    return [layer for layer in model.layers if isinstance(layer, dsd.Prunable)]


def test_what_is_left_dense(page):
    skipped = {row.path for row in dsd.sparsity_report(page["vae"]).rows if row.reason}
    assert {"mean/kernel", "log_variance/kernel"} <= skipped


def test_the_average_has_the_zeros(page):
    for own, mean in zip(
        page["denoiser"].weights, page["average"].weights, strict=True
    ):
        if len(own.shape) >= 2:
            own, mean = helpers.values([own, mean])
            np.testing.assert_array_equal(own == 0, mean == 0)
            assert (own == 0).mean() == 0.5


def test_each_optimizer_has_its_own_rate(page):
    gan = page["gan"]
    for optimizer, rate in ((gan.g_optimizer, 1e-3), (gan.d_optimizer, 4e-4)):
        assert float(helpers.values([optimizer.learning_rate])[0]) == np.float32(rate)
        assert int(helpers.values([optimizer.iterations])[0]) == 12
