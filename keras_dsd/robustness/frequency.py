"""Which frequencies a model lives on: accuracy without some, and under noise of one.

Filters images, knows no corruption. Both follow one plan: change a batch by a linear
filter or a wave, and score the model on it.
"""

import functools
import itertools
import math

import numpy as np

from keras_dsd._shared import checks
from keras_dsd.robustness import streams
from keras_dsd.robustness.data import Data, white
from keras_dsd.robustness.progress import bar
from keras_dsd.robustness.scoring import Scoring

KEEP = ("low", "high")


# Each an option that a user names.
def radius_accuracy(  # noqa: PLR0913
    model,
    x,
    y=None,
    radii=None,
    keep="low",
    *,
    metric="accuracy",
    preprocess=None,
    batch_size=None,
    progress=True,
):
    """Measures a model on images that have lost their high or low frequencies.

    The spectrum of each channel keeps a disc around frequency 0, or all but the disc.
    The mean of an image is always kept, and values are neither clipped nor rounded.

    Args:
        model, x, y, metric, preprocess, batch_size, progress: as in `evaluate`; images,
            no videos.
        radii: list of radii of the disc, in cycles per image side (pixels of the
            spectrum), 0 or more; for an image that is not square, cycles along its
            longer side. Defaults to `None`: nine of them, from 0 to all that a square
            image has.
        keep: `"low"` to remove what is beyond the radius, `"high"` to remove what is
            within. Defaults to `"low"`.

    Returns:
        A dict {radius: value of the metric}; `plot_radius_accuracy` draws some.

    Raises:
        ValueError, TypeError: as `evaluate`, and if `radii` or `keep` is wrong.

    Reference: [Wu et al., ICLR 2025](https://arxiv.org/abs/2410.03030), who explain the
    robustness of dynamic sparse training so; the mask's exact form is not published.

    Example:

    >>> import keras, numpy as np
    >>> from keras_dsd import robustness
    >>> x = np.random.default_rng(0).random((32, 16, 16, 1), "float32")
    >>> y = np.arange(32) % 2
    >>> model = keras.Sequential(
    ...     [keras.Input((16, 16, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    ... )
    >>> found = robustness.radius_accuracy(model, x, y, [0, 4, 12], progress=False)
    >>> list(found)
    [0, 4, 12]
    """
    checks.one_of(keep, "keep", KEEP)
    if radii is not None:
        radii = checks.listed(radii, "radii", "numbers")
        radii = [checks.not_negative(radius, "radii") for radius in radii]
        if not radii or len(set(radii)) < len(radii):
            raise ValueError(
                f"`radii` must be a list of different numbers. Received: radii={radii}"
            )

    def plan(shape, start):
        size = shape[1:3]
        distance = _distance(size)
        for radius in _radii(size) if radii is None else radii:
            kept = distance <= radius if keep == "low" else distance > radius
            kept[0, 0] = True
            yield radius, functools.partial(_filtered, kept=kept)

    scoring = Scoring(model, metric, preprocess)
    return _measure("radius", _changed(plan, x, y, batch_size), scoring, progress)


