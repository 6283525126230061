"""`sparsity="auto"` as an argument: what goes with it, and what does not.

Knows the arguments of `Sparse`. How the sparsity is found says `auto_sparsity`.
"""

from keras_dsd._shared import checks, directions

AUTO = "auto"  # a sparsity that is found in training
BY_WEIGHT = "sensitivity"  # the distribution that is found with it
TOLERANCE = 0.01


def check(phase):
    """Checks the arguments of a search; those of others must be left out.

    Args:
        phase: a `Sparse` whose pattern is resolved.

    Raises:
        TypeError, ValueError: an argument is not as said, or contradicts another.
    """
    checks.not_negative(phase.tolerance, "tolerance")
    directions.check(phase.mode)
    _check_monitor(phase.monitor)
    if phase.is_auto:
        _check_others(phase)
        return
    told = float(phase.tolerance), phase.monitor, phase.mode
    if told != (TOLERANCE, None, "auto"):
        raise ValueError(
            "`tolerance`, `monitor` and `mode` are for `sparsity='auto'`. "
            f"Received: sparsity={phase.sparsity!r}, tolerance={phase.tolerance!r}, "
            f"monitor={phase.monitor!r}, mode={phase.mode!r}"
        )
    if phase.is_by_weight:
        raise ValueError(
            "The distribution 'sensitivity' is found with `sparsity='auto'`. Received: "
            f"sparsity={phase.sparsity!r}, distribution={phase.distribution!r}"
        )


def _check_monitor(monitor):
    message = (
        "`monitor` must be a metric of validation as it stands in the logs, "
        f'"val_...". Received: monitor={monitor!r}'
    )
    if monitor is not None and not isinstance(monitor, str):
        raise TypeError(message)
    if monitor is not None and not monitor.startswith("val_"):
        raise ValueError(message)


def _check_others(phase):
    if phase.monitor is not None:
        directions.grows(phase.monitor, phase.mode)  # or it is asked for
    for name, is_bad in (
        ("pattern", phase.pattern.sparsity is not None),
        ("regrowth", phase.regrowth is not None),
        ("schedule", callable(phase.schedule)),
    ):
        if is_bad:
            raise ValueError(
                f"With this `{name}` the sparsity must be a number. Received: "
                f"sparsity='auto', {name}={getattr(phase, name)!r}"
            )
