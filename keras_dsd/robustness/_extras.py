"""Says what to install, before the other rooms fail to import it."""

import importlib.util

_PACKAGES = {
    "cv2": "opencv-python-headless",
    "matplotlib": "matplotlib",
    "PIL": "pillow",
    "rich": "rich",
    "scipy": "scipy",
}
_missing = [
    package
    for module, package in _PACKAGES.items()
    if importlib.util.find_spec(module) is None
]
if _missing:
    raise ImportError(
        f"{', '.join(_missing)} not found. Install what keras_dsd.robustness needs: "
        'pip install "keras-dsd[robustness]"'
    )
