"""Claims of the papers, and what would have to be run to know.

Knows names of parts, methods and measures. What the papers say is told; nothing here is
a number of ours.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Claim:
    """A sentence that somebody published, and where the map looks for it.

    Args:
        said: the claim and who makes it.
        theirs: their setting.
        part: name of the part that looks.
        pairs: {which of its methods: what it is compared with}.
        measure: by what.
        why: why it may differ here.
        to_know: what would have to be run to know.
        settings: regular expression, found in the names of the settings that it is
            about. Defaults to all.
    """

    said: str
    theirs: str
    part: str
    pairs: dict
    measure: str
    why: str
    to_know: str
    settings: str = ""


BEST = "not said; no one ships the last epoch of a run that overfits"
MISLABELLED = "-(20|40)$"  # what regimes end in: per cent of labels that are wrong
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
BALANCED = (  # 4.1 G multiplications x 1.28 M pictures x 100 epochs = 3.1e18 operations
    "ResNet-50 on ImageNet, 100 epochs, 3 seeds of `acdc-0.8`, `lowered` and "
    "`conventional`: 4.4 hours a run on an H200, reckoned, 40 in all"
)
WORDS = (  # 0.9 G multiplications x 85 k recordings x 50 epochs = 2.3e16 operations
    "res15 (Tang and Lin 2018) on Speech Commands, 50 epochs, 5 seeds of `rigl-0.3`, "
    "`rigl-0.5` and `conventional`: 0.13 hours a run on an H200, reckoned, 2 in all"
)
TREEBANK = (  # 51 M multiplications x 0.93 M words x 55 epochs = 1.6e16 operations
    "two LSTM layers of 1500 units on Penn Treebank, 55 epochs, 5 seeds of "
    "`restart-0.5` and `restarts`: 0.1 hours a run on an H200, reckoned, 1 in all"
)
FINE = (  # 1.8 G multiplications x 6 k pictures x 2 k epochs = 1.3e17 operations
    "ResNet-18 on CUB-200 and Flower-102, 10 cycles of 200 epochs, 5 seeds of "
    "`restart-0.5`, `restart-0.8` and `restarts`: 0.2 and 0.1 hours a run on an H200, "
    "reckoned, 5 in all"
)
CORRUPTED = (  # .31 and 1.2 G multiplications x 50 k pictures x 200 epochs
    "VGG-16 and ResNet-34 on CIFAR-10 and CIFAR-100, 200 epochs, 10 seeds of "
    "`rigl-0.3`, `set-0.3`, `rigl-0.5` and `conventional`, 15 corruptions: 0.1 and 0.4 "
    "hours a run on an H200, reckoned, 40 in all"
)
WRONG = (  # 0.56 G multiplications x 50 k pictures x 160 epochs = 2.7e16 operations
    "ResNet-18 on CIFAR-10 with 20 and 40 % wrong labels, 160 epochs, 5 seeds of "
    "seven sparsities: 0.15 hours a run on an H200, reckoned, 10 in all"
)


def _each(*methods, against):
    return dict.fromkeys(methods, against)


OF_DSD = _each("dsd-0.3", "dsd-0.5", "dsd-0.8", against="lowered")
CYCLES = _each("restart-0.3", "restart-0.6", "restart-0.95", against="restarts")


CLAIMS = (
    Claim(
        "DSD ends better than dense training (Han et al. 2017)",
        "four CNNs on ImageNet; one run each",
        "regimes",
        _each("dsd-0.3", "dsd-0.6", against="lowered"),
        "accuracy",
        SMALL + "; the control has as many epochs, their dense CNNs had fewer",
        FULL,
    ),
    Claim(
        "The last dense phase improves on the sparse model (Han et al. 2017)",
        "the same four CNNs, by 0.6 to 1.0 points",
        "regimes",
        {"dsd-0.95": "dsd-0.95-kept"},
        "accuracy",
        "the sparse model trains as long here, and its rate drops too",
        "as above, with a last phase that stays sparse: 11 hours more",
    ),
    Claim(
        "DSD ends better than dense training: recurrent networks",
        "NeuralTalk (80 % sparse), Deep Speech (50 and 25 %); one run each",
        "language",
        OF_DSD,
        "bits",
        "one LSTM in place of speech and captions; with 20k characters it overfits",
        LISTENING,
    ),
    Claim(
        "The same, where each run keeps its best epoch",
        BEST,
        "language",
        OF_DSD,
        "best_bits",
        "where training overfits the best epoch comes before the sparse phase, and "
        "both keep the same weights: identical",
        "as above",
    ),
    Claim(
        "The last dense phase improves on the sparse model: recurrent networks",
        "NeuralTalk by 0.8 to 1.1 points of BLEU, Deep Speech 1 and 2",
        "language",
        {"dsd-0.8": "dsd-0.8-kept"},
        "bits",
        "the sparse model trains as long here, and its rate drops too",
        "as above",
    ),
    Claim(
        "25 to 50 % is generally a good sparsity for DSD (Han et al. 2017)",
        "chosen on validation data; but 80 % for the LSTM of NeuralTalk",
        "language",
        _each("dsd-0.5", "dsd-0.8", against="dsd-0.3"),
        "bits",
        "the more the last epoch overfits, the more a large mask helps",
        "as above",
    ),
    Claim(
        "DSD helps speech recognition (Han et al. 2017)",
        "Deep Speech 1 and 2 on WSJ, word errors -0.13 to -1.35 points at equal epochs",
        "speech",
        _each("dsd-0.3", "dsd-0.5", against="lowered"),
        "accuracy",
        "digits, and a speaker that was not heard; a point would take some 150 seeds "
        "to show",
        "as above",
    ),
    Claim(
        "Going round twice (DSDSD) ends better than dense training (Han et al. 2017)",
        "Deep Speech 1 and 2, whose second round had epochs of its own",
        "language",
        {"dsdsd-0.5": "lowered_twice"},
        "bits",
        "both rounds share the epochs of one",
        "as above",
    ),
    Claim(
        "Dense and sparse phases in turn end in a dense model as good as one of dense "
        "training (Peste et al. 2021)",
        "ResNet-50 on ImageNet, 80 to 95 % sparse in turns, its dense model fine-tuned",
        "language",
        _each("acdc-0.8", against="conventional"),
        "bits",
        "here no rate is lowered, momentum is kept, and the last dense phase is short; "
        "that nothing is lost would take a margin to show",
        BALANCED,
    ),
    Claim(
        "Dynamic sparse training at 10 to 50 % is more robust to corruptions than "
        "dense training (Wu et al. 2025)",
        "VGG-16, ResNets, EfficientNet, DeiT on CIFAR-C and ImageNet-C",
        "regimes",
        _each("rigl-0.3", "set-0.3", against="conventional"),
        "noisy",
        "small models, few of them with convolutions; high frequencies, by which the "
        "paper explains it, mean little in 8 x 8 pixels; one kind of noise",
        CORRUPTED,
    ),
    Claim(
        "The same, for speech",
        "pictures and video; not said of speech",
        "speech",
        _each("rigl-0.3", "rigl-0.5", against="conventional"),
        "noisy",
        "white noise on a speaker that was not heard: training is chaotic there",
        WORDS,
    ),
    Claim(
        "What masks change under noise, the first and the last layer change",
        "a guess; sparse training mostly keeps the first layer dense",
        "regimes",
        {"dsd-0.6-inner": "dsd-0.6", "rigl-0.6-inner": "rigl-0.6"},
        "noisy",
        "with the layers between masked alone, fewer weights are; where masks lose, "
        '"better" speaks for it, where they gain, "worse" does',
        "as for the claim on corruptions, with `exclude` and without",
    ),
    Claim(
        "The same, for speech",
        "as above",
        "speech",
        {"dsd-0.5-inner": "dsd-0.5"},
        "noisy",
        "the same",
        "as above",
    ),
    Claim(
        "A sparse model is more accurate than a dense one with as many weights, if it "
        "still fits the training data (Golubeva et al. 2021)",
        "wide perceptrons and ResNets, static random masks",
        "regimes",
        {"static-0.6": "narrow-0.6", "static-0.95": "narrow-0.95"},
        "accuracy",
        "64 units that are 95 % sparse no longer fit; a narrow model has other initial "
        "weights, so pairs share data alone",
        "ten widths of one perceptron at one count of weights, 12 seeds: an hour of a "
        "CPU's core",
    ),
    Claim(
        "The same, for speech",
        "pictures; not said of speech",
        "speech",
        {"static-0.5": "narrow-0.5", "static-0.7": "narrow-0.7"},
        "accuracy",
        "the same",
        "as above, with a CNN",
    ),
    Claim(
        "Drawing a part of the weights anew, in cycles at the full rate, ends better "
        "on small data (Taha et al. 2021, Zhou et al. 2022)",
        "ResNets on small fine-grained sets: Flower-102 from 52.8 to 61.9 % in 10 "
        "generations of 200 epochs (repository of Taha et al.), CUB 70.8 % after 3 and "
        "72.5 % after 10 (Zhou et al.)",
        "regimes",
        CYCLES,
        "accuracy",
        "here the smallest are drawn anew, twice; there a fixed part or the later "
        "layers, up to ten times",
        FINE,
    ),
    Claim(
        "The same, where each run keeps its best epoch",
        BEST,
        "regimes",
        CYCLES,
        "best_accuracy",
        "validation labels are right here; who has none can't choose an epoch",
        "as above",
    ),
    Claim(
        "The same, for text, which overfits as small sets do",
        "small sets of pictures; not said of text",
        "language",
        _each("restart-0.5", against="restarts"),
        "bits",
        "one LSTM; only where it has 20k characters does it overfit",
        TREEBANK,
    ),
    Claim(
        "The same for text, where each run keeps its best epoch",
        BEST,
        "language",
        _each("restart-0.5", against="restarts"),
        "best_bits",
        "the same",
        "as above",
    ),
    Claim(
        "An average of the weights generalizes better, with wrong labels above all "
        "(Morales-Brotons et al. 2024)",
        "ResNets on CIFAR; a control here",
        "regimes",
        _each("averaged", against="conventional"),
        "accuracy",
        "one decay of the average; the rate of `conventional` never falls",
        "as below, with `averaged`: 1.5 hours more",
    ),
    Claim(
        "The same, where each run keeps its best epoch",
        "the same",
        "regimes",
        _each("averaged", against="conventional"),
        "best_accuracy",
        "as above",
        "as above",
    ),
    Claim(
        "Where labels are wrong, moderate sparsity hurts (He et al. 2022)",
        "ResNets and others on MNIST and CIFAR with wrong labels, pruned in rounds",
        "regimes",
        _each("static-0.3", "static-0.6", against="conventional"),
        "accuracy",
        "random masks from the start",
        WRONG,
        settings=MISLABELLED,
    ),
    Claim(
        "Where labels are wrong, high sparsity helps (He et al. 2022)",
        "the same",
        "regimes",
        _each("static-0.95", against="conventional"),
        "accuracy",
        "random masks from the start; 64 units that are 95 % sparse no longer fit",
        "as above",
        settings=MISLABELLED,
    ),
    Claim(
        "The same, where each run keeps its best epoch",
        BEST,
        "regimes",
        _each("static-0.95", against="conventional"),
        "best_accuracy",
        "wrong labels are learnt late: the best epoch comes before",
        "as above",
        settings=MISLABELLED,
    ),
)
