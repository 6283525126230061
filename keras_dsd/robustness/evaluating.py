"""`evaluate(model, x, y)`: a model under each corruption, in one pass over the data.

Joins a stream of batches, the scoring of models and the report; decides nothing about
pixels.
"""

import dataclasses
import zlib

import numpy as np

from keras_dsd._shared import checks
from keras_dsd.robustness import adversarial, data, published, published_errors, streams
from keras_dsd.robustness.corruptions import catalog, corrupting
from keras_dsd.robustness.progress import bar
from keras_dsd.robustness.report import RobustnessReport
from keras_dsd.robustness.scoring import Scoring


# Each an option that a user names.
def evaluate(  # noqa: PLR0913
    model,
    x,
    y=None,
    *,
    corruptions=None,
    severities=None,
    metric="accuracy",
    mode="auto",
    baseline=None,
    preprocess=None,
    batch_size=None,
    seed=0,
    constants="auto",
    progress=True,
):
    """Measures a model on clean images and on the same images, corrupted.

    Every image is corrupted in every way, and both models see the same corrupted
    images. Data streams: memory holds a few batches.

    Args:
        model: a `keras.Model`, compiled or not, wrapped or not; or any function of a
            batch that returns predictions.
        x: what to corrupt: array of images (N, H, W, C) or videos (N, T, H, W, C),
            uint8 or floating in [0, 1]; or batches `(x, y)` or `(x, y, sample_weight)`
            of them, from a `tf.data.Dataset`, a `keras.utils.PyDataset`, a PyTorch
            `DataLoader` or a generator. Or a data set that is corrupted already, see
            `published_set` and `npy_set`.
        y: array of labels, as long as `x`; only with arrays.
        corruptions: list of names, or one name; besides `names()`, the attacks
            `"fgsm"` and `"pgd"`. Defaults to `None`: the 15 of the benchmark; of a
            corrupted data set without them, all that it holds.
        severities: list of integers from 1 to 5, or one. Defaults to `None`: all.
        metric: name of a metric of Keras, `keras.metrics.Metric`, `keras.losses.Loss`,
            or function of `(y_true, y_pred)` that returns a value for each sample; its
            result must be one number and not depend on `batch_size`. `"accuracy"` is
            chosen by the shape of the labels, as in `compile`; for a binary model that
            returns logits give `keras.metrics.BinaryAccuracy(threshold=0)`. Defaults to
            `"accuracy"`.
        mode: `"max"` if more of the metric is better, `"min"` if less is, or `"auto"`:
            as its class says, or the end of its name. Defaults to `"auto"`.
        baseline: what mCE compares with: another model, a report on the same metric,
            corruptions and severities (of other images, another seed or other
            strengths: with a warning), or `"alexnet"` (its published errors on
            ImageNet-C, for models of ImageNet only). Defaults to `None`.
        preprocess: function of a corrupted batch, applied before each model; what the
            model's own data went through, say `lambda x: x / 127.5 - 1`. Defaults to
            `None`.
        batch_size: of arrays and corrupted data sets. Defaults to `None`: 128.
        seed: integer, 0 or more, for the random corruptions. Defaults to 0.
        constants: as in `corrupt`. Defaults to `"auto"`.
        progress: whether to show a progress bar. Defaults to `True`.

    Returns:
        A `RobustnessReport`.

    Raises:
        ValueError, TypeError: if an argument is wrong, if nothing tells whether more of
            the metric is better, or if it does not fit the model's output; before any
            work, or after the first batch.

    Reference: [Hendrycks and Dietterich, ICLR 2019](https://arxiv.org/abs/1903.12261).

    Example:

    >>> import keras, numpy as np
    >>> from keras_dsd import robustness
    >>> x = np.random.default_rng(0).random((32, 16, 16, 1), "float32")
    >>> y = np.arange(32) % 2
    >>> model = keras.Sequential(
    ...     [keras.Input((16, 16, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    ... )
    >>> report = robustness.evaluate(
    ...     model, x, y, corruptions=["contrast", "fog"], severities=[1, 5],
    ...     progress=False,
    ... )
    >>> list(report.table), sorted(report.table["fog"])
    (['contrast', 'fog'], [1, 5])
    """
    checks.boolean(progress, "progress")
    names, severities = _names(corruptions), _severities(severities)
    scoring = Scoring(model, metric, preprocess)
    grows = scoring.metric.grows(mode)
    scorings = [scoring]
    source = _source(x, y, seed, constants)
    conditions = source.conditions(names, severities)
    _check_baseline(baseline, scoring.metric.name, conditions, grows)
    if baseline is not None and not isinstance(baseline, (str, RobustnessReport)):
        scorings.append(Scoring(baseline, metric, preprocess))
    attacks = _attacks(scorings, preprocess, seed, conditions)
    seen = _Seen(source.constants)
    batches = source.stream(conditions, batch_size)
    steps = source.steps(conditions, batch_size)
    with bar(steps, progress) as advance:
        for condition, images, labels, weights in streams.ahead(batches):
            if condition == conditions[0]:
                seen.add(images)
                if baseline == "alexnet":
                    published_errors.check_images(images.shape, seen.constants)
            name, severity = condition
            for i, each in enumerate(scorings):
                shown = images
                if name in adversarial.ATTACKS:
                    shown = attacks[i](name, severity, images, labels, seen.start)
                each.update(condition, shown, labels, weights)
            advance(f"{name} {severity}")
    for attack in attacks:
        attack.warn_flat()
    reports = [_report(each, grows, seen, source, conditions) for each in scorings]
    return _with_baseline(reports, baseline)


