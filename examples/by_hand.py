"""Layers made prunable by hand, two rounds of pruning, phases that end by themselves.

Takes well under a minute on two cores. Needs scikit-learn for the data:

    pip install "/path/to/checkout[demo]"
    python by_hand.py
"""

import keras
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import keras_dsd as dsd
from keras_dsd import phases

keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)
x = (x / 16).astype("float32")
# Three parts: training, validation for the plateaus, and a test that decides nothing.
x_train, x_rest, y_train, y_rest = train_test_split(
    x, y, test_size=0.5, stratify=y, random_state=0
)
x_val, x_test, y_val, y_test = train_test_split(
    x_rest, y_rest, test_size=0.5, stratify=y_rest, random_state=0
)

# Only what is wrapped can be pruned, and a layer may have a sparsity of its own. The
# last layer is small and every weight of it matters: it is left plain.
model = keras.Sequential(
    [
        keras.Input((64,)),
        dsd.Prunable(layers.Dense(128, activation="relu", name="first")),
        dsd.Prunable(layers.Dense(64, activation="relu", name="second"), sparsity=0.7),
        layers.Dense(10, name="logits"),
    ]
)
model.compile(
    keras.optimizers.Adam(1e-3),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)

# Dense, sparse, dense, sparse, dense. Each phase lasts 10 epochs at most and ends once
# the validation loss has not improved for 2.
until = phases.Plateau("val_loss", patience=2)
plan = [
    phases.Dense(10, until=until),
    phases.Sparse(10, sparsity=0.3, until=until),
    phases.Redense(10, lr_factor=0.5, until=until),
    phases.Sparse(10, sparsity=0.5, until=until),
    phases.Redense(10, lr_factor=0.1, until=until),
]

# The masks are off when training is over, so the report is made while they are on:
# after every epoch, of which the last in each phase is kept.
reports = {}


def keep_report(epoch, logs):
    reports[int(logs["dsd_phase"])] = dsd.sparsity_report(model)


history = model.fit(
    x_train,
    y_train,
    epochs=sum(phase.epochs for phase in plan),  # at most
    validation_data=(x_val, y_val),
    callbacks=[
        dsd.DSDCallback(plan),
        # After the DSDCallback, which adds `dsd_phase` and `sparsity` to the logs.
        keras.callbacks.LambdaCallback(on_epoch_end=keep_report),
    ],
    verbose=0,
)
print("epochs in all:", len(history.epoch))
for number in (1, 3):
    print(f"\nAt the end of phase {number + 1}, {type(plan[number]).__name__}:")
    print(reports[number])

model = dsd.strip(model)
_, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"\ntest accuracy: {accuracy:.4f}")
