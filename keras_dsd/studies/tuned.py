"""What a search found: its trials, its best, and what that is worth on fresh seeds.

Knows values of trials and the `Result` of a comparison.
"""

import json
import statistics

import keras

from keras_dsd.studies import records


class Tuned:
    """The result of `studies.tune`; prints as text.

    Args:
        trials: list of dicts with `number`, `params` and `value`, the metric on
            validation data (`None`: it failed).
        best: the one with the best value.
        confirmed: the `studies.Result` of `"tuned"` against another method on fresh
            seeds.
        against: that method's name.

    Attributes:
        trials, best, confirmed, against: as above.
    """

    def __init__(self, trials, best, confirmed, against):
        self.trials = trials
        self.best = best
        self.confirmed = confirmed
        self.against = against

    @property
    def params(self):
        """Dict of what was suggested in the best trial."""
        return self.best["params"]

    @property
    def phases(self):
        """List of the phases of the best trial, for `DSDCallback`."""
        config = self.confirmed.study["methods"]["tuned"]["phases"]
        return list(keras.saving.deserialize_keras_object(config))

    @property
    def searched(self):
        """The best trial's value in the search: flattered, as the best of many is."""
        return self.best["value"]

    @property
    def fresh(self):
        """The mean value of the same phases on fresh seeds, on validation data too.

        `None` if all runs failed.
        """
        if "tuned" not in self.confirmed.methods:
            return None
        return statistics.fmean(
            self.confirmed.values("tuned", part="validation").values()
        )

    def verdict(self, metric=None, **arguments):
        """Returns the `Verdict` of the tuned phases on test data, on fresh seeds.

        Args:
            metric: as for `Result.verdict`.
            **arguments: others of `Result.verdict`.
        """
        return self.confirmed.verdict("tuned", self.against, metric, **arguments)

    def to_dict(self):
        """Returns trials, the best, both its values, and all runs on fresh seeds."""
        return {
            "trials": self.trials,
            "best": self.best,
            "searched": self.searched,
            "fresh": self.fresh,
            "against": self.against,
            "confirmed": self.confirmed.to_dict(),
        }

    def to_json(self, path=None):
        """Returns `to_dict` as JSON, or writes it to a file."""
        text = json.dumps(records.to_json(self.to_dict()), indent=1)
        if path is None:
            return text
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return None

    def __str__(self):
        """Returns the best trial, both its values, and the verdict."""
        failed = sum(one["value"] is None for one in self.trials)
        name = self.confirmed.metric
        chosen = ", ".join(
            f"{key}={value:.3g}" if isinstance(value, float) else f"{key}={value}"
            for key, value in self.params.items()
        )
        lines = [
            f"Best of {len(self.trials)} trials"
            + (f" ({failed} failed)" if failed else "")
            + f": number {self.best['number']}, {chosen}",
            f"Validation {name} in the search: {self.searched:.4f}"
            + (
                f"; on fresh seeds: {self.fresh:.4f}. The second is what to expect."
                if self.fresh is not None
                else ""
            ),
            "",
            str(self.confirmed),
        ]
        if self.against != "conventional" and self.fresh is not None:
            lines.append(self.verdict().text)
        return "\n".join(lines)
