"""Batches and draws by (seed, epoch): the same for all methods and after a kill."""

import keras
import numpy as np
import pytest

from keras_dsd.studies import batches


def arrays():
    return np.arange(10.0), {"a": np.arange(10)}


def test_each_epoch_has_its_order_and_every_item_once():
    made = batches.Batches(arrays(), 4, seed=3)
    assert len(made) == 3
    orders = []
    for epoch in (0, 1, 0):
        made.start(epoch)
        rows = [made[index] for index in range(3)]
        for x, y in rows:
            np.testing.assert_array_equal(x, y["a"])
        orders.append(np.concatenate([x for x, _ in rows]).tolist())
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[0]) == list(range(10))
    assert made.digest() == batches.Batches(arrays(), 4, seed=3).digest()
    assert made.digest() != batches.Batches(arrays(), 4, seed=4).digest()


def test_in_order():
    assert batches.in_order(arrays(), 10)[0][0].tolist() == list(range(10))


@pytest.mark.parametrize("wrong", [([], []), (np.ones(3), np.ones(4))])
def test_uneven_or_empty_arrays(wrong):
    with pytest.raises(ValueError, match="Received: "):
        batches.count(wrong)


def test_draws_are_the_epochs():
    """A model that begins in epoch 1 drops out what one drops that comes there."""
    x = np.ones((8, 16), "float32")

    def seen(initial_epoch):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((16,)), keras.layers.Dropout(0.5)])
        model.add(keras.layers.Dense(1, kernel_initializer="ones"))
        model.compile(keras.optimizers.SGD(0.0), "mse")
        history = model.fit(
            batches.Batches((x, x[:, :1]), 4, seed=5),
            epochs=2,
            initial_epoch=initial_epoch,
            callbacks=[batches.Draws(5)],
            verbose=0,
        )
        return history.history["loss"]

    assert batches.seed_states(keras.Sequential([keras.layers.Dropout(0.5)]))
    whole = seen(0)
    assert whole[0] != whole[1]
    assert seen(1) == whole[1:]
