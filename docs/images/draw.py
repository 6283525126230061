"""Draws the sheets that docs/corruptions.md shows: `python -m docs.images.draw`.

The picture on them is drawn too (`tests.robustness.scene`), so it is free to use.
"""

import io
import pathlib

from PIL import Image

from keras_dsd import robustness
from tests.robustness import scene

FOLDER = pathlib.Path(__file__).parent
STANDARD = ("noise", "blur", "weather", "digital", "extra")
CAMERA = ("lens", "sensor", "light", "motion", "transmission")


def draw(name, picture, families, **arguments):
    """Writes a sheet of all corruptions of some families, as a small PNG."""
    names = [name for family in families for name in robustness.names(family)]
    figure = robustness.contact_sheet(picture, names, **arguments)
    file = io.BytesIO()
    figure.savefig(file, dpi=72)
    sheet = Image.open(file).convert("RGB")
    # A quarter of the bytes; other methods lose the colours that are rare.
    sheet = sheet.quantize(method=Image.Quantize.FASTOCTREE)
    sheet.save(FOLDER / name, optimize=True)


if __name__ == "__main__":
    draw("corruptions_standard.png", scene.conveyor(), STANDARD)
    draw("corruptions_camera.png", scene.conveyor(), CAMERA)
    draw("corruptions_video.png", scene.conveyor(frames=21), ["video"], severities=4)
