"""Whether a metric grows or shrinks as a model gets better. Knows names only."""

import re

from keras_dsd._shared import checks

MODES = ("auto", "max", "min")
# How the names of metrics end that grow, and of those that shrink.
_GROW = (
    "acc",
    "accuracy",
    "auc",
    "correlation",
    "cosine_similarity",
    "dice",
    "dice_coef",
    "dice_coefficient",
    "f1",
    "io_u",
    "iou",
    "jaccard",
    "precision",
    "precision_at_recall",
    "psnr",
    "r2",
    "recall",
    "recall_at_precision",
    "score",
    "sensitivity",
    "sensitivity_at_specificity",
    "specificity",
    "specificity_at_sensitivity",
    "ssim",
    "true_negatives",
    "true_positives",
)
_SHRINK = (
    "bce",
    "crossentropy",
    "cross_entropy",
    "divergence",
    "error",
    "false_negatives",
    "false_positives",
    "gap",
    "hinge",
    "log_cosh",
    "logcosh",
    "loss",
    "mae",
    "mape",
    "mse",
    "msle",
    "nll",
    "perplexity",
    "poisson",
    "rmse",
)


def check(mode):
    """Returns `mode` if it is `"auto"`, `"max"` or `"min"`."""
    return checks.one_of(mode, "mode", MODES)


def plain(name):
    """Returns the name of a metric without the counter that Keras may have added.

    The second `keras.metrics.AUC()` of a process is called `auc_1`. What stands before
    the counter must be known, so `top_5` stays what it is.

    >>> from keras_dsd._shared import directions
    >>> directions.plain("auc_1"), directions.plain("top_5")
    ('auc', 'top_5')
    """
    stem = re.sub(r"_\d+$", "", name)
    return name if by_name(stem) is None else stem


def grows(name, mode="auto", known=None):
    """Returns whether more of a metric is better.

    Args:
        name: of the metric, as it stands in logs or reports.
        mode: `"max"`, `"min"`, or `"auto"`.
        known: what `"auto"` means where the metric's class tells it: True or False.
            Defaults to `None`: how the name ends says it.

    Raises:
        ValueError: `mode` is `"auto"` and nothing tells the direction.
    """
    if check(mode) != "auto":
        return mode == "max"
    found = by_name(plain(name)) if known is None else known
    if found is None:
        raise ValueError(
            f"Nothing tells whether more of {name!r} is better: give `mode='max'` if "
            f"more is, `mode='min'` if less is. Received: mode={mode!r}"
        )
    return found


def by_name(name):
    """Returns whether a name says that more is better, `None` if it does not tell."""
    for ends, found in ((_GROW, True), (_SHRINK, False)):
        if re.search(rf"(?:^|[^a-z])(?:{'|'.join(ends)})$", name.lower()):
            return found
    return None
