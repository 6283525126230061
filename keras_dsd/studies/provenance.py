"""Where a study's numbers come from: what has run, what failed, and what was trained.

Plain values, no sentence. Knows what a `Result` answers.
"""

import math

from keras_dsd.studies import tables


def state(result):
    """Returns what is unfinished, failed, damaged, diverged or unequal."""
    seeds = sorted({run["seed"] for run in [*result.runs, *result.failures]})
    done = {(run["method"], run["seed"]) for run in result.runs}
    failed = {(run["method"], run["seed"]) for run in result.failures} - done
    return {
        "seeds": seeds,
        "finished": len(done),
        "missing": [
            {"method": name, "seed": seed}
            for name in result.study["methods"]
            for seed in seeds
            if (name, seed) not in done | failed
        ],
        "failures": [
            {
                "method": run["method"],
                "seed": run["seed"],
                "message": str(run.get("error", {}).get("message", "")),
            }
            for run in result.failures
        ],
        "damaged": [line.rpartition("Received: ")[2] for line in result.damaged],
        "diverged": [
            {"method": run["method"], "seed": run["seed"]}
            for run in result.runs
            if not math.isfinite(run["metrics"]["last"]["test"][run["metric"]])
        ],
        "unequal": [
            {"seed": seed, "what": what, "epoch": None if epoch is None else epoch + 1}
            for seed, what, epoch in tables.differing(result.runs)
        ],
        "same_order": bool(result.runs)
        and all(run["first_batches"] for run in result.runs),
    }


def setup(result):
    """Returns what was trained, with what, and on what."""
    study = result.study
    names = ("build", "data", "epochs", "backend", "fit")
    machine = result.runs[0]["machine"] if result.runs else {}
    return {
        **{name: study.get(name) for name in names},
        "versions": machine.get("versions", {}),
        "platform": machine.get("platform"),
        "items": _items(result.runs),
        "methods": {
            name: [
                {
                    "phase": kind,
                    "epochs": epochs,
                    "lr_factor": factor,
                    "sparsity": _sparsity(phase),
                }
                for (kind, epochs, factor), phase in zip(
                    plan(config.get("phases")), config.get("phases") or (), strict=True
                )
            ]
            for name, config in study["methods"].items()
        },
    }


def _sparsity(phase):
    return phase["config"].get("sparsity")


def _items(runs):
    """Returns how many items of test data there are, `None` where that is not known."""
    counts = [run["classes"]["counts"] for run in runs if run["classes"]]
    return sum(counts[0].values()) if counts else None


def plan(phases):
    """Returns [(kind, epochs, factor of the rate)] of a method's phases."""
    return [
        (p["class_name"], p["config"]["epochs"], p["config"].get("lr_factor"))
        for p in phases or ()
    ]
