"""`python -m tests.gpu` works with tiny sizes: no minute of a device is lost."""

import json

from tests import processes


def test_dry_run(tmp_path):
    out = tmp_path / "out.json"
    program = (
        "import sys; sys.argv = ['gpu', '--dry-run', '--out', sys.argv[1]]\n"
        "from tests.gpu.__main__ import main; sys.exit(main())"
    )
    program = program.replace("sys.argv[1]", repr(str(out)))
    done = processes.run(program)
    found = json.loads(out.read_text())
    assert found.keys() == {
        "device",
        "promises",
        "steps",
        "updates",
        "effect",
        "memory",
    }, done.stdout
    assert "magnitude, float32" in found["promises"]
    assert found["promises"]["magnitude, resumed"]["equal"]
    assert all(len(values) == 1 for values in found["effect"].values())
