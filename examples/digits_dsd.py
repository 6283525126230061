"""Dense-Sparse-Dense training in three lines, in a plain Keras script on digits.

Takes well under a minute on two cores. Needs scikit-learn for the data:

    pip install "/path/to/checkout[demo]"
    python digits_dsd.py
"""

import keras
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import keras_dsd as dsd

EPOCHS = 15

# Data and model are as in any Keras script.
keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)
x = (x / 16).astype("float32").reshape(-1, 8, 8, 1)
x_train, x_test, y_train, y_test = train_test_split(
    x, y, test_size=0.5, stratify=y, random_state=0
)
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(10),
    ]
)

# First line: the layers become prunable. The first convolution stays dense, for it
# reads the picture itself.
model = dsd.make_prunable(model)

model.compile(
    keras.optimizers.SGD(0.05, momentum=0.9),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)

# Second line: the phases, a third of the epochs each. In the last one the pruned
# weights come back, at zero, and all weights train at a tenth of the rate.
history = model.fit(
    x_train,
    y_train,
    epochs=EPOCHS,
    callbacks=[dsd.DSDCallback(dsd.phases.dsd(EPOCHS, sparsity=0.3))],
    verbose=0,
)

# Third line: the plain Keras model again, as if it had never been wrapped.
model = dsd.strip(model)

# Every epoch's logs say how sparse the model was.
print("sparsity, every 3rd epoch:", history.history["sparsity"][::3])
_, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"test accuracy: {accuracy:.4f}")
