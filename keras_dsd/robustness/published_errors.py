"""AlexNet's top-1 errors on ImageNet-C, the baseline of the published mCE.

Means over severities 1 to 5, as given in the benchmark's
[code](https://github.com/hendrycks/robustness); the clean error is that of
torchvision's AlexNet, whose accuracy is 56.52 %.
"""

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
