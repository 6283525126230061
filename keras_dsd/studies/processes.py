"""A fresh process for each run: what crashes, loses itself only.

A child dies with its parent: it reads its standard input, which ends when the parent
does, however that came about. Knows processes; knows no model.
"""

import contextlib
import errno
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

from keras_dsd.studies import records

LAST_LINES = 20  # of what a failed run printed, kept with its error

# The first thing in the child: before anything heavy is imported, so that not even a
# child that is still starting outlives its parent.
START = """
import os, sys, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(1)), daemon=True).start()
import keras_dsd.studies.{module} as child
child.main(*sys.argv[1:])
"""


class Children:
    """The processes of a study that run now, so that all can be ended at once."""

    def __init__(self):
        self._lock = threading.Lock()
        self._running: set = set()
        self._ended = False

    def add(self, process):
        """Notes a process; ends it if all have been ended already."""
        with self._lock:
            self._running.add(process)
            if self._ended:
                process.kill()

    def remove(self, process):
        """Forgets a process that is over."""
        with self._lock:
            self._running.discard(process)

    def end(self):
        """Kills all, and all that will be added."""
        with self._lock:
            self._ended = True
            for process in self._running:
                process.kill()


def run(module, data, *, environment=None, tell=None, children=None):
    """Runs a module of `studies` in a process of its own.

    Args:
        module: name of the module; its `main(work_path, record_path)` is called.
        data: bytes of a `task.Task`.
        environment: dict of variables to set. Defaults to `None`: none.
        tell: called with the number of epochs behind, as the child tells it.
        children: a `Children` to note the process in. Defaults to `None`.

    Returns:
        (record, error): the record the child wrote, and `None`; or `None`, and a dict
        that says how it failed.

    Raises:
        OSError: the disk is full.
    """
    with tempfile.TemporaryDirectory(prefix="keras_dsd_") as scratch:
        work, record = pathlib.Path(scratch, "work"), pathlib.Path(scratch, "record")
        work.write_bytes(data)
        process = subprocess.Popen(
            [sys.executable, "-c", START.format(module=module), work, record],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=_environment(environment or {}),
            start_new_session=True,  # Ctrl-C is for the parent, which ends its children
        )
        if children is not None:
            children.add(process)
        lines: list[str] = []
        try:
            for line in process.stdout or ():
                name, _, number = line.strip().partition(" ")
                if name == "EPOCH" and number.isdigit():
                    if tell:
                        tell(int(number))
                else:
                    lines = [*lines[1 - LAST_LINES :], line.rstrip()]
            process.wait()
        finally:
            if children is not None:
                children.remove(process)
            with contextlib.suppress(OSError):
                process.kill()
            if process.stdin:
                process.stdin.close()
            process.wait()
        if process.returncode == 0 and record.exists():
            return records.read(record), None
        full = os.strerror(errno.ENOSPC)
        if any(full in line for line in lines):
            raise OSError(errno.ENOSPC, full, str(scratch))
        return None, _error(process.returncode, lines)


def _error(code, lines):
    last = next((line for line in reversed(lines) if line and line[0] != " "), "")
    if code < 0:
        last = f"killed by signal {-code}"
        if code == -9:
            last += " (out of memory, perhaps)"
    return {"message": last, "exit_code": code, "output": lines}


def _environment(changes):
    # The child imports what the parent could: a module beside a script, say.
    paths = [path or os.getcwd() for path in sys.path]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
        **changes,
    }


def shares(workers, threads=None):
    """Returns what each of several processes may use, a list of dicts of variables.

    Cores and GPUs are shared out, none given twice, as long as there is one for each.
    Where several processes share a GPU, none takes all of its memory at once.

    Args:
        workers: how many processes run at once.
        threads: of each. Defaults to `None`: the cores by the workers.
    """
    threads = threads or max(1, _cores() // workers)
    count = str(threads)
    share = {
        "OMP_NUM_THREADS": count,
        "TF_NUM_INTRAOP_THREADS": count,
        "TF_NUM_INTEROP_THREADS": count,
        "NPROC": count,  # of XLA on the CPU, which JAX runs on
    }
    gpus = _gpus()
    if workers == 1 or not gpus:
        return [share] * workers
    if workers > len(gpus):
        share["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
        share["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    return [
        {**share, "CUDA_VISIBLE_DEVICES": gpus[index % len(gpus)]}
        for index in range(workers)
    ]


def _cores():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _gpus(devices=pathlib.Path("/dev")):
    """Returns the names of the GPUs that this process may use, a list.

    Counted from the files of their driver, for asking a backend would take the GPUs.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [gpu for gpu in chosen.split(",") if gpu.strip() not in ("", "-1")]
    found = [file for file in devices.glob("nvidia*") if file.name[6:].isdigit()]
    return [str(index) for index in range(len(found))]
