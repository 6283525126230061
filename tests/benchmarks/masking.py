"""Ways to mask a gradient in a graph: `python -m tests.benchmarks.masking`.

TensorFlow only, op by op. Each way stands between a product of matrices and a step of
momentum, as in training, and all take turns. "Select" is what `backend` does.
"""

import statistics
import time

import tensorflow as tf

SIDE = 2048
STEPS = 10  # of one way, before it is another's turn
ROUNDS = 60


def ways():
    """Returns {name: function of a gradient}, and the weight that all train."""
    weight = tf.Variable(tf.random.normal((SIDE, SIDE)))
    mask = tf.Variable(tf.random.normal((SIDE, SIDE)) > 0)
    floats = tf.Variable(tf.cast(mask, "float32"))
    compiled = tf.function(lambda g, m: tf.where(m, g, 0.0), jit_compile=True)
    return {
        "none": lambda g: g,
        "Select": lambda g: tf.raw_ops.Select(condition=mask, x=g, y=weight),
        "where, 0": lambda g: tf.where(mask, g, 0.0),
        "where, XLA": lambda g: compiled(g, mask.read_value()),
        "cast, product": lambda g: g * tf.cast(mask, "float32"),
        "product, 4 bytes": lambda g: g * floats,
    }, weight


def step_with(way, weight, momentum):
    """Returns a step of SGD whose gradient is masked in one way."""
    x, y = tf.random.normal((2, 32, SIDE))

    @tf.function(autograph=False)
    def step():
        gradient = way(tf.matmul(x, y, transpose_a=True))
        momentum.assign(momentum * 0.9 - gradient * 0.01)
        weight.assign_add(momentum)

    return step


def main():
    each, weight = ways()
    momentum = tf.Variable(tf.zeros((SIDE, SIDE)))
    steps = {name: step_with(way, weight, momentum) for name, way in each.items()}
    seconds: dict = {name: [] for name in steps}
    for turn in range(ROUNDS + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            for _ in range(STEPS):
                step()
            if turn:  # the first traces
                seconds[name].append((time.perf_counter() - start) / STEPS)
    plain = statistics.median(seconds["none"])
    for name, taken in seconds.items():
        middle = statistics.median(taken)
        more = (middle - plain) * 1e3
        print(f"{name:17} {middle * 1e3:6.2f} ms, {more:+.2f}")


if __name__ == "__main__":
    main()
