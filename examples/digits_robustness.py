"""Two models of digits under corruptions: trained conventionally, and with RigL.

One seed of a small problem: it shows how to measure, not which of them is better. Takes
about a minute on two cores. Needs scikit-learn for the data:

    pip install "/path/to/checkout[demo,robustness]"
    python digits_robustness.py
"""

import keras
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import keras_dsd as dsd
from keras_dsd import robustness

EPOCHS = 20

x, y = load_digits(return_X_y=True)
x = (x / 16 * 255).astype("uint8").reshape(-1, 8, 8, 1)
x_train, x_test, y_train, y_test = train_test_split(
    x, y, test_size=0.5, stratify=y, random_state=0
)


def trained(phases=None):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    if phases:
        model = dsd.make_prunable(model, track_gradients=True)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    callbacks = [dsd.DSDCallback(phases, verbose=0)] if phases else []
    model.fit(x_train, y_train, epochs=EPOCHS, callbacks=callbacks, verbose=0)
    return dsd.strip(model) if phases else model


dense = trained()
sparse = trained(dsd.phases.dst(EPOCHS, method="rigl", sparsity=0.3))

# Both see the same corrupted images. CE is the error as a multiple of the baseline's.
report = robustness.evaluate(
    sparse,
    x_test,
    y_test,
    corruptions=[*robustness.names("noise"), "contrast", "lens_dirt", "dead_lines"],
    baseline=dense,
)
print(report)
report.plot("robustness.png")
robustness.plot_gain(report.gain_over(report.baseline), "gain.png")

# Without the high frequencies of the images, and with nothing else.
curves = {
    name: robustness.radius_accuracy(model, x_test, y_test)
    for name, model in (("conventional", dense), ("RigL", sparse))
}
robustness.plot_radius_accuracy(curves, "frequencies.png")
print("Pictures: robustness.png, gain.png, frequencies.png")
print(f"test accuracy: {report.clean:.4f}")
