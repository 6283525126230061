"""The claims' section of the page: each claim beside what the lines say of it.

Knows claims and readings.
"""

from tests.results import claims, reading

OUTCOMES = ("better", "same", "worse", "not shown", "nothing")


def section(found):
    """Returns the claims: a table of all, then the numbers of each.

    Args:
        found: {part: {setting: lines}}.
    """
    rows = [
        "## Claims, and what was found\n",
        "Counted are comparisons of a method with its control, in a setting; Holm goes "
        'over the methods of a claim, within a setting. "Together" takes the mean of a '
        "seed's differences over the settings in which a method and its control have "
        f"{reading.ENOUGH} seeds or more, and judges the seeds that all of these "
        "have.\n",
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
    pairs = {method: against for _, method, against, _ in here}
    rows = [
        f"### Claim {number}: {measure.heading}\n",
        "| setting | method | against | seeds | difference, verdict |",
        "|---|---|---|---|---|",
    ]
    many = {setting: settings[setting] for setting, *_ in here}
    for method, verdict in reading.together(many, measure, pairs).items():
        here = [*here, ("**together**", method, pairs[method], verdict)]
    for setting, method, against, verdict in here:
        shown = reading.cell(verdict, measure)
        rows.append(f"| {setting} | {method} | {against} | {verdict.count} | {shown} |")
    return [*rows, ""]


def _compared(claim, found):
    """Returns [(setting, method, control, `Verdict`)]."""
    result = []
    measure = reading.MEASURES[claim.measure]
    for setting, here in found.get(claim.part, {}).items():
        present = reading.methods(here)
        by_control: dict = {}
        for method, control in claim.pairs.items():
            if method in present and control in present:
                by_control.setdefault(control, []).append(method)
        for control, methods in by_control.items():
            judged = reading.judged(here, measure, against=control, others=methods)
            result += [(setting, method, control, judged[method]) for method in methods]
    return result
