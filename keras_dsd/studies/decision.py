"""What a decision about a study rests on, as one record of plain numbers.

Page and command read it; nothing in it is a sentence. Knows what a `Result` answers.
"""

import dataclasses
import math
import statistics
from typing import Any

from keras_dsd._shared import checks
from keras_dsd.studies import paired, provenance, readings, subgroups, tables
from keras_dsd.studies.worth import Worth

NEEDED = ("cost_per_hour", "events_per_month", "cost_per_error", "months")
OPTIONAL = ("trainings", "currency")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is asked of a study; see `Result.report`."""

    method: str | None = None
    against: str = "conventional"
    when: str = "last"
    margin: float | None = None
    assumptions: dict[str, Any] | None = None
    export: Any = None

    @property
    def part(self):
        """On which data: the last epochs' mean is of validation alone."""
        return "validation" if self.when == "mean_of_last" else "test"


def record(result, wanted):
    """Returns the record: a dict of JSON's types, without NaN or infinity.

    Args:
        result: a `Result`.
        wanted: a `Wanted`.

    Raises:
        TypeError, ValueError: something is asked that the study can't answer.
    """
    known = result.study["methods"]
    checks.one_of(wanted.against, "against", known)
    if wanted.method is not None:
        checks.one_of(wanted.method, "method", known)
        if wanted.method == wanted.against:
            raise ValueError(
                "A method can't be compared with itself. "
                f"Received: method={wanted.method!r}, against={wanted.against!r}"
            )
    if wanted.margin is not None:
        checks.positive(wanted.margin, "margin")
    compared = wanted.against in result.methods
    found = _found(result, wanted) if compared else {}
    chosen = _chosen(wanted, found.get("verdicts", {}), result)
    return finite(
        {
            "directory": str(result.directory),
            "against": wanted.against,
            "method": chosen,
            "is_asked_for": wanted.method is not None,
            "when": wanted.when,
            "part": wanted.part,
            "metric": _metric(result.runs),
            **{"verdicts": {}, "differences": {}, "controls": {}, "rows": []},
            **found,
            **(
                _details(result, found["verdicts"][chosen], wanted)
                if compared and chosen in result.methods
                else {}
            ),
            **provenance.state(result),
            "setup": provenance.setup(result),
            "export": _proof(wanted.export),
        }
    )


