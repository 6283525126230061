"""What `keras-dsd robustness` does: loads a model and data, measures, writes a folder.

The top of `robustness`: knows files, and everything below; nothing imports it but the
command line.
"""

import dataclasses
import pathlib

import keras
import numpy as np

from keras_dsd.robustness import (
    adversarial,
    data,
    figures,
    frequency,
    inputs,
    published,
)
from keras_dsd.robustness.corruptions import catalog
from keras_dsd.robustness.evaluating import evaluate
from keras_dsd.robustness.report import RobustnessReport

VIDEOS = 5  # axes of an array of them


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the command was asked for; checks what can be checked without the model.

    Args:
        model: path of a file that Keras saved.
        data: path of an .npz, of a folder of images or of .npy files, or a name.
        clean: path of an .npz with the clean images of a corrupted data set, or `None`.
        classes, image_size, crop_to_aspect_ratio, pad_to_aspect_ratio,
            skip_unreadable: of a folder of images, see `inputs.Pictures`.
        corruptions: list of names of corruptions or families, or `None`.
        severities: list of integers, or `None`.
        metric: name of a metric of Keras.
        mode: whether more of it is better, as in `evaluate`.
        baseline: path of a model or of a report, `"alexnet"`, or `None`.
        input_range: list of what black and white are to the model, or `None`: it takes
            images as they are.
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
    classes: list | None
    image_size: list | None
    crop_to_aspect_ratio: bool
    pad_to_aspect_ratio: bool
    skip_unreadable: bool
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
        self.pictures()
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
        given, out = pathlib.Path(self.data).resolve(), pathlib.Path(self.out).resolve()
        if given.is_dir() and out.is_relative_to(given):
            # Where they would be taken for data by the next run.
            raise ValueError(
                "The results must not lie among the data. "
                f"Received: out={self.out!r}, data={self.data!r}"
            )
        pathlib.Path(self.out).mkdir(parents=True, exist_ok=True)

    def pictures(self):
        """Returns what is said about a folder of pictures, as `inputs.Pictures`."""
        names = [field.name for field in dataclasses.fields(inputs.Pictures)]
        return inputs.Pictures(**{name: getattr(self, name) for name in names})


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
    corruptions = settings.corruptions and expand(settings.corruptions)
    model = _model(settings.model)
    baseline = settings.baseline
    if baseline not in (None, "alexnet"):
        is_report = baseline.endswith(".json")
        baseline = (RobustnessReport.from_json if is_report else _model)(baseline)
    given = inputs.load(
        settings.data,
        model,
        clean=settings.clean,
        batch_size=settings.batch_size,
        pictures=settings.pictures(),
    )
    for line in given.notes:
        print(line)
    how = {
        "metric": settings.metric,
        "preprocess": _preprocess(settings.input_range, given.x),
        "batch_size": given.batch_size,
    }
    report = evaluate(
        model,
        given.x,
        given.y,
        corruptions=corruptions,
        severities=settings.severities,
        mode=settings.mode,
        baseline=baseline,
        seed=settings.seed,
        **how,
    )
    out = pathlib.Path(settings.out)
    written = [*_write_report(report, out), *_write_classes(given.classes, out)]
    if isinstance(given.x, published.CorruptedSet):
        left = [name for name in given.x.names if name not in report.table]
        if left and corruptions is None:
            print(f"Not measured, as no part of the published mean: {', '.join(left)}")
    elif getattr(given.x, "ndim", None) != VIDEOS:
        written.append(_write_curves(model, given, out, how))
    print(report)
    print(f"Written: {', '.join(sorted(written))} in {out}")
    return report


def expand(names):
    """Returns names of corruptions, those of a family in the place of its name."""
    families = _families()
    found: dict = {}
    for name in names:
        found.update(dict.fromkeys(families.get(name, (name,))))
    return list(found)


def listing():
    """Returns the names of all corruptions, a line for each family."""
    return "\n".join(
        f"{family}: {', '.join(names)}" for family, names in _families().items()
    )


def _families():
    """Returns {family: names of its corruptions}, those against the model too."""
    families = dict.fromkeys(catalog.get(name).family for name in catalog.names())
    return {
        **{family: catalog.names(family) for family in families},
        adversarial.FAMILY: adversarial.ATTACKS,
    }


def _preprocess(input_range, x):
    if not input_range:
        return None
    # Of the data, not of a batch: attacks make floating images of 8-bit ones.
    full = data.white(x) if isinstance(x, np.ndarray) else 255.0
    black, white = input_range
    return _Scaled(black, white, full)


def _write_report(report, out):
    """Writes a report in its forms; returns the names of the files."""
    report.to_json(out / "report.json")
    report.to_csv(out / "report.csv")
    report.to_markdown(out / "report.md")
    report.plot(out / "report.png")
    names = ["report.json", "report.csv", "report.md", "report.png"]
    if isinstance(report.baseline, RobustnessReport):
        figures.plot_gain(report.gain_over(report.baseline), out / "gain.png")
        names.append("gain.png")
    return names


def _write_classes(classes, out):
    """Writes the names of classes, as `--classes` takes them."""
    if classes is None:
        return []
    lines = "".join(f"{name}\n" for name in classes)
    (out / "classes.txt").write_text(lines, encoding="utf-8")
    return ["classes.txt"]


def _write_curves(model, given, out, how):
    curves = {
        f"{keep} frequencies": frequency.radius_accuracy(
            model, given.x, given.y, keep=keep, **how
        )
        for keep in frequency.KEEP
    }
    figures.plot_radius_accuracy(curves, out / "frequencies.png")
    return "frequencies.png"


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
