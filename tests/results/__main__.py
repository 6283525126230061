"""`python -m tests.results`: makes runs, keeps their lines, makes the page.

Two steps, each on its own: `--part` makes runs and lines, `--page` the page of them.
"""

import argparse
import os
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]


def _arguments(given):
    parser = argparse.ArgumentParser(
        prog="python -m tests.results",
        description=__doc__,
        epilog="The same command makes what has no line yet. KERAS_BACKEND "
        "chooses the backend of the runs (default here: jax).",
    )
    parser.add_argument("--part", help="which part to play: regimes, language, speech")
    parser.add_argument(
        "--hours", type=float, default=1.0, help="then nothing is begun"
    )
    parser.add_argument("--seeds", type=int, help="how many; default: the part's")
    parser.add_argument("--only", default="", help="settings whose names contain this")
    parser.add_argument(
        "--workers", type=int, default=1, help="runs at once, a core each"
    )
    parser.add_argument(
        "--core", action="store_true", help="leaves all but the core methods for later"
    )
    parser.add_argument(
        "--studies",
        default=str(ROOT.parent / "studies_under_way"),
        help="folder of the studies under way; default: %(default)s",
    )
    parser.add_argument(
        "--data",
        default=str(ROOT.parent / "shared" / "data"),
        help="folder of the packs of data; default: %(default)s",
    )
    parser.add_argument(
        "--lines",
        default=str(pathlib.Path(__file__).parent / "lines"),
        help="folder of the lines; default: %(default)s",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="plays one run of three epochs of the part in a scratch folder",
    )
    parser.add_argument(
        "--repeat", type=int, default=0, help="repeats runs drawn at random, compares"
    )
    parser.add_argument("--page", action="store_true", help="makes docs/results.md")
    found = parser.parse_args(given)
    if not found.part and not found.page:
        parser.error("give --part, --page or both")
    return found


def main(given=None):
    """Does what the command line says; returns the exit status."""
    args = _arguments(given)
    if args.part:
        status = _play(args)
        if status:
            return status
    if args.page:
        from tests.results import page

        for path in page.write(args.lines, ROOT / "docs"):
            print(path)
    return 0


def _play(args):
    from tests.results import parts, playing, pool, repeating

    known = parts.all_parts()
    if args.part not in known:
        print(f"There is no such part. Known: {sorted(known)}. Received: {args.part!r}")
        return 2
    part = known[args.part]
    missing = parts.missing_packs(part, args.data, args.only)
    if missing:
        print(
            f"The part {part.name!r} needs {', '.join(missing)} in the folder that "
            f"`--data` names. Received: {args.data!r}"
        )
        return 1
    # Programs that JAX compiled once serve all runs: most of a short one is compiling.
    compiled = pathlib.Path(args.studies).absolute() / "compiled"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(compiled))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    where = {"folder": args.studies, "data": args.data}
    if args.dry_run:
        with tempfile.TemporaryDirectory() as scratch:
            found = playing.rehearse(
                part, data=args.data, only=args.only, folder=scratch
            )
        print(f"rehearsed: {len(found)} line of {found[0]['setting']}")
        return 0
    if args.repeat:
        return repeating.repeat(
            part, args.repeat, data=args.data, lines_folder=args.lines
        )
    with pool.Pool(args.workers) as made:
        whole = playing.play(
            part,
            **where,
            lines_folder=args.lines,
            hours=args.hours,
            seeds=args.seeds,
            only=args.only,
            core=args.core,
            executor=made,
            tell=lambda text: print(text, flush=True),
        )
    print("finished" if whole else "the time is over; the same command goes on")
    return 0


if __name__ == "__main__":
    # Before Keras is imported: a run is shortest with it.
    os.environ.setdefault("KERAS_BACKEND", "jax")
    sys.exit(main())
