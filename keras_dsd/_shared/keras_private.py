"""The private names of Keras that this package needs, each with its reason.

Everything else in the package uses public Keras API. Knows Keras's layers, nothing of
masks or phases.
"""

import contextlib
import inspect
import itertools
import pathlib

import keras
from keras.src.backend import AutocastScope
from keras.src.utils.tracking import DotNotTrackScope


def sublayers(layer):
    """Returns `layer` and every layer below it, each once, parents first.

    Private because the public `layers` exists on models only, and a block written as a
    `keras.layers.Layer` has sublayers too.
    """
    return layer._flatten_layers()


def symbolic_outputs(model):
    """Returns {id(layer): the symbolic tensors that its calls in a model put out}.

    Of a Functional or Sequential model; of any other, empty. Keras's public
    `layer.output` is that of a layer's first call ever, which may belong to another
    model, and says nothing of others.
    """
    graph = getattr(model, "_functional", None) or model  # of a Sequential
    found: dict = {}
    for nodes in getattr(graph, "_nodes_by_depth", {}).values():
        for node in nodes:
            found.setdefault(id(node.operation), []).extend(node.outputs)
    return found


def children(layer):
    """Returns the layers that `layer` owns directly (private for the same reason)."""
    return list(layer._layers)


@contextlib.contextmanager
def _unlocked(layer):
    # Keras locks the tracker of a built layer, and unlocks it itself for `quantize`
    # and `enable_lora`; there is no public way to add a child to a built layer.
    tracker = layer._tracker
    was_locked = tracker.locked
    tracker.unlock()
    try:
        yield tracker
    finally:
        if was_locked:
            tracker.lock()


def attach(layer, name, child):
    """Makes `child` an attribute and a tracked sublayer of a possibly built layer."""
    with _unlocked(layer):
        setattr(layer, name, child)


def detach(layer, name):
    """Takes back what `attach` did, in every backend's bookkeeping."""
    with _unlocked(layer) as tracker:
        tracker.untrack(getattr(layer, name))
        delattr(layer, name)
    refresh(layer)


def refresh(layer):
    """Tells torch that a layer's variables changed after it was built.

    `torch.nn.Module` lists parameters by itself; Keras fills that list when a layer is
    built and has no public call to fill it again.
    """
    if keras.backend.backend() == "torch" and hasattr(layer, "_torch_params"):
        layer._track_variables()


def refresh_all(model):
    """Does `refresh` for a model and all within it.

    A Sequential's inner functional model, which is what PyTorch finds its parameters
    in, is among its modules but not among its layers.
    """
    if keras.backend.backend() == "torch":
        for module in list(model.modules()):
            if isinstance(module, keras.layers.Layer):
                refresh(module)


def lay_out_as(variable, reference):
    """Spreads a variable over devices as another of its shape is.

    A `keras.distribution.LayoutMap` goes by paths, and a user names those of weights.
    Optimizers get their slots laid out like the weights by `add_variable`; `add_weight`
    takes no layout.
    """
    layout = getattr(reference, "_layout", None)
    if layout is not None:
        variable._layout = layout
        variable.assign(variable.value)


def file_of(store):
    """Returns the name of the file that a layer's variables come from, or `None`.

    Keras hands a layer the store alone; what it was opened from, for an error to name,
    it tells no one. A `.keras` archive is read in memory and has no name left.
    """
    opened = getattr(store, "path_or_io", None) or getattr(store, "path", None)
    is_file = isinstance(opened, pathlib.Path) and not getattr(store, "archive", None)
    return str(opened) if is_file else None


def no_autocast():
    """Returns a scope in which variables read in their own dtype.

    Under mixed precision a variable's public `value` is already cast to the compute
    dtype of the layer that happens to be running; a mask must be laid over the weight
    as it is stored, so that sublayers with another dtype read it right.
    """
    return AutocastScope(None)


def trained_by(optimizer):
    """Returns the variables that a built optimizer trains, in its order.

    An optimizer's own variables are named after these, and names need not be unique:
    which belongs to which follows from the order alone. Only their count is public.
    """
    return list(optimizer._trainable_variables)


def optimizer_class(optimizer):
    """Returns the class of an optimizer as it is written.

    On PyTorch Keras makes an `SGD` one of a class derived from it, which does the same
    to many weights at once; that stands in a module of its backend.
    """
    return next(
        cls
        for cls in type(optimizer).__mro__
        if not cls.__module__.startswith("keras.src.backend.")
    )


