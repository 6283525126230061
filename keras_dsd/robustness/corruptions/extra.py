"""The four extra corruptions of the benchmarks, meant for choosing settings.

Knows filters, noise and the strengths.
"""

import cv2
import numpy as np

from keras_dsd.robustness.corruptions import filters, noise
from keras_dsd.robustness.corruptions.strengths import standard

_WATER = np.array([175, 238, 238], np.float32) / 255
_MUD = np.array([63, 42, 20], np.float32) / 255
_EMBOSS = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], np.float32)


def speckle_noise(images, deviation, rngs):
    """Adds normal noise in proportion to every value."""
    factors = noise.normal(images.shape, rngs)
    factors *= np.float32(deviation)
    factors += 1
    factors *= images
    return factors


def gaussian_blur(images, sigma, rngs):
    """Blurs evenly."""
    return filters.gaussian(images, sigma)


def spatter(images, strength, rngs):
    """Throws water or mud at the lens."""
    mean, deviation, sigma, threshold, amount, is_mud = strength
    count, height, width, channels = images.shape
    drops = noise.normal((count, height, width, 1), rngs)
    drops *= np.float32(deviation)
    drops += np.float32(mean)
    drops = filters.gaussian(drops, sigma)
    if is_mud:
        mask = filters.gaussian((drops > threshold).astype(np.float32), amount)
        mask[mask < 0.8] = 0
        mask = filters.spread(mask[..., 0], channels)
        return images * (1 - mask) + _coloured(mask, _MUD)
    drops[drops < threshold] = 0
    mask = drops * filters.image_by_image(_refraction, drops)
    brightest = mask.max(axis=(1, 2, 3), keepdims=True)
    mask *= np.float32(amount) / np.where(brightest == 0, 1, brightest)
    return images + _coloured(filters.spread(mask[..., 0], channels), _WATER)


def _refraction(drops):
    """Returns where light is broken in an image of drops: beside their edges."""
    drops = (drops * np.float32(255)).astype(np.uint8)
    away = cv2.distanceTransform(255 - cv2.Canny(drops, 50, 150), cv2.DIST_L2, 5)
    away = cv2.blur(np.minimum(away, 20), (3, 3)).astype(np.uint8)
    light = cv2.filter2D(cv2.equalizeHist(away), cv2.CV_8U, _EMBOSS)
    return cv2.blur(light, (3, 3)).astype(np.float32)


def _coloured(masks, colour):
    """Returns masks (N, H, W, C) in a colour, or its luma."""
    *shape, width, channels = masks.shape
    if channels == 1:
        return masks * filters.grey(colour[None, None])
    masks = masks.reshape(*shape, width * channels)
    return (masks * np.tile(colour, width)).reshape(*shape, width, channels)


def saturate(images, strength, rngs):
    """Makes colours stronger or weaker, in hue, saturation and value.

    What has no hue is taken for red, as scikit-image does it, but for images that are
    grey altogether, which stay as they are.
    """
    if images.shape[-1] == 1:
        return images.copy()
    factor, added = (np.float32(value) for value in strength)
    value = filters.brightest(images)
    range_ = value + filters.brightest(-images)
    # Saturation is range / value; here the new one, as a share of the value.
    saturation = range_ / np.where(value == 0, np.float32(1), value)
    new = np.clip(saturation * factor + added, 0, 1) * value
    hueless = range_ == 0
    value = filters.spread(value, 3)
    # By how much each channel is below the value.
    below = value - images
    below *= filters.spread(new / np.where(hueless, np.float32(1), range_), 3)
    if added:
        below[hueless, 1:] = new[hueless][:, None]
    return value - below


CORRUPTIONS = (
    standard(speckle_noise, "extra"),
    standard(gaussian_blur, "extra"),
    standard(spatter, "extra", "fixed"),  # it stays on the lens
    standard(saturate, "extra"),
)
