"""What a corruption is: a function, its strengths, and what it does over time.

The rooms of corruptions (`noise`, `blur`, ...) build theirs with this, and `catalog`
gathers them. Knows NumPy only.
"""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

SEVERITIES = (1, 2, 3, 4, 5)


@dataclasses.dataclass(frozen=True)
class Corruption:
    """One way in which images go bad.

    Args:
        name: of the corruption, as users write it.
        family: the group that reports average over, such as `"noise"`.
        function: function of `(images, strength, rngs)` that returns the corrupted
            images. `images` are float32 of shape (N, H, W, C) with values in [0, 1], C
            being 1 (grey) or 3 (RGB), any N, H and W of 1 or more; they are not to be
            written to. `rngs` are N random generators, one for each image. What
            is returned has the same shape and is float32; values beyond [0, 1] are
            clipped by the caller. With `time="clip"` it has (N, T, H, W, C), a
            generator for each clip.
        strengths: of severities 1 to 5: a dict from the name of a set of
            constants, `"cifar"` (for images of up to 64 pixels) and `"imagenet"` (for
            larger ones), to five values; or five values that serve any size.
        time: what happens to the frames of a video: `"frames"`, each has draws of its
            own (noise); `"fixed"`, all have the same draws (dirt on a lens); `"clip"`,
            the function takes whole clips (a frame is lost). The last is for
            videos only.
        threads: whether the function may run in several threads at once. Defaults to
            `True`.
    """

    name: str
    family: str
    function: Callable
    strengths: Mapping[str, tuple] | tuple = SEVERITIES
    time: str = "frames"
    threads: bool = True

    def strength(self, severity, constants):
        """Returns the strength of a severity, in a set of constants."""
        of_set = self.strengths
        if isinstance(of_set, Mapping):
            of_set = of_set[constants]
        return of_set[severity - 1]


def each(function):
    """Returns a function of a batch that calls `function(image, strength, rng)`."""

    def batch(images, strength, rngs):
        return np.stack(
            [
                function(image, strength, rng)
                for image, rng in zip(images, rngs, strict=True)
            ]
        )

    return batch


def at_least_one(expected, rng):
    """Returns a random integer, 1 or more, of mean `expected` if that is 1 or more.

    So that the mildest severity harms the smallest image.
    """
    return max(1, int(expected + rng.random()))
