"""Results: where training with masks helps, and where not, on small real data.

`python -m tests.results --part regimes --hours 1` makes runs by `studies.compare`
until the time is over. Each finished run leaves one line in
`lines/PART/SETTING.jsonl.gz`; the same command makes the runs that have none.
`python -m tests.results --page` makes `docs/results.md` and its figures from these
lines alone, in seconds.

A file is one idea: `parts` says what is run, `digits`, `language` and `speech` make
models and data, `playing` makes the runs in a `pool`, `lines` keeps them, `reading`
compares them, `claims` names what is looked for, `claim_tables`, `page` and `figures`
show what was found. A further part is a file like `digits` and an entry in `parts`.
"""
