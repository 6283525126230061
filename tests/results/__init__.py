"""Results: where training with masks helps, and where not, on small real data.

`python -m tests.results --part regimes --hours 1` makes runs by `studies.compare`
until the time is over; the same command goes on where it stopped. Each finished run
leaves one line in `lines/PART/SETTING.jsonl.gz`; `python -m tests.results --page` makes
`docs/results.md` and its figures from these lines alone, in seconds.

A file is one idea: `parts` says what is run, `digits`, `language` and `speech` make
models and data, `playing` makes the runs, `lines` keeps them, `reading` compares them,
`page` and `figures` show them. A further part is a file like `digits` and an entry in
`parts`.
"""