def _attacks(scorings, preprocess, seed, conditions):
    """Returns attacks on each model, where a condition asks for one."""
    if not any(name in adversarial.ATTACKS for name, _ in conditions):
        return []
    return [adversarial.Attacks(each.model, preprocess, seed) for each in scorings]


def _with_baseline(reports, baseline):
    """Returns the model's report beside its baseline's, if it has one."""
    if len(reports) > 1:
        baseline = reports[1]
    elif isinstance(baseline, RobustnessReport):
        reports[0].warn_unlike(baseline)
    return dataclasses.replace(reports[0], baseline=baseline)


def _check_baseline(baseline, metric, conditions, grows):
    if isinstance(baseline, str):
        checks.one_of(baseline, "baseline", ("alexnet",))
        published_errors.check_comparable(metric, conditions)
    elif isinstance(baseline, RobustnessReport):
        baseline.check_like(metric, conditions, grows)


class _Seen:
    """The images that went by: how many, which, and with which strengths.

    Args:
        constants: set of strengths, as `corrupt` takes it, or `"published"`.
    """

    def __init__(self, constants):
        self.constants = constants
        self.digest = 0
        self.start = self.stop = 0  # of the last batch

    def add(self, images):
        """Takes a batch into account, clean or of the first condition."""
        self.start, self.stop = self.stop, self.stop + len(images)
        self.constants = corrupting.constants_for(images, self.constants)
        # In 8 bits, so that floating images of the same picture count as the same.
        full = 255 / data.white(images)
        pixels = images if full == 1 else np.rint(images.astype("float32") * full)
        self.digest = zlib.crc32(pixels.astype("uint8").tobytes(), self.digest)


def _source(x, y, seed, constants):
    if isinstance(x, published.CorruptedSet):
        return x
    return streams.Corrupting(
        x, y, seed=seed, constants=constants, untouched=adversarial.ATTACKS
    )


def _report(scoring, grows, seen, source, conditions):
    values = scoring.results()
    table: dict = {}
    for name, severity in conditions:
        if (name, severity) != streams.CLEAN:
            table.setdefault(name, {})[severity] = values[name, severity]
    return RobustnessReport(
        metric=scoring.metric.name,
        grows=grows,
        clean=values.get(streams.CLEAN),
        table=table,
        families={name: _family(name) for name in table},
        images=seen.stop,
        seed=source.seed,
        constants=seen.constants,
        digest=seen.digest,
    )


def _family(name):
    if name in adversarial.ATTACKS:
        return adversarial.FAMILY
    # A corrupted data set may have corruptions that this library does not make.
    return catalog.get(name).family if name in catalog.names() else "other"


def _names(corruptions):
    if corruptions is None:
        return None
    names = (corruptions,)
    if not isinstance(corruptions, str):
        names = tuple(checks.listed(corruptions, "corruptions", "names"))
    for name in names:
        if not isinstance(name, str):
            raise TypeError(
                f"`corruptions` must be names. Received: corruptions={corruptions!r}"
            )
    if not names or len(set(names)) < len(names):
        raise ValueError(
            "`corruptions` must be a list of different names. "
            f"Received: corruptions={corruptions!r}"
        )
    return names


def _severities(severities):
    if severities is None:
        return None
    found = corrupting.check_severities(severities)
    if not found or len(set(found)) < len(found):
        raise ValueError(
            "`severities` must be a list of different integers from 1 to 5. "
            f"Received: severities={severities!r}"
        )
    return tuple(sorted(found))
