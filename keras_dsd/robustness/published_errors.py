"""AlexNet's top-1 errors on ImageNet-C, the baseline of the published mCE.

Means over severities 1 to 5, as given in the benchmark's
[code](https://github.com/hendrycks/robustness); the clean error is that of
torchvision's AlexNet, whose accuracy is 56.52 %. With what may be compared with them.
"""

import warnings

from keras_dsd.robustness.corruptions.corrupting import SMALL

# Names of the metric that 1 minus AlexNet's errors is.
TOP_1 = {"accuracy", "categorical_accuracy", "sparse_categorical_accuracy"}
ALEXNET_CLEAN = 0.4348
ALEXNET = {
    "gaussian_noise": 0.886428,
    "shot_noise": 0.894468,
    "impulse_noise": 0.922640,
    "defocus_blur": 0.819880,
    "glass_blur": 0.826268,
    "motion_blur": 0.785948,
    "zoom_blur": 0.798360,
    "snow": 0.866816,
    "frost": 0.826572,
    "fog": 0.819324,
    "brightness": 0.564592,
    "contrast": 0.853204,
    "elastic_transform": 0.646056,
    "pixelate": 0.717840,
    "jpeg_compression": 0.606500,
    "speckle_noise": 0.845388,
    "gaussian_blur": 0.787108,
    "spatter": 0.717512,
    "saturate": 0.658248,
}


def check_comparable(metric, conditions):
    """Raises a ValueError unless AlexNet's errors are of the same kind as a report's.

    Args:
        metric: name of the report's metric.
        conditions: iterable of its (corruption, severity); those of severity 0, which
            are clean images, don't count.
    """
    if metric not in TOP_1:
        raise ValueError(
            f"AlexNet's errors are those of the accuracy, {sorted(TOP_1)}. "
            f"Received: metric={metric!r}"
        )
    found: dict = {}
    for name, severity in conditions:
        if severity:
            found.setdefault(name, []).append(severity)
    unknown = [name for name in found if name not in ALEXNET]
    if unknown:
        raise ValueError(
            f"AlexNet's errors are published for {sorted(ALEXNET)}. "
            f"Received: corruptions={unknown}"
        )
    for severities in found.values():
        if sorted(severities) != [1, 2, 3, 4, 5]:
            raise ValueError(
                "AlexNet's errors are means over the severities 1 to 5. "
                f"Received: severities={severities}"
            )


def check_images(shape, strengths):
    """Raises a ValueError, or warns, if images are not those of ImageNet-C.

    Args:
        shape: shape of a batch of images.
        strengths: the set of constants that they are corrupted with, or `"published"`.
    """
    size = tuple(shape[-3:-1])
    if strengths == "cifar" or max(size) <= SMALL:
        raise ValueError(
            "AlexNet's errors are of ImageNet-C: pictures of 224 x 224 pixels, "
            "corrupted with its strengths. "
            f"Received: images of {size[0]} x {size[1]}, constants={strengths!r}"
        )
    if size != (224, 224):
        warnings.warn(
            "AlexNet's errors are of ImageNet-C, pictures of 224 x 224 pixels: mCE "
            "compares with other images. "
            f"Received: images of {size[0]} x {size[1]}",
            stacklevel=3,
        )
