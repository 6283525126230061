"""What `keras-dsd robustness` does: loads a model and data, measures, writes a folder.

The top of this room: knows files, and everything below; nothing imports it but the
command line.
"""

import dataclasses
import pathlib

import keras
import numpy as np

from keras_dsd.robustness import data, figures, frequency, published
from keras_dsd.robustness.evaluating import evaluate
from keras_dsd.robustness.report import RobustnessReport

ARRAYS = (("x", "y"), ("x_test", "y_test"))  # names of images and labels in an .npz


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the command was asked for; checks what can be checked without the model.

    Args:
        model: path of a file that Keras saved.
        data: path of an .npz, of a folder of images or of .npy files, or a name.
        clean: path of an .npz with the clean images of a corrupted data set, or `None`.
        corruptions: list of names, or `None`.
        severities: list of integers, or `None`.
        metric: name of a metric of Keras.
        mode: whether more of it is better, as in `evaluate`.
        baseline: path of a model or of a report, `"alexnet"`, or `None`.
        input_range: the two numbers that the model knows black and white as, or `None`:
            it takes images as they are.
        batch_size: integer, or `None`.
        seed: integer.
        out: folder for the results.

    Raises:
        ValueError: an argument is wrong.
        OSError: a file is missing, or the folder can't be made.
    """

    model: str
    data: str
    clean: str | None
    corruptions: list | None
    severities: list | None
    metric: str
    mode: str
    baseline: str | None
    input_range: list | None
    batch_size: int | None
    seed: int
    out: str

    def __post_init__(self):
        data.check_batch_size(self.batch_size)
        if self.input_range and self.input_range[0] == self.input_range[1]:
            raise ValueError(
                f"Black and white must differ. Received: input_range={self.input_range}"
            )
        files = [self.model, self.clean]
        if self.baseline not in (None, "alexnet"):
            files.append(self.baseline)
        for file in filter(None, files):
            if not pathlib.Path(file).is_file():
                raise ValueError(f"There is no such file. Received: {file!r}")
        pathlib.Path(self.out).mkdir(parents=True, exist_ok=True)


ARGUMENTS = tuple(field.name for field in dataclasses.fields(Settings))


def run(settings):
    """Measures, prints the report and writes report.json, .csv, .md and pictures.

    Args:
        settings: `Settings`.

    Returns:
        The `RobustnessReport`.

    Raises:
        ValueError: a file holds something else, or model and data don't fit.
    """
    model = _model(settings.model)
    x, y, size = _data(settings, model)
    baseline = settings.baseline
    if baseline not in (None, "alexnet"):
        is_report = baseline.endswith(".json")
        baseline = (RobustnessReport.from_json if is_report else _model)(baseline)
    preprocess = None
    if settings.input_range:
        # Of the data, not of a batch: attacks make floating images of 8-bit ones.
        full = data.white(x) if isinstance(x, np.ndarray) else 255.0
        black, white = settings.input_range
        preprocess = _Scaled(black, white, full)
    report = evaluate(
        model,
        x,
        y,
        corruptions=settings.corruptions,
        severities=settings.severities,
        metric=settings.metric,
        mode=settings.mode,
        baseline=baseline,
        preprocess=preprocess,
        batch_size=size,
        seed=settings.seed,
    )
    out = pathlib.Path(settings.out)
    report.to_json(out / "report.json")
    report.to_csv(out / "report.csv")
    report.to_markdown(out / "report.md")
    report.plot(out / "report.png")
    if isinstance(report.baseline, RobustnessReport):
        figures.plot_gain(report.gain_over(report.baseline), out / "gain.png")
    if not isinstance(x, published.CorruptedSet):
        curves = {
            f"{keep} frequencies": frequency.radius_accuracy(
                model,
                x,
                y,
                keep=keep,
                metric=settings.metric,
                preprocess=preprocess,
                batch_size=size,
            )
            for keep in frequency.KEEP
        }
        figures.plot_radius_accuracy(curves, out / "frequencies.png")
    print(report)
    print(f"Written: {', '.join(sorted(file.name for file in out.iterdir()))} in {out}")
    return report


class _Scaled:
    """Brings images from 0 to `full` into the range that a model knows."""

    def __init__(self, low, high, full):
        self._low, self._factor = low, np.float32((high - low) / full)

    def __call__(self, images):
        return self._low + images * self._factor


def _model(path):
    try:
        return keras.saving.load_model(path)
    except (ValueError, TypeError, OSError) as error:
        raise ValueError(
            f"Keras can't load this model. Received: {path!r} ({error})"
        ) from error


def _data(settings, model):
    """Returns x, y and batch size, as `evaluate` takes them."""
    path = pathlib.Path(settings.data)
    clean = settings.clean and _npz(settings.clean)
    size = settings.batch_size
    if path.suffix == ".npz":
        return *_npz(path), size
    if (path / "labels.npy").exists():
        return published.npy_set(path, clean), None, size
    if path.is_dir():
        return _Pictures(path, model, data.check_batch_size(size)), None, None
    if settings.data in published.NAMES:
        return published.published_set(settings.data, clean=clean), None, size
    raise ValueError(
        "Data is an .npz with x and y, a folder with a folder of pictures for each "
        "class, a folder with .npy files as CIFAR-10-C has them, or one of "
        f"{published.NAMES}. Received: {settings.data!r}"
    )


def _npz(path):
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for names in ARRAYS:
                if set(names) <= set(arrays.files):
                    return tuple(arrays[name] for name in names)
            found = arrays.files
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(
            f"Not a file of NumPy arrays. Received: {str(path)!r} ({error})"
        ) from error
    raise ValueError(
        "The file must hold x and y, or x_test and y_test. "
        f"Received: {str(path)!r} with {found}"
    )


class _Pictures:
    """Batches of the pictures in a folder that has a folder for each class."""

    def __init__(self, folder, model, batch_size):
        shape = model.input_shape[1:]
        if len(shape) != 3 or None in shape:
            raise ValueError(
                "Pictures from a folder need a model whose input has a fixed size "
                f"(H, W, C). Received: input_shape={model.input_shape}"
            )
        self._batches = keras.utils.image_dataset_from_directory(
            folder,
            label_mode="int",
            color_mode="grayscale" if shape[-1] == 1 else "rgb",
            batch_size=batch_size,
            image_size=shape[:2],
            shuffle=False,
            verbose=False,
        )

    def __len__(self):
        return len(self._batches)

    def __iter__(self):
        for images, labels in self._batches:
            # Keras resizes, and gives floating values from 0 to 255.
            yield np.rint(images).astype("uint8"), np.asarray(labels)
