"""How many kernels run on the device, and what is copied to and from it, counted.

By the profilers of PyTorch and JAX, from what has run. On a CPU the same code counts
what stands for a kernel there: operations of PyTorch's that call no other, and
instructions of XLA's programs.
"""

import pathlib
import tempfile

import keras

from tests.gpu import device

# Operations of PyTorch's that only look at a tensor in another way, or make room.
_NO_KERNEL = ("view", "reshape", "as_strided", "empty", "resolve", "detach", "alias")
_NO_KERNEL += ("t", "transpose", "permute", "expand", "slice", "select", "unsqueeze")


class Counter:
    """Counts from `start` to `stop`, on PyTorch and JAX."""

    def start(self):
        if device.BACKEND == "torch":
            import torch
            from torch.profiler import ProfilerActivity, profile

            kinds = [ProfilerActivity.CPU]
            if torch.cuda.is_available():
                kinds.append(ProfilerActivity.CUDA)
            self._profile = profile(activities=kinds)
            self._profile.__enter__()
        elif device.BACKEND == "jax":
            import jax

            self._folder = tempfile.TemporaryDirectory()
            jax.profiler.start_trace(self._folder.name)

    def stop(self):
        """Returns {kind: how many}; call it when the device has nothing left to do."""
        if device.BACKEND == "torch":
            self._profile.__exit__(None, None, None)
            return _of_torch(self._profile.events())
        if device.BACKEND == "jax":
            import jax

            jax.profiler.stop_trace()
            with self._folder as folder:
                (file,) = pathlib.Path(folder).rglob("*.xplane.pb")
                return _of_jax(jax.profiler.ProfileData.from_file(str(file)))
        return {}


def _of_torch(events):
    events = list(events)
    on_device = [e.name for e in events if e.device_type.name != "CPU"]
    waits = [e for e in events if "Synchronize" in e.name and e.name not in on_device]
    if not on_device:
        on_device = [
            e.name
            for e in events
            if e.name.startswith("aten::")
            and not e.cpu_children
            and not e.name.removeprefix("aten::").startswith(_NO_KERNEL)
        ]
    return {**_kinds(on_device), "waits": len(waits)}


def _of_jax(data):
    on_device, on_host, programs, runs = [], [], 0, set()
    for plane in data.planes:
        is_device = plane.name.startswith("/device:")
        for line in plane.lines:
            for event in line.events:
                if is_device and line.name.startswith("Stream"):
                    on_device.append(event.name)
                elif is_device and line.name == "XLA Modules":
                    programs += 1
                elif not is_device:
                    stats = dict(event.stats)
                    if "hlo_op" in stats:
                        on_host.append(event.name)
                        runs.add((stats.get("hlo_module"), stats.get("run_id")))
    return {**_kinds(on_device or on_host), "programs": programs or len(runs)}


def _kinds(names):
    copies = [name for name in names if name.startswith("Memcpy")]
    found = {"kernels": len(names) - len(copies)}
    for copy in copies:
        kind = copy.split("(")[0].strip()
        found[kind] = found.get(kind, 0) + 1
    return found


def of(function):
    """Returns what a function launches; it must wait for what it has launched."""
    counter = Counter()
    counter.start()
    try:
        function()
    finally:
        found = counter.stop()
    return found


class OfSteps(keras.callbacks.Callback):
    """Counts what a training step launches, on the average of some; listed last.

    Args:
        first: after which batch counting begins.
        last: after which it ends.
    """

    def __init__(self, first, last):
        super().__init__()
        self._ends = first, last
        self.found = {}

    def on_train_batch_end(self, batch, logs=None):
        if batch not in self._ends:
            return
        float(logs["loss"])  # all that was launched is done then
        first, last = self._ends
        if batch == first:
            self._counter = Counter()
            self._counter.start()
        else:
            found = self._counter.stop()
            self.found = {kind: n / (last - first) for kind, n in found.items()}
