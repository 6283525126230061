"""Whatever is killed, parent, child or a worker of Dask's, the study ends the same."""

import signal

import pytest

from tests import processes
from tests.studies import small

pytestmark = pytest.mark.one_backend  # a minute; `Backup` is tried on all


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The study that nothing happens to."""
    return small.study(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def flag(tmp_path, monkeypatch):
    """The file that says who is to be killed."""
    monkeypatch.setenv("DIE_FLAG", str(tmp_path / "flag"))
    return tmp_path / "flag"


def without_times(run):
    machine = {**run["machine"], "peak_memory_bytes": None}
    model = {**run["model"], "latency_seconds": None}
    return {**run, "seconds": None, "machine": machine, "model": model}


def names(directory):
    return sorted(str(file.relative_to(directory)) for file in directory.rglob("*"))


def assert_same(study, whole):
    assert not study.failures
    assert without_times(study.runs[0]) == without_times(whole.runs[0])
    assert names(study.directory) == names(whole.directory)
    assert str(study) == str(whole)


def test_a_parent_and_then_a_child(whole, flag, tmp_path):
    flag.write_text("parent")
    killed = tmp_path / "killed"
    done = processes.run(
        f"from tests.studies import small; small.study({str(killed)!r})", check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert not list(killed.glob("runs/*/*.json"))
    assert list(killed.glob("unfinished/*/journal.json"))
    flag.write_text("child")
    study = small.study(killed)
    assert not study.runs
    assert study.failures[0]["error"]["message"].startswith("killed by signal 9")
    study = small.study(killed)
    assert not flag.exists()
    assert_same(study, whole)


@pytest.mark.large  # starts a cluster
def test_a_worker_of_dask(whole, flag, tmp_path):
    distributed = pytest.importorskip("distributed")
    flag.write_text("parent")  # of the run: a worker
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as client:
        study = small.study(tmp_path / "study", executor=client.get_executor())
    assert not flag.exists()
    assert_same(study, whole)
