"""Dynamic sparse training on digits: half of the connections, and they move.

Takes well under a minute on two cores. Needs scikit-learn for the data:

    pip install "/path/to/checkout[demo]"
    python digits_dst.py
"""

import keras
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import keras_dsd as dsd

EPOCHS = 15

keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)
x = (x / 16).astype("float32")
x_train, x_test, y_train, y_test = train_test_split(
    x, y, test_size=0.5, stratify=y, random_state=0
)
model = keras.Sequential(
    [
        keras.Input((64,)),
        layers.Dense(256, activation="relu"),
        layers.Dense(128, activation="relu"),
        layers.Dense(10),
    ]
)

# RigL grows connections by their gradient, so the gradients are kept.
model = dsd.make_prunable(model, track_gradients=True)
model.compile(
    keras.optimizers.Adam(),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)

# Random masks first; every 20 steps the smallest weights give way to others, fewer
# and fewer of them, until three quarters of the time are over.
history = model.fit(
    x_train,
    y_train,
    epochs=EPOCHS,
    callbacks=[
        dsd.DSDCallback(
            dsd.phases.dst(EPOCHS, method="rigl", sparsity=0.5, update_every=20),
            audit="digits_dst.jsonl",
        )
    ],
    verbose=0,
)

# Every epoch's logs say what has moved.
for key in ("sparsity", "churn", "explored"):
    print(f"{key}, every 5th epoch:", [round(v, 3) for v in history.history[key][::5]])
print(dsd.sparsity_report(model))

model = dsd.strip(model)
_, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"test accuracy: {accuracy:.4f}")
print("Now try: keras-dsd audit digits_dst.jsonl")
