"""What every corruption keeps, of images and of clips."""

import numpy as np

from keras_dsd import robustness

# Standard corruptions without random draws.
EXACT = [
    "defocus_blur",
    "zoom_blur",
    "brightness",
    "contrast",
    "pixelate",
    "jpeg_compression",
    "gaussian_blur",
    "saturate",
]


def assert_sound(images, *args, **kwargs):
    """Shape, dtype and range are kept, the images too, and a second call is the same.

    Args:
        images: array.
        *args, **kwargs: what `corrupt` gets after the images.
    """
    before = images.copy()
    result = robustness.corrupt(images, *args, **kwargs)
    assert result.shape == images.shape
    assert result.dtype == images.dtype
    assert np.isfinite(result.astype("float32")).all()
    assert result.min() >= 0
    assert result.max() <= (255 if images.dtype == np.uint8 else 1)
    np.testing.assert_array_equal(images, before)
    again = robustness.corrupt(images, *args, **kwargs)
    np.testing.assert_array_equal(again, result)


def assert_independent_of_the_batch(images, name, severity, first_index):
    """Each image, or clip, alone comes out as it does among the others."""
    whole = robustness.corrupt(images, name, severity, first_index=first_index)
    for i in range(len(images)):
        alone = robustness.corrupt(
            images[i : i + 1], name, severity, first_index=first_index + i
        )
        np.testing.assert_array_equal(alone[0], whole[i])
