"""`churn(moments)`: how many connections come and go, how many were ever tried.

Of masks, or of the log of a run's mask updates, which has the counts. `explored` is
the in-time over-parametrization of Liu et al. 2021 (arXiv:2102.02887). Knows packed
bits and the records of a log; knows no file of theirs.
"""

import dataclasses

import numpy as np

from keras_dsd._shared import paths
from keras_dsd.analysis._shared import results
from keras_dsd.analysis.masks import moments as moments_


@dataclasses.dataclass(frozen=True)
class Churn:
    """Connections that come and go between T successive moments.

    Args:
        labels: list of T: indices, names of files, or the optimizer steps of updates.
        sizes: {path of a weight: how many connections it can have}.
        active: {path: array of T}, connections that are active.
        grown: {path: array of T}, those that were not at the moment before; NaN where
            there was none.
        dropped: {path: array of T}, those that were active at the moment before, only.
        explored: {path: array of T}, those that have been active at any moment so far.
            Of a log, which tells the share of all together: {None: array}, shares.

    >>> from keras_dsd import analysis
    >>> one = {"kernel": [2, 2]}
    >>> found = analysis.Churn([0, 1], {"kernel": 4}, one,
    ...     {"kernel": [float("nan"), 1]}, {"kernel": [float("nan"), 1]},
    ...     {"kernel": [2, 3]})
    >>> found.churn().tolist(), found.explored_share().tolist()
    ([nan, 0.5], [0.5, 0.75])
    """

    labels: list
    sizes: dict
    active: dict
    grown: dict
    dropped: dict
    explored: dict

    def __post_init__(self):
        for name in ("active", "grown", "dropped", "explored"):
            made = {
                path: np.array(values, "float64")
                for path, values in getattr(self, name).items()
            }
            object.__setattr__(self, name, made)

    @property
    def paths(self):
        """Paths of the weights, in the order of the model."""
        return list(self.active)

    def churn(self, path=None):
        """Returns the fraction of the active connections that have just grown, (T,).

        As `logs["churn"]` of a run, there from epoch to epoch.

        Args:
            path: of a weight. Defaults to `None`: all together.

        Raises:
            ValueError: there is none of that path.
        """
        chosen = results.chosen(self.paths, path)
        active = sum(self.active[one] for one in chosen)
        return sum(self.grown[one] for one in chosen) / np.maximum(active, 1)

    def sparsity(self, path=None):
        """Returns the fraction of the connections that are not active, (T,)."""
        chosen = results.chosen(self.paths, path)
        active = sum(self.active[one] for one in chosen)
        return 1 - active / max(sum(self.sizes[one] for one in chosen), 1)

    def explored_share(self, path=None):
        """Returns the share of all connections that have been active so far, (T,).

        Counted from the first moment; in a log, from the beginning of each phase.
        """
        chosen = results.chosen(self.paths, path)
        if None not in self.explored:
            total = max(sum(self.sizes[one] for one in chosen), 1)
            return sum(self.explored[one] for one in chosen) / total
        if path is not None:
            raise ValueError(
                "A log tells what was explored of all weights together only. "
                f"Received: path={path!r}"
            )
        return self.explored[None]

    def to_dict(self):
        """Returns all of it as plain lists, what there is not as `None`."""
        return {
            "labels": list(self.labels),
            "sizes": dict(self.sizes),
            **{
                name: {
                    "all" if path is None else path: _plain(
                        values, int if path else float
                    )
                    for path, values in getattr(self, name).items()
                }
                for name in ("active", "grown", "dropped", "explored")
            },
            "churn": _plain(self.churn()),
            "explored_share": _plain(self.explored_share()),
        }

    def plot(self, ax=None):
        """Draws churn, share explored and sparsity, of all weights together.

        Args:
            ax: a matplotlib `Axes` to draw into. Defaults to `None`: a new figure.

        Returns:
            The `matplotlib.figure.Figure`.

        Raises:
            ImportError: matplotlib is not installed.
        """
        ax = results.axes(ax, 4, needed_by="`Churn.plot`")
        is_number = all(isinstance(label, int) for label in self.labels)
        places = self.labels if is_number else range(len(self.labels))
        ax.plot(places, self.sparsity(), color="#2b6ca3", label="sparsity")
        ax.plot(places, self.explored_share(), color="#e08a1e", label="explored")
        ax.plot(places, self.churn(), color="#3a7d44", marker=".", label="churn")
        if not is_number:
            ax.set_xticks(places, self.labels, rotation=90)
        ax.set_ylim(-0.02, 1.02)
        ax.set_xlabel("optimizer steps" if None in self.explored else "moment")
        ax.set_ylabel("share of connections")
        ax.legend(fontsize=7)
        return ax.figure


