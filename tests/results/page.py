"""The page: `docs/results.md` and its figures, of lines alone.

No number stands here that is not computed from lines. Knows readings and figures.
"""

import statistics

from tests.results import claim_tables, figures, judging, lines, parts, reading

HEAD = """\
# Where does it help? Results on small real data

Made by `python -m tests.results --page` from the lines in `tests/results/lines`, one
for each run; no number on this page has another source, but for how runs were made.
Words are those of [verdicts](studies.md#verdicts): "better" and "worse" need both tests
below 5 %, after Holm over all methods of a table or, in a column "against its control",
over those of one control; otherwise "not shown", which is **not** "the same", or "too
few seeds", with which nothing could be. So a pair may be shown in one table and not in
a larger one; the claims' are the smallest, and their pairs are the papers'. A
difference is that of pairs: for a seed all methods have the same data, start and
batches (but `narrow`, which can only have the same data). Intervals are Student's, of
95 %, for deviations of one test item at least. All numbers are of test data: after the
last epoch or, where a heading says so, after the epoch that was best on validation
data, which is what early stopping would keep. **Where training overfits the two tell
different stories**: what is better at the end may only have overfitted less.

`conventional` never moves the rate. Controls: `lowered`, `lowered_twice` and `restarts`
move it as `dsd`, `dsdsd` and `restart` do, and have no mask; `averaged` evaluates an
average of the weights; `early_stopping` ends when the validation loss stalls;
`narrow-s` is a dense model with as many weights as sparsity s keeps. `-inner` leaves
the first and the last layer dense; `-kept` keeps its first mask to the end, at the same
rates; with `-zero` what was pruned returns as zero, and is not drawn anew. A setting of
`regimes` is called by its data (`cnn`: digits too), the width of its layers, how many
examples train it, and the percentage of wrong labels among them.
"""

GO_ON = """\
## How to go on

Each of these makes the runs that have no line yet, with the backend that
`KERAS_BACKEND` names (JAX where it names none), and writes their lines seed by seed:

```bash
python -m tests.results --part regimes --hours 4 --workers 2
python -m tests.results --part language --hours 2 --workers 2
python -m tests.results --part speech --hours 1 --workers 2
python -m tests.results --page
```

`--data` names the folder of the data packs (`cifar10_jpeg`, `text_shakespeare`,
`speech_fsdd`, each an `.npz` with its loader), `--studies` a folder outside of the
repository for what is under way; `--only` chooses settings by a part of
their names. `--part regimes --repeat 3` draws three lines at random, makes their runs
anew and compares them to the bit.
"""


def write(lines_folder, docs):
    """Writes the page and its figures; returns their paths.

    Args:
        lines_folder: path of the folder of lines.
        docs: path of the folder of documents.
    """
    found = lines.read_all(lines_folder)
    written = []
    for name, figure in drawn(found).items():
        path = docs / "images" / name
        figure.savefig(path, dpi=110, metadata={"Software": None})
        written.append(path)
    page = docs / "results.md"
    page.write_text(text(found), encoding="utf-8")
    return [*written, page]


def text(found):
    """Returns the page.

    Args:
        found: {part: {setting: lines}}.
    """
    sections = [HEAD, _trained(), _progress(found), claim_tables.section(found)]
    for name, part in parts.all_parts().items():
        sections.append(f"## {part.title} (`{name}`)\n")
        settings = found.get(name, {})
        if not settings:
            sections.append("No seed of this part is finished.\n")
            continue
        for key, against in _figures(settings):
            shows = reading.MEASURES[key].heading
            sections.append(
                f"![{shows}](images/{_file(name, key, against)})\n\n"
                f"{shows.capitalize()}: difference to {against}; green better, red "
                "worse, grey not shown, white identical or with too few seeds.\n"
            )
        for setting in _ordered(part, settings):
            sections.append(_table(setting, settings[setting]))
            sections.append(_ingredients(settings[setting]))
    return "\n".join([*sections, GO_ON])


def _ordered(part, settings):
    return [one.name for one in part.settings if one.name in settings]


def _trained():
    rows = ["| part | trained how, on what |", "|---|---|"]
    rows += [f"| {name} | {part.how} |" for name, part in parts.all_parts().items()]
    return "\n".join(rows) + "\n"