# Each an option that a user names.
def fourier_sensitivity(  # noqa: PLR0913
    model,
    x,
    y=None,
    *,
    norm=4.0,
    reach=None,
    metric="accuracy",
    preprocess=None,
    batch_size=None,
    seed=0,
    progress=True,
):
    """Measures a model under noise of one frequency, for every frequency.

    To each channel of each image a wave is added, with a random sign. A model needs one
    pass over the images for each pair of frequencies, so some hundred images will do.

    Args:
        model, x, y, metric, preprocess, batch_size, seed, progress: as in `evaluate`;
            images, no videos.
        norm: Euclidean norm of the wave in each channel, for values in [0, 1]. Defaults
            to 4.0, the one that is usual for 32 pixels.
        reach: the highest frequency, in cycles per image side. Defaults to `None`: all
            that there are.

    Returns:
        An array (2 * reach + 1, 2 * reach + 1) of the metric, frequency 0 in its
        middle; for all frequencies it has the images' height and width instead.
        `plot_fourier_sensitivity` draws it.

    Raises:
        ValueError, TypeError: as `evaluate`, and if `norm` or `reach` is wrong.

    Reference: [Yin et al., NeurIPS 2019](https://arxiv.org/abs/1906.08988).

    Example:

    >>> import keras, numpy as np
    >>> from keras_dsd import robustness
    >>> x = np.random.default_rng(0).random((32, 16, 16, 1), "float32")
    >>> y = np.arange(32) % 2
    >>> model = keras.Sequential(
    ...     [keras.Input((16, 16, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    ... )
    >>> robustness.fourier_sensitivity(model, x, y, reach=2, progress=False).shape
    (5, 5)
    """
    checks.positive(norm, "norm")
    seed = checks.integer(seed, "seed", at_least=0)
    if reach is not None:
        reach = checks.integer(reach, "reach", at_least=0)
    axes: list = []

    def plan(shape, start):
        axes[:] = [_frequencies(size, reach) for size in shape[1:3]]
        signs = np.stack(
            [
                np.random.default_rng((seed, index)).choice([-1.0, 1.0], shape[3])
                for index in range(start, start + shape[0])
            ]
        )[:, None, None]
        for pair in dict.fromkeys(map(same, itertools.product(*axes))):
            wave = norm * _wave(shape[1:3], *pair)[..., None]
            yield pair, functools.partial(_added, noise=signs * wave)

    def same(pair):
        # A wave is the one of the opposite frequencies too. The highest frequency of an
        # even size stands for its opposite.
        opposite = tuple(
            -frequency if -frequency in axis else frequency
            for frequency, axis in zip(pair, axes, strict=True)
        )
        return max(pair, opposite)

    scoring = Scoring(model, metric, preprocess)
    found = _measure("wave", _changed(plan, x, y, batch_size), scoring, progress)
    return np.array(
        [[found[same((row, column))] for column in axes[1]] for row in axes[0]]
    )


def _measure(what, batches, scoring, progress):
    """Returns {condition: metric} of what `_changed` yields."""
    checks.boolean(progress, "progress")
    with bar(None, progress) as advance:
        for steps, condition, *batch in streams.ahead(batches):
            scoring.update(condition, *batch)
            advance(f"{what} {condition}", steps)
    return scoring.results()


def _changed(plan, x, y, batch_size):
    """Yields (steps, condition, images, labels, weights) of images changed in ways.

    `plan(shape, start)` yields (condition, function of images in [0, 1]) for a batch
    whose first image has the index `start`; the model gets what the function returns in
    the range that the images had. There will be `steps` batches, or `None`: nobody
    knows.
    """
    data = Data(x, y)
    batches = data.length(batch_size)
    start = 0
    for images, labels, weights in data.batches(batch_size):
        if images.ndim != 4:
            raise ValueError(
                "`x` must be images (N, H, W, C). "
                f"Received: an array of shape {images.shape}"
            )
        full = np.float32(white(images))
        unit = images.astype("float32") / full
        ways = list(plan(images.shape, start))
        start += len(images)
        steps = batches and batches * len(ways)
        for condition, change in ways:
            changed = change(unit).astype("float32") * full
            yield steps, condition, changed, labels, weights


def _filtered(images, kept):
    spectrum = np.fft.rfft2(images, axes=(1, 2)) * kept[..., None]
    return np.fft.irfft2(spectrum, s=images.shape[1:3], axes=(1, 2))


def _added(images, noise):
    return np.clip(images + noise, 0, 1)


def _distance(size):
    """Returns the frequency of each entry of a half spectrum, in cycles per side."""
    longer = max(size)
    rows = np.fft.fftfreq(size[0]) * longer
    columns = np.fft.rfftfreq(size[1]) * longer
    return np.hypot(rows[:, None], columns[None, :])


def _radii(size):
    highest = max(size) / np.sqrt(2)
    return [math.ceil(10 * radius) / 10 for radius in np.linspace(0, highest, 9)]


def _frequencies(size, reach):
    every = np.fft.fftshift(np.fft.fftfreq(size, 1 / size)).astype(int)
    return [int(f) for f in every if reach is None or abs(f) <= reach]


def _wave(size, row, column):
    """Returns a real wave of two frequencies and norm 1."""
    rows, columns = (np.arange(length) / length for length in size)
    wave = np.cos(2 * np.pi * (row * rows[:, None] + column * columns[None, :]))
    return wave / np.linalg.norm(wave)
