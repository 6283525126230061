"""What PyTorch does in its own way."""

import torch


def gradients_wanted():
    """Returns whether the call may be differentiated."""
    return torch.is_grad_enabled()


def new_train_function(model):
    """Returns a training step of `model` that will be traced anew, if it is traced."""
    model.make_train_function(force=True)
    return model.train_function


def compiled_update(function, variables):
    """Returns `run(*args)`, which computes new values of `variables` and assigns them.

    Args:
        function: `function(values, *args) -> (new values, aux)`, pure.
        variables: dict {name: list of Keras variables}; `values` has the same form.

    Returns:
        A callable that takes tensors and returns `aux`.
    """

    @torch.no_grad()
    def run(*args):
        values = {
            name: [variable.value for variable in group]
            for name, group in variables.items()
        }
        values, aux = function(values, *args)
        for name, group in variables.items():
            for variable, value in zip(group, values[name], strict=True):
                variable.assign(value)
        return aux

    return run
