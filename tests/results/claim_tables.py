"""The claims' section of the page: each claim beside what the lines say of it.

Knows claims, readings and how they are judged.
"""

import re

from tests.results import claims, judging, reading

OUTCOMES = ("better", "same", "worse", "not shown", "identical", "too few seeds")


def section(found):
    """Returns the claims: a table of all, then the numbers of each.

    Args:
        found: {part: {setting: lines}}.
    """
    rows = [
        "## Claims, and what was found\n",
        "Counted are comparisons of a method with its control, in a setting; Holm goes "
        "over the methods of a claim, within a setting, and over nothing else: one in "
        'twenty settings without an effect may still show one. "Together" takes the '
        "mean of a seed's differences over the settings in which a method and its "
        f"control have {judging.ENOUGH} seeds or more, and judges the seeds that all "
        "of these have: what is better here and worse there it averages.\n",
        "| claim | their setting | here | why it may differ | to know |",
        "|---|---|---|---|---|",
    ]
    details = []
    for number, claim in enumerate(claims.CLAIMS, start=1):
        here = _compared(claim, found)
        cells = [
            f"{number}. {claim.said}",
            claim.theirs,
            _counted(here),
            claim.why,
            claim.to_know,
        ]
        rows.append(f"| {' | '.join(cells)} |")
        if here:
            details += _details(number, claim, here, found[claim.part])
    return "\n".join([*rows, "", *details]) + "\n"


def _counted(here):
    outcomes = [verdict.outcome for *_, verdict in here]
    if not outcomes:
        return "not run yet"
    counts = [f"{outcomes.count(word)} {word}" for word in OUTCOMES if word in outcomes]
    settings = len({setting for setting, *_ in here})
    places = "1 setting" if settings == 1 else f"{settings} settings"
    return f"in {places}: {', '.join(counts)}"


def _details(number, claim, here, settings):
    measure = reading.MEASURES[claim.measure]
    rows = [
        f"### Claim {number}: {measure.heading}\n",
        "| setting | method | against | seeds | difference, verdict |",
        "|---|---|---|---|---|",
    ]
    many = {setting: settings[setting] for setting, *_ in here}
    for method, verdict in judging.together(many, measure, claim.pairs).items():
        here = [*here, ("**together**", method, claim.pairs[method], verdict)]
    for setting, method, against, verdict in here:
        shown = judging.cell(verdict, measure)
        rows.append(f"| {setting} | {method} | {against} | {verdict.count} | {shown} |")
    return [*rows, ""]


def _compared(claim, found):
    """Returns [(setting, method, control, `Verdict`)]."""
    measure = reading.MEASURES[claim.measure]
    pairs = list(claim.pairs.items())
    return [
        (setting, *pair, verdict)
        for setting, here in found.get(claim.part, {}).items()
        if re.search(claim.settings, setting)
        for pair, verdict in judging.paired(here, measure, pairs).items()
    ]
