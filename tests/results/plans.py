"""Methods and phases of the map that `studies` has no name for.

Knows phases and methods; knows no data.
"""

from keras_dsd import phases, studies

PATIENCE = 4  # epochs of `early_stopping`, where a run has few


def moving(epochs, method, sparsity, every, **arguments):
    """Returns sparse training from the start, masks moving every so many steps."""
    return studies.Method(
        phases=phases.dst(epochs, method, sparsity, update_every=every),
        track_gradients=method == "rigl",
        **arguments,
    )


def early_stopping(epochs):
    """Returns dense training that ends when the validation loss stalls."""
    plateau = phases.Plateau(patience=PATIENCE)
    return studies.Method(phases=[phases.Dense(epochs, until=plateau)])


def kept(plan):
    """Returns phases of the same rates whose first mask stays to the end."""
    first = next(at for at, phase in enumerate(plan) if phase.is_sparse)
    sparsity = plan[first].sparsity
    return plan[: first + 1] + [
        phases.Sparse(phase.epochs, sparsity=sparsity, lr_factor=phase.lr_factor)
        for phase in plan[first + 1 :]
    ]


def from_zero(plan):
    """Returns the phases with what comes back coming back as zero, not drawn anew."""
    return [
        phases.Redense(phase.epochs, lr_factor=phase.lr_factor)
        if isinstance(phase, phases.Redense)
        else phase
        for phase in plan
    ]