def churn(moments):
    """Counts which connections come and go, and how many were ever active.

    Memory: an eighth of a byte for each connection, three times.

    Args:
        moments: list of two or more in the order of time: models, paths of `.keras`
            files, what `snapshots.read` returns, or dicts {path of a weight: bool
            array}; a generator is taken one by one. Or what `keras_dsd.audit.read`
            returns, the updates of one run, whose counts need no masks; also one update
            alone.

    Returns:
        A `Churn`.

    Raises:
        TypeError, ValueError: fewer than two moments, or no update; one is of another
            type; their weights differ in path or shape; updates of two runs are mixed.

    >>> import numpy as np
    >>> from keras_dsd import analysis
    >>> first = {"kernel": np.array([True, True, False, False])}
    >>> second = {"kernel": np.array([True, False, True, False])}
    >>> found = analysis.churn([first, second])
    >>> found.grown["kernel"].tolist(), found.explored["kernel"].tolist()
    ([nan, 1.0], [2.0, 3.0])
    """
    if isinstance(moments, list) and moments and _is_update(moments[0]):
        return _of_log(moments)
    found: list = []
    sizes: dict = {}
    before: dict = {}
    ever: dict = {}
    labels = []
    for moment in moments_.stream(moments, "moments", at_least=2):
        labels.append(moment.label)
        sizes = {path: int(np.prod(shape)) for path, shape in moment.shapes.items()}
        row = {}
        for path, now in moment.bits.items():
            ever[path] = ever[path] | now if path in ever else now
            row[path] = (
                moments_.count(now),
                moments_.count(now & ~before[path]) if before else np.nan,
                moments_.count(before[path] & ~now) if before else np.nan,
                moments_.count(ever[path]),
            )
        before = moment.bits
        found.append(row)
    return _made(labels, sizes, found)


def _made(labels, sizes, rows):
    """Returns the `Churn` of rows {path: (active, grown, dropped, explored)}."""
    columns = [
        {path: [row[path][index] for row in rows] for path in sizes}
        for index in range(4)
    ]
    return Churn(labels, sizes, *columns)


def _plain(values, kind=float):
    return [None if np.isnan(value) else kind(value) for value in values]


def _is_update(one):
    return isinstance(one, dict) and {"step", "phase", "weights"} <= one.keys()


def _of_log(records):
    """Returns the `Churn` of a run's mask updates, which must follow each other."""
    rows: list = []
    sizes: dict = {}
    last: dict = {}
    for index, record in enumerate(records):
        if not _is_update(record):
            raise TypeError(
                "`moments` must hold updates only, as `keras_dsd.audit.read` returns "
                f"them. Received: moments[{index}] of type {type(record).__name__}"
            )
        names = paths.distinct(entry["path"] for entry in record["weights"])
        entries = dict(zip(names, record["weights"], strict=True))
        own = {path: entry["size"] for path, entry in entries.items()}
        sizes = sizes or own
        if own != sizes or record["step"] < last.get("step", 0):
            raise ValueError(
                "The updates must be of one run, in its order. Received: "
                f"moments[{index}] at step {record['step']} of {own}, after step "
                f"{last.get('step')} of {sizes}"
            )
        _check_follows(record, last, entries, rows, index)
        rows.append(
            {
                path: (
                    entry["kept"] + entry["grown"],
                    entry["grown"],
                    entry["dropped"],
                    np.nan,
                )
                for path, entry in entries.items()
            }
        )
        last = record
    found = _made([record["step"] for record in records], sizes, rows)
    shares = [record["explored"] for record in records]
    return dataclasses.replace(found, explored={None: shares})


def _check_follows(record, last, entries, rows, index):
    """Raises where an update does not begin with what the one before left."""
    if not last or last["phase"] != record["phase"]:
        return  # between phases masks may have been off
    for path, entry in entries.items():
        before = entry["kept"] + entry["dropped"]
        if before != rows[-1][path][0]:
            raise ValueError(
                "The updates of a phase must follow each other: some are missing, or "
                f"of another run. Received: moments[{index}], before which {before:,} "
                f"connections of {path} are active, after {rows[-1][path][0]:,.0f}"
            )
