"""What the parent of a study does with its runs, which are made up here."""

import errno
import os

import pytest

from keras_dsd import studies
from keras_dsd.studies import processes, progress, records
from tests.studies import fake

pytestmark = pytest.mark.one_backend

METHODS = ["conventional", "lowered", "dsd"]


@pytest.fixture
def play(monkeypatch, tmp_path):
    """Plays a study of made-up runs; returns (what was made, the result)."""

    def playing(runs=None, seeds=(0, 1), **changes):
        runs = runs or fake.Runs()
        monkeypatch.setattr(processes, "run", runs)
        arguments = {"epochs": 3, "directory": tmp_path / "study", "verbose": 0}
        result = studies.compare(
            "tests.studies.small:build",
            "tests.studies.small:data",
            methods=METHODS,
            seeds=seeds,
            **{**arguments, **changes},
        )
        return runs, result

    return playing


def files(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_runs_that_are_written_down_are_forgotten(play, monkeypatch):
    runs, counts = fake.Runs(), []
    told = progress.Told.ended

    def ended(self, run, error):
        counts.append(len(runs.alive))
        told(self, run, error)

    monkeypatch.setattr(progress.Told, "ended", ended)
    play(runs, seeds=range(8))
    # At the last, all have been written: none is kept.
    assert len(counts) == 24
    assert counts[-1] <= 1


def test_a_disk_that_is_full_stops_the_study_and_loses_nothing(play, tmp_path):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        play(fake.Runs({("lowered", 1): full}))
    finished = files(tmp_path / "study" / "runs")
    assert finished
    assert not any("failed" in name for name in finished)
    runs, result = play()
    assert len(runs.made) == 6 - len(finished)
    assert len(result.runs) == 6
    assert finished.items() <= files(tmp_path / "study" / "runs").items()


def test_what_an_executor_raises_is_the_runs_own(play):
    lost = OSError("Connection to the worker was lost")
    _, result = play(fake.Runs({("dsd", 0): lost}))
    assert len(result.runs) == 5
    (failure,) = result.failures
    assert failure["error"]["message"] == f"OSError: {lost}"
    assert f"Failed: dsd, seed 0: OSError: {lost}" in str(result)
    _, result = play()
    assert not result.failures


def test_ctrl_c_leaves_a_study_that_goes_on(play, monkeypatch, tmp_path):
    class Stops(progress.Told):
        def ended(self, run, error):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(progress, "Told", Stops)
        with pytest.raises(KeyboardInterrupt):
            play()
    before = files(tmp_path / "study" / "runs")
    assert before
    runs, result = play()
    assert len(runs.made) == 6 - len(before)
    assert len(result.runs) == 6


def test_a_second_process_is_kept_out_and_changes_nothing(play, tmp_path):
    play(seeds=[0])
    before = files(tmp_path / "study" / "runs")
    with (
        records.Place(tmp_path / "study").held(),
        pytest.raises(records.StudyError, match=r"Another process .* Received: "),
    ):
        play(seeds=[0, 1])
    assert files(tmp_path / "study" / "runs") == before
    runs, _ = play(seeds=[0, 1])  # whoever held it let go
    assert len(runs.made) == 3


def test_what_a_kill_left_beside_a_finished_run_goes(play, tmp_path):
    play()
    place = records.Place(tmp_path / "study")
    before = files(tmp_path / "study")
    # Killed between writing the record and the rest.
    records.write(place.failure("dsd", 0), {"version": 1, "method": "dsd", "seed": 0})
    place.progress("dsd", 0).mkdir(parents=True)
    (place.progress("dsd", 0) / "journal.json").touch()
    runs, result = play()
    assert not runs.made
    assert not result.failures
    assert files(tmp_path / "study") == before


def test_a_damaged_run_is_made_anew_and_else_listed(play, tmp_path):
    play()
    file = records.Place(tmp_path / "study").run("dsd", 1)
    whole = file.read_text()
    file.write_text(whole[:100])
    listed = studies.Result(tmp_path / "study")
    assert [run["seed"] for run in listed.runs if run["method"] == "dsd"] == [0]
    assert "Not used: Not a whole JSON file" in str(listed)
    runs, result = play()
    assert runs.made == [("dsd", 1)]
    assert not result.damaged
    assert file.read_text() == whole


def test_a_child_that_is_ended(monkeypatch):
    monkeypatch.setattr(processes, "START", "import os; os.read(0, 1) # {module}")
    children = processes.Children()
    children.end()
    record, error = processes.run("none", b"", children=children)
    assert record is None
    assert error["message"].startswith("killed by signal 9")


def test_a_child_without_space_is_the_studys_end(monkeypatch):
    start = "raise OSError('errno = 28, No space left on device') # {module}"
    monkeypatch.setattr(processes, "START", start)
    with pytest.raises(OSError) as error:
        processes.run("none", b"")
    assert error.value.errno == errno.ENOSPC


def test_cores_and_gpus_are_shared_out(monkeypatch, tmp_path):
    for name in ("nvidia0", "nvidia1", "nvidiactl"):
        (tmp_path / name).touch()
    gpus = processes._gpus
    monkeypatch.setattr(processes, "_cores", lambda: 8)
    monkeypatch.setattr(processes, "_gpus", lambda: gpus(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    two = processes.shares(2)
    assert [share["CUDA_VISIBLE_DEVICES"] for share in two] == ["0", "1"]
    assert {share["OMP_NUM_THREADS"] for share in two} == {"4"}
    assert "TF_FORCE_GPU_ALLOW_GROWTH" not in two[0]
    three = processes.shares(3)
    assert [share["CUDA_VISIBLE_DEVICES"] for share in three] == ["0", "1", "0"]
    assert three[0]["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    assert [share["CUDA_VISIBLE_DEVICES"] for share in processes.shares(2)] == ["5"] * 2
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert "CUDA_VISIBLE_DEVICES" not in processes.shares(2)[0]
