"""What JAX does in its own way."""

import jax


def gradients_wanted():
    """Returns whether the call may be differentiated; under tracing nobody can tell."""
    return True


def new_train_function(model):
    """Returns a training step of `model` that will be traced anew.

    `jax.jit` finds an old trace again if the function compares equal, and bound
    methods of one model do. So Keras is handed another function object, for as long as
    it builds the step; the model is left as it was.
    """
    step = type(model).train_step
    model.train_step = lambda *args, **kwargs: step(model, *args, **kwargs)
    try:
        model.make_train_function(force=True)
    finally:
        del model.train_step
    return model.train_function


def compiled_update(function, variables):
    """Returns `run(*args)`, which computes new values of `variables` and assigns them.

    Args:
        function: `function(values, *args) -> (new values, aux)`, pure.
        variables: dict {name: list of Keras variables}; `values` has the same form.

    Returns:
        A callable that takes arrays, is traced once, and returns `aux`. The buffers of
        the variables are reused.
    """
    compiled = jax.jit(function, donate_argnums=0)

    def run(*args):
        values = jax.tree.map(lambda variable: variable.value, variables)
        values, aux = compiled(values, *args)
        jax.tree.map(lambda variable, value: variable.assign(value), variables, values)
        return aux

    return run
