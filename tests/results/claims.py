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
FULL = "ResNet-18 on ImageNet, 180 epochs, 3 seeds and its control: a cluster's work"

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
        "one LSTM in place of speech and captions",
        "the recurrent layers of Deep Speech 2 on 100 hours of speech",
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
        "no convolutions; high frequencies, by which the paper explains it, mean "
        "little in 8 x 8 pixels; one kind of noise",
        "VGG-16 and ResNet-34 on CIFAR-10/100, 200 epochs, 10 seeds, 15 corruptions",
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
        "the other widths of this map",
    ),
)


def section(found):
    """Returns the table of claims.

    Args:
        found: {part: {setting: lines}}.
    """
    rows = [
        "## Claims, and what was found\n",
        "Holm goes over the methods of a claim, within a setting.\n",
        "| claim | their setting | ours: verdicts | why it may differ | to know |",
        "|---|---|---|---|---|",
    ]
    for claim in CLAIMS:
        ours = "<br>".join(_found(claim, found)) or "not run yet"
        cells = [claim.said, claim.theirs, ours, claim.why, claim.to_know]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _found(claim, found):
    for setting, here in found.get(claim.part, {}).items():
        measure = reading.MEASURES[claim.measure]
        for method in claim.methods:
            control = claim.control
            if control == "narrow":
                control = method.replace(method.split("-")[0], "narrow")
            present = reading.methods(here)
            if method not in present or control not in present:
                continue
            family = [method]
            if claim.control != "narrow":
                family = [name for name in claim.methods if name in present]
            verdict = reading.judged(here, measure, against=control, others=family)
            yield f"{setting}: {verdict[method].text}"
