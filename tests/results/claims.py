"""Claims of the papers, each beside what the lines say of it, in verdicts' words.

Knows readings. What the papers say is quoted; our numbers are computed.
"""

import dataclasses

from tests.results import reading


@dataclasses.dataclass(frozen=True)
class Claim:
    """A sentence that somebody published, and where the map looks for it.

    Args:
        said: the claim and who makes it.
        theirs: their setting.
        part: name of the part that looks.
        methods: which of its methods.
        measure: by what.
        control: what they are compared with.
        why: why it may differ here.
        to_know: what would have to be run to know.
    """

    said: str
    theirs: str
    part: str
    methods: tuple
    measure: str
    control: str
    why: str
    to_know: str


SMALL = "models and data are far smaller, and training is settled by then"
# Hours are operations over a rate: three passes of two operations a multiplication, on
# an H200 at 200 of its 989 TFLOP/s in bfloat16, at 50 where pictures are small or steps
# follow each other.
FULL = (  # 1.8 G multiplications x 1.28 M pictures x 180 epochs = 2.5e18 operations
    "ResNet-18 on ImageNet, 180 epochs, 3 seeds of `dsd-0.3`, `dsd-0.6`, `lowered` and "
    "`conventional`: 3.5 hours a run on an H200, reckoned, 42 in all"
)
LISTENING = (  # 70 M multiplications x 50 frames x 360 k seconds x 20 epochs = 1.5e17
    "Deep Speech 2 (70 M weights, 7 recurrent layers) on 100 hours of speech, 20 "
    "epochs, 5 methods, 3 seeds: 0.8 hours a run on an H200, reckoned, 13 in all"
)
CORRUPTED = (  # .31 and 1.2 G multiplications x 50 k pictures x 200 epochs
    "VGG-16 and ResNet-34 on CIFAR-10 and CIFAR-100, 200 epochs, 10 seeds of "
    "`rigl-0.3`, `set-0.3`, `rigl-0.6` and `conventional`, 15 corruptions: 0.1 and 0.4 "
    "hours a run on an H200, reckoned, 40 in all"
)

CLAIMS = (
    Claim(
        "DSD ends better than dense training (Han et al. 2017)",
        "four CNNs on ImageNet, NeuralTalk, Deep Speech; one run each",
        "regimes",
        ("dsd-0.3", "dsd-0.6"),
        "accuracy",
        "lowered",
        SMALL + "; the control has as many epochs, their dense CNNs had fewer",
        FULL,
    ),
    Claim(
        "25 to 50 % is the best sparsity for DSD (Han et al. 2017)",
        "the same",
        "language",
        ("dsd-0.3", "dsd-0.5", "dsd-0.8"),
        "bits",
        "lowered",
        "one LSTM in place of speech and captions, which overfits in most settings",
        LISTENING,
    ),
    Claim(
        "The same, where each run keeps its best epoch",
        "not said; no one ships the last epoch of a run that overfits",
        "language",
        ("dsd-0.3", "dsd-0.5", "dsd-0.8"),
        "best_bits",
        "lowered",
        "the best epoch comes before the sparse phase where training overfits",
        "as above",
    ),
    Claim(
        "DSD helps speech recognition (Han et al. 2017)",
        "Deep Speech 1 and 2 on WSJ, word errors -0.13 to -1.35 points at equal epochs",
        "speech",
        ("dsd-0.3", "dsd-0.5"),
        "accuracy",
        "lowered",
        "a CNN on digits, and a speaker that was not heard",
        "as above",
    ),
    Claim(
        "Dynamic sparse training at 10 to 50 % is more robust to corruptions than "
        "dense training (Wu et al. 2025)",
        "VGG-16, ResNets, EfficientNet, DeiT on CIFAR-C and ImageNet-C",
        "regimes",
        ("rigl-0.3", "set-0.3", "rigl-0.6"),
        "noisy",
        "conventional",
        "small models, few of them with convolutions; high frequencies, by which the "
        "paper explains it, mean little in 8 x 8 pixels; one kind of noise",
        CORRUPTED,
    ),
    Claim(
        "A sparse model keeps more than a dense one with as many weights (Golubeva et "
        "al. 2021)",
        "wide perceptrons and ResNets, static random masks",
        "regimes",
        ("static-0.6", "static-0.95"),
        "accuracy",
        "narrow",
        "the narrow model has other initial weights, so pairs share data alone",
        "ten widths of one perceptron at one count of weights, 12 seeds: an hour of a "
        "CPU's core",
    ),
)


ENOUGH = 6  # seeds: with fewer the exact test shows nothing
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
        f"seed's differences over the settings that have {ENOUGH} seeds or more, and "
        "judges the seeds that all of these have.\n",
        "| claim | their setting | here | why it may differ | to know |",
        "|---|---|---|---|---|",
    ]
    details = []
    for number, claim in enumerate(CLAIMS, start=1):
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
    many = {
        setting: settings[setting]
        for setting, *_ in here
        if reading.seeds(settings[setting]) >= ENOUGH
    }
    if len(many) > 1:
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
        pairs: dict = {}
        for method in claim.methods:
            control = claim.control
            if control == "narrow":
                control = method.replace(method.split("-")[0], "narrow")
            if method in present and control in present:
                pairs.setdefault(control, []).append(method)
        for control, methods in pairs.items():
            judged = reading.judged(here, measure, against=control, others=methods)
            result += [(setting, method, control, judged[method]) for method in methods]
    return result
