"""Records of every kind, made up: what pages are made of."""

import copy
import json

TABLE = {
    "fog": {"1": 0.75, "5": 0.5},
    "shot_noise": {"1": 0.5, "5": 0.25},
    "of_my_own": {"1": 0.875, "5": 0.875},
}


def robustness(
    table=TABLE, clean=0.9375, metric="accuracy", grows=True, baseline=None, **other
):
    """Returns what `RobustnessReport.to_dict` returns, as JSON has it."""
    from keras_dsd.robustness import RobustnessReport

    facts = {"images": 640, "seed": 3, "constants": "cifar", "digest": 77, **other}
    if isinstance(baseline, dict):
        baseline = RobustnessReport.from_dict(copy.deepcopy(baseline))
    families = {"fog": "weather", "shot_noise": "noise", "of_my_own": "of_my_own"}
    report = RobustnessReport(
        metric,
        grows,
        clean,
        {
            name: {int(s): value for s, value in row.items()}
            for name, row in table.items()
        },
        {name: families[name] for name in table},
        baseline=baseline,
        **facts,
    )
    return json.loads(report.to_json())


def baseline(**other):
    """Returns a record of a model that is better under fog, and worse under noise."""
    table = {**TABLE, "fog": {"1": 0.8, "5": 0.75}, "shot_noise": {"1": 0.25, "5": 0.0}}
    return robustness(table, **other)


def export(**other):
    """Returns what `Export.to_dict` returns, as JSON has it."""
    return {
        "path": "out/<b>.onnx",
        "format": "onnx",
        "bytes": 1_234_567,
        "gzipped_bytes": 345_678,
        "weights": 308_000,
        "zeros": 77_000,
        "items": 4,
        "max_difference": 1.5e-7,
        "tolerance": 2e-5,
        "weights_equal": None,
        "runtime": "ONNX Runtime 1.22.0",
        "milliseconds": 0.25,
        "model_milliseconds": 2.0,
        "inputs": {"image": ["[None, 28, 28, 1]", "float32"]},
        "outputs": {"logits": ["[None, 10]", "float32"], "scale": ["[]", "float32"]},
        **other,
    }


BY_KERAS = {
    "path": "model.keras",
    "format": "keras",
    "items": 1,
    "max_difference": 0.0,
    "weights_equal": True,
    "runtime": "Keras 3.15.1 on jax",
    "inputs": {},
    "outputs": {},
}
DIFFERS = {"same": False, "differences": ["inputs: {'a': 1} and {'b': 1}"]}
SAME = {"same": True, "differences": []}


def pages():
    """Returns {name: page}: every kind, and every sentence of a kind at least once."""
    from keras_dsd.reports import export_page, robustness_page

    errors = {name: {"1": 1.5, "5": 4.0} for name in ("fog", "shot_noise")}
    nan = {**TABLE, "fog": {"1": None, "5": 0.5}}
    perfect = {"fog": {"1": 0.9375}}
    worse = {"fog": {"1": 0.5}}
    alexnet = {name: TABLE[name] for name in ("fog", "shot_noise")}
    return {
        "robustness": robustness_page.page(robustness(baseline=baseline())),
        "unlike": robustness_page.page(robustness(baseline=baseline(seed=4))),
        "unknown": robustness_page.page(robustness(baseline=baseline(digest=None))),
        "alexnet": robustness_page.page(robustness(alexnet, baseline="alexnet")),
        "alone": robustness_page.page(robustness(clean=None)),
        "same": robustness_page.page(robustness(perfect)),
        "within": robustness_page.page(robustness(perfect, clean=0.92)),
        "better": robustness_page.page(robustness(perfect, clean=0.5)),
        "errors": robustness_page.page(
            robustness(errors, clean=1.0, metric="mse", grows=False)
        ),
        "errors_against": robustness_page.page(
            robustness(
                errors,
                metric="mse",
                grows=False,
                baseline=robustness(errors, metric="mse", grows=False),
            )
        ),
        "not_finite": robustness_page.page(_with_nan(nan)),
        "perfect_baseline": robustness_page.page(
            robustness(worse, baseline=robustness({"fog": {"1": 1.0}}))
        ),
        "export": export_page.page(export()),
        "by_keras": export_page.page(export(**BY_KERAS), SAME),
        "differs": export_page.page(export(items=1, weights=0, zeros=0), DIFFERS),
    }


def _with_nan(table):
    record = robustness(TABLE)
    return {**record, "table": table, "robust": None, "by_family": {"weather": None}}
