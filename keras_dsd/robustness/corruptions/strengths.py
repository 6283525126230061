"""The published strengths of the 19 standard corruptions, for small and large images.

From the scripts that made CIFAR-10-C and ImageNet-C
([hendrycks/robustness](https://github.com/hendrycks/robustness), commit 8190fe3).
Lengths are in pixels, values in [0, 1] unless a comment says otherwise.
"""

from keras_dsd.robustness.corruptions.corruption import Corruption

# Five severities each; the comment names what stands in a tuple.
_CIFAR = {
    # standard deviation
    "gaussian_noise": (0.04, 0.06, 0.08, 0.09, 0.1),
    # photons of a white pixel
    "shot_noise": (500, 250, 100, 75, 50),
    # share of the values
    "impulse_noise": (0.01, 0.02, 0.03, 0.05, 0.07),
    # radius, sigma that smooths the disk's edge
    "defocus_blur": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
    # sigma, reach (the offset `reach` itself is not drawn), passes
    "glass_blur": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    # radius, sigma
    "motion_blur": ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
    # end and step of the zoom factors, for `numpy.arange`
    "zoom_blur": ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
    # mean, deviation, zoom, threshold, blur's radius, blur's sigma, image's weight
    "snow": (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ),
    # image's weight, frost's weight, scale of the frost's picture
    "frost": (
        (1, 0.2, 0.2),
        (1, 0.3, 0.2),
        (0.9, 0.4, 0.2),
        (0.85, 0.4, 0.2),
        (0.75, 0.45, 0.2),
    ),
    # amount, how much weaker each finer octave is
    "fog": ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
    # added to the value (of hue, saturation, value)
    "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),
    # factor of the distance to the mean
    "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),
    # displacement, its sigma, jitter of the affine map's points
    "elastic_transform": (
        (0, 0, 2.56),
        (1.6, 6.4, 2.24),
        (2.56, 1.92, 1.92),
        (3.2, 1.28, 1.6),
        (3.2, 0.96, 0.96),
    ),
    # share of the sides' pixels that is left
    "pixelate": (0.95, 0.9, 0.85, 0.75, 0.65),
    # quality, of 100
    "jpeg_compression": (80, 65, 58, 50, 40),
    # standard deviation, of the pixel's value
    "speckle_noise": (0.06, 0.1, 0.12, 0.16, 0.2),
    # sigma
    "gaussian_blur": (0.4, 0.6, 0.7, 0.8, 1),
    # mean, deviation, sigma, threshold, strength (mud: sigma), mud instead of water
    "spatter": (
        (0.62, 0.1, 0.7, 0.7, 0.5, False),
        (0.65, 0.1, 0.8, 0.7, 0.5, False),
        (0.65, 0.3, 1, 0.69, 0.5, False),
        (0.65, 0.1, 0.7, 0.69, 0.6, True),
        (0.65, 0.1, 0.5, 0.68, 0.6, True),
    ),
    # saturation's factor, and what is added
    "saturate": ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
}

_IMAGENET = {
    "gaussian_noise": (0.08, 0.12, 0.18, 0.26, 0.38),
    "shot_noise": (60, 25, 12, 5, 3),
    "impulse_noise": (0.03, 0.06, 0.09, 0.17, 0.27),
    "defocus_blur": ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
    "glass_blur": ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
    "motion_blur": ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
    "zoom_blur": ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
    "snow": (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ),
    "frost": (
        (1, 0.4, 1),
        (0.8, 0.6, 1),
        (0.7, 0.7, 1),
        (0.65, 0.7, 1),
        (0.6, 0.75, 1),
    ),
    "fog": ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
    "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),
    "elastic_transform": (
        (488, 170.8, 24.4),
        (488, 19.52, 48.8),
        (12.2, 2.44, 4.88),
        (17.08, 2.44, 4.88),
        (29.28, 2.44, 4.88),
    ),
    "pixelate": (0.6, 0.5, 0.4, 0.3, 0.25),
    "jpeg_compression": (25, 18, 15, 10, 7),
    "speckle_noise": (0.15, 0.2, 0.35, 0.45, 0.6),
    "gaussian_blur": (1, 2, 3, 4, 6),
    "spatter": (
        (0.65, 0.3, 4, 0.69, 0.6, False),
        (0.65, 0.3, 3, 0.68, 0.6, False),
        (0.65, 0.3, 2, 0.68, 0.5, False),
        (0.65, 0.3, 1, 0.65, 1.5, True),
        (0.67, 0.4, 1, 0.65, 1.5, True),
    ),
    "saturate": ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
}


def standard(function, family, time="frames"):
    """Returns the `Corruption` of a function that has the name of a published one."""
    name = function.__name__
    strengths = {"cifar": _CIFAR[name], "imagenet": _IMAGENET[name]}
    return Corruption(name, family, function, strengths, time)