def forget(optimizer, variables):
    """Makes a built optimizer train some of its variables no longer.

    They are those that it overwrites with their gradient, so it holds no state for
    them. Keras has no public way to take a variable from an optimizer, and on JAX
    the optimizer's must be the model's, one to one. What is found by a variable's
    index stays where it is.
    """
    gone = {id(variable) for variable in variables}
    inner = [getattr(optimizer, "inner_optimizer", None)]
    for leaf in filter(None, inner + list(getattr(optimizer, "optimizers", ()))):
        forget(leaf, variables)
    averages = getattr(optimizer, "_model_variables_moving_average", None)
    stays = [id(variable) not in gone for variable in optimizer._trainable_variables]
    if all(stays):
        return
    # New containers: TensorFlow saves no object whose lists were edited in place. And
    # not tracked: what an optimizer tracks becomes its own.
    with DotNotTrackScope():
        optimizer._trainable_variables_indices = {
            key: index
            for key, index in optimizer._trainable_variables_indices.items()
            if key not in {optimizer._var_key(variable) for variable in variables}
        }
        optimizer._trainable_variables = list(
            itertools.compress(optimizer._trainable_variables, stays)
        )
        if averages is not None:
            optimizer._model_variables_moving_average = list(
                itertools.compress(averages, stays)
            )


def learning_rate_source(optimizer):
    """Returns the optimizer's variable, schedule or callable, whichever it holds.

    The public `learning_rate` gives a schedule's current value, and `get_config` a
    copy; a schedule that is put back after training must be the very object.
    """
    return optimizer._learning_rate


def keep_written(model):
    """Makes `fit` on JAX keep what a callback has written within an epoch.

    There `fit` holds the variables' values of the last step beside the variables. Where
    data end before `fit` knew that they would, it takes them to be the newer: what was
    written after the last batch would be lost, or, if its memory was given away, not
    be there. There is no public way to tell it.
    """
    if getattr(model, "_jax_state", None):
        held = {
            "trainable_variables": model.trainable_variables,
            "non_trainable_variables": model.non_trainable_variables,
            "optimizer_variables": model.optimizer.variables,
            "metrics_variables": model.metrics_variables,
        }
        model._jax_state = {
            name: [variable.value for variable in variables]
            for name, variables in held.items()
        }


def grows(metric):
    """Returns whether more of a Keras metric is better; `None` where Keras can't tell.

    Keras marks its metrics for the `mode="auto"` of its own callbacks, and gives the
    mark no public name. A metric's name says less: the second one of a process has a
    counter behind it, and a user may give any.
    """
    direction = getattr(metric, "_direction", None)
    return direction if direction is None else direction == "up"


def start_fit_at(model, epoch):
    """Makes the `fit` that is beginning start with an epoch, whatever it was told.

    To be called in `on_train_begin`. Keras's own `BackupAndRestore` does it so, and
    callbacks have no public way. `None` takes it back: Keras itself does not, and each
    later `fit` of the model would start there too.
    """
    model._initial_epoch = epoch


def forget_state(model):
    """Makes Keras on JAX forget what an evaluation that was interrupted left behind.

    It holds the values of that moment beside the variables, and would write them over
    those that have been put back; there is no public way to tell it.
    """
    if getattr(model, "_jax_state", None):
        model._jax_state = None


def validation_of_fit(model):
    """Returns on what the `fit` that is running validates a model.

    Keras tells callbacks how many epochs and steps there are, and not on what it will
    validate; data that it split off are in its own hands alone. So the local variables
    of its `fit` are read, as Keras's own messages of errors do.

    Returns:
        dict of arguments for `model.evaluate`; `None` if `fit` validates on nothing, or
        does not run.
    """
    frame = inspect.currentframe()
    while frame is not None:
        is_fit = frame.f_code.co_name == "fit" and frame.f_locals.get("self") is model
        if is_fit and frame.f_globals["__name__"].startswith("keras.src.backend."):
            found = frame.f_locals
            if found.get("validation_data") is None:
                return None
            return {
                "x": found["val_x"],
                "y": found["val_y"],
                "sample_weight": found["val_sample_weight"],
                "batch_size": found["validation_batch_size"] or found["batch_size"],
                "steps": found["validation_steps"],
            }
        frame = frame.f_back
    return None