def finite(value):
    """Returns a value with `None` for numbers that JSON lacks, all keys strings."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _metric(runs):
    if not runs:
        return None
    name = runs[0]["metric"]
    return {
        "name": name,
        "is_accuracy": name.endswith(readings.ACCURACIES),
        "grows": runs[0]["grows"],
        "resolution": runs[0]["resolution"],
    }


def _found(result, wanted):
    """Returns verdicts, differences by seed, values and costs of all methods."""
    asked = {"when": wanted.when, "part": wanted.part}
    verdicts = result.verdicts(against=wanted.against, margin=wanted.margin, **asked)
    values = {name: _values(result, name, asked) for name in result.methods}
    old = values[wanted.against]
    corrupted = {}
    if any(run["robustness"] for run in result.runs):
        corrupted = result.verdicts("corrupted", against=wanted.against)
    return {
        "values": values,
        "verdicts": {name: _told(verdict) for name, verdict in verdicts.items()},
        "differences": {
            name: {seed: new[seed] - old[seed] for seed in sorted(new.keys() & old)}
            for name, new in values.items()
            if name != wanted.against
        },
        "corrupted": {name: _told(verdict) for name, verdict in corrupted.items()},
        "rows": [
            {**row, **_level(values[row["method"]])}
            for row in tables.rows(result, wanted.against)
        ],
        "controls": _controls(result, asked),
    }


def _values(result, name, asked):
    found = result.values(name, **asked)
    return {seed: value for seed, value in found.items() if math.isfinite(value)}


def _level(values):
    mean, deviation = tables.spread(values)
    return {"mean": mean, "deviation": deviation}


def _told(verdict):
    told = dataclasses.asdict(verdict)
    del told["text"]  # a page says it in its own language
    return {**told, "fewest_seeds": paired.fewest_seeds(max(verdict.methods, 1))}


def _chosen(wanted, verdicts, result):
    """Returns the name of the method to decide on, `None` where there is none."""
    if wanted.method is not None or not verdicts:
        return wanted.method
    sign = 1 if result.runs[0]["grows"] else -1

    def rank(name):
        found = verdicts[name]
        gain = found["difference"]
        return found["outcome"] == "better", -math.inf if gain is None else sign * gain

    return max(verdicts, key=rank)


def _controls(result, asked):
    """Returns {method: its verdict against the same training without masks}."""
    plans = {
        name: provenance.plan(config.get("phases"))
        for name, config in result.study["methods"].items()
        if name in result.methods
    }
    found = {}
    for name, plan in plans.items():
        if all(kind == "Dense" for kind, *_ in plan):
            continue
        dense = [("Dense", *rest) for _, *rest in plan]
        for control, other in plans.items():
            if other == dense:
                found[name] = _told(result.verdicts(against=control, **asked)[name])
    return found


def _details(result, verdict, wanted):
    """Returns what is told of the method to decide on alone."""
    method, against = verdict["method"], wanted.against
    items = subgroups.by_item(result.runs, method, against)
    if items:
        items = {**items, "always": len(items["always"])}
    return {
        "classes": subgroups.by_class(result.runs, method, against),
        "corruptions": subgroups.by_corruption(result.runs, method, against),
        "items": items,
        "worth": _worth(result, verdict, wanted),
        "curves": {
            name: _curve(result.runs, name, result.metric) for name in (against, method)
        },
    }


def _worth(result, verdict, wanted):
    if wanted.assumptions is None:
        return None
    given = _assumptions(wanted.assumptions)
    currency = given.pop("currency", "")
    worth = result.value(verdict["method"], against=wanted.against, **given)
    # Of the page's verdict, which may be that of another epoch than the last.
    worth = dataclasses.replace(worth, errors_saved=verdict["difference"] or 0.0)
    ends = {
        end: None
        if verdict[end] is None
        else _gain(dataclasses.replace(worth, errors_saved=verdict[end]))
        for end in ("low", "high")
    }
    return {
        **dataclasses.asdict(worth),
        "currency": str(currency),
        **_gain(worth),
        "ends": ends,
        "sensitivity": worth.sensitivity(),
    }


def _assumptions(given):
    """Returns a copy of the assumptions, or says which are needed."""
    if not isinstance(given, dict):
        raise TypeError(
            f"`assumptions` must be a dict. Received: assumptions={given!r}"
        )
    missing, unknown = set(NEEDED) - given.keys(), given.keys() - {*NEEDED, *OPTIONAL}
    if missing or unknown:
        raise ValueError(
            f"`assumptions` must have {', '.join(NEEDED)}, and may have "
            f"{', '.join(OPTIONAL)}. Received: assumptions={given!r}"
        )
    return dict(given)


def _gain(worth: Worth):
    return {
        "errors_saved": worth.errors_saved,
        "cost": worth.cost,
        "saved_per_month": worth.saved_per_month,
        "gain": worth.gain,
        "break_even_months": worth.break_even_months,
    }


def _curve(runs, method, metric):
    """Returns the metric by epoch, mean over seeds, of validation where there is."""
    histories = [run["history"] for run in runs if run["method"] == method]
    for key in (f"val_{metric}", metric):
        if histories and all(h and key in h[0] for h in histories):
            epochs = zip(*histories, strict=False)  # as long as the shortest
            return {
                "key": key,
                "mean": [statistics.fmean(logs[key] for logs in e) for e in epochs],
            }
    return None


def _proof(export):
    if export is None:
        return None
    found = export.to_dict() if hasattr(export, "to_dict") else export
    needed = {"path", "format", "items", "max_difference", "tolerance", "runtime"}
    needed |= {"weights_equal", "bytes"}
    if not isinstance(found, dict) or not needed <= found.keys():
        raise ValueError(
            "`export` must be what `deploy.export` returned, or its `to_dict()`. "
            f"Received: export={export!r}"
        )
    return found
