"""`python -m tests.gpu` works with tiny sizes: no minute of a device is lost."""

import json
import time

from tests import processes
from tests.gpu.__main__ import SHARES, play, tried


def test_dry_run(tmp_path):
    out = tmp_path / "out.json"
    program = (
        "import sys; sys.argv = ['gpu', '--dry-run', '--out', sys.argv[1]]\n"
        "sys.modules.update(cloudpickle=None, matplotlib=None)  # no extra is there\n"
        "from tests.gpu.__main__ import main; sys.exit(main())"
    )
    program = program.replace("sys.argv[1]", repr(str(out)))
    done = processes.run(program)
    found = json.loads(out.read_text())
    about = found.pop("device")
    assert {"keras", "numpy", "processor", "backend"} < about.keys()
    assert found.keys() == SHARES.keys(), done.stdout
    for part in found.values():
        for title, numbers in part.items():
            assert "error" not in numbers and "late" not in numbers, title
    assert found["promises"]["magnitude, resumed"]["resumed"] is True
    assert found["steps"]["tiny, Adam"]["policy"] == "mixed_bfloat16"
    counted = found["steps"]["launches, tiny"]
    if about["backend"] != "tensorflow":
        assert 0 < counted["plain"]["kernels"] <= counted["sparse"]["kernels"]
        assert found["updates"]["tiny"]["RigL_launches"]["kernels"] > 0


def test_what_fails_or_takes_too_long_takes_nothing_with_it():
    def fails():
        raise RuntimeError("of its own")

    told = {}
    parts = {"updates": [("fails", fails), ("works", lambda: {"seen": 1})]}
    assert not play(parts, 60, lambda *what: told.update({what[:2]: what[2]}))
    assert "of its own" in told["updates", "fails"]["error"]
    assert told["updates", "works"]["seen"] == 1
    assert play(parts, 0, lambda *what: told.update({what[:2]: what[2]}))
    assert told["updates", "no time left for"] == {"items": ["fails", "works"]}
    assert "late" in tried(lambda: time.sleep(60), 0.1)
