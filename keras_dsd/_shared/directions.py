"""Whether a metric grows or shrinks as a model gets better. Knows names only."""

from keras_dsd._shared import checks

MODES = ("auto", "max", "min")
# How the names of metrics end that grow.
_GROW = (
    "acc",
    "accuracy",
    "auc",
    "cosine_similarity",
    "io_u",
    "iou",
    "precision",
    "psnr",
    "recall",
    "score",
)


def check(mode):
    """Returns `mode` if it is `"auto"`, `"max"` or `"min"`."""
    checks.known(mode, "mode", dict.fromkeys(MODES))
    return mode


def grows(name, mode="auto"):
    """Returns whether more of a metric is better.

    Args:
        name: of the metric.
        mode: `"max"`, `"min"`, or `"auto"`: by how the name ends.
    """
    if mode == "auto":
        return name.lower().endswith(_GROW)
    return mode == "max"