def _progress(found):
    rows = [
        "## What was run\n",
        "Methods of the core are played first, for all seeds, then the others. Where a "
        "setting is unfinished its verdicts may still change: seeds come, and methods, "
        "over which Holm goes.\n",
        "| part | setting | seeds | of | runs | of |",
        "|---|---|---|---|---|---|",
    ]
    for name, part in parts.all_parts().items():
        for setting in part.settings:
            here = found.get(name, {}).get(setting.name, [])
            planned = part.seeds * (len(part.methods) + len(setting.narrow))
            left = "" if len(here) >= planned else ", unfinished"
            rows.append(
                f"| {name} | {setting.name} | {reading.seeds(here)} | {part.seeds} | "
                f"{len(here)}{left} | {planned} |"
            )
    failed = [
        f"- {name}, {setting}, {line['method']}, seed {line['seed']}: {line['failed']}"
        for name, settings in found.items()
        for setting, here in settings.items()
        for line in here
        if "failed" in line
    ]
    rows += ["", "Runs that failed:", *(failed or ["none."])]
    return "\n".join(rows) + "\n"


def _table(setting, found):
    """Returns the table of one setting: each method, by each measure."""
    shown = reading.measures(found)
    main = shown[0]
    heads = ["method", "seeds", main.heading]
    heads += [f"{one.heading}: difference, verdict" for one in shown]
    heads += [f"{main.heading}: against its control", "parameters not 0"]
    by_measure = [judging.judged(found, one) for one in shown]
    own = judging.controlled(found, main)
    lines_of_table = [
        f"### {setting}\n",
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
    ]
    for method in reading.methods(found):
        numbers = reading.values(found, method, main)
        cells = [method, f"{len(numbers)}", _mean(numbers, main)]
        cells += [
            judging.cell(verdicts.get(method), one)
            for verdicts, one in zip(by_measure, shown, strict=True)
        ]
        cells += [judging.cell(own.get(method), main), f"{_kept(found, method):,}"]
        lines_of_table.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines_of_table) + "\n"


def _ingredients(found):
    """Returns the table of pairs of methods that differ by one ingredient."""
    shown = reading.measures(found)
    by_measure = [judging.ingredients(found, one) for one in shown]
    rows = [
        "Which ingredient? Pairs that differ by one, with Holm over all of them:\n",
        f"| ingredient | method | against | {' | '.join(m.heading for m in shown)} |",
        f"|{'---|' * (3 + len(shown))}",
    ]
    for key in by_measure[0]:
        cells = [
            judging.cell(verdicts[key], measure)
            for verdicts, measure in zip(by_measure, shown, strict=True)
        ]
        rows.append(f"| {' | '.join([*key, *cells])} |")
    return "\n".join(rows) + "\n"


def _mean(values, measure):
    numbers = [value * (100 if measure.points else 1) for value in values.values()]
    if not numbers:
        return "diverged"
    digits = 1 if measure.points else 3
    spread = f" ± {statistics.stdev(numbers):.{digits}f}" if len(numbers) > 1 else ""
    return f"{statistics.fmean(numbers):.{digits}f}{spread}"


def _kept(found, method):
    kept = [
        line["parameters"] - line["zeros"]
        for line in found
        if line["method"] == method and "last" in line
    ]
    return round(statistics.fmean(kept)) if kept else 0


BASELINE = f"`{reading.BASELINE}`"
CONTROLS = "what moves the rate alike, without masks"


def drawn(found):
    """Returns {name of a file: figure} of all parts that have lines."""
    made = {}
    for name, part in parts.all_parts().items():
        settings = found.get(name, {})
        rows = _ordered(part, settings)
        for key, against in _figures(settings):
            measure = reading.MEASURES[key]
            judge = judging.judged if against == BASELINE else judging.controlled
            verdicts = {
                (setting, method): verdict
                for setting in rows
                for method, verdict in judge(settings[setting], measure).items()
            }
            columns = list(dict.fromkeys(method for _, method in verdicts))
            title = f"{part.name}: {measure.heading}, difference to\n{against}"
            figure = figures.regimes(rows, columns, verdicts, title.replace("`", ""))
            made[_file(name, key, against)] = figure
    return made


def _figures(settings):
    """Returns [(name of a measure, what methods are compared with)]."""
    if not settings:
        return []
    first = next(iter(settings.values()))
    shown = [one for one in reading.measures(first) if one.name != "cross_entropy"]
    found = [(one.name, BASELINE) for one in shown]
    if any(judging.controlled(here, shown[0]) for here in settings.values()):
        found += [(one.name, CONTROLS) for one in shown]
    return found


def _file(part, key, against):
    kind = "" if against == BASELINE else "_controlled"
    return f"results_{part}_{key}{kind}.png"
