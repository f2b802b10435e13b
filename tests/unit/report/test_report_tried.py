"""How near a variant's answers are, in words."""

from makeweight.artifact.trial import Trial
from makeweight.report.tried import closeness


def test_numbers_have_noise_and_integers_a_share() -> None:
    trial = Trial(64, "float32", {"scores": 38.14, "class": -2.0}, 0.984, same={"class": 0.953})
    told = "signal to noise scores 38.1 dB; class the same for 95.3 %; top class the same for 98.4 %"
    assert closeness(trial) == f"{told} (64 examples, against float32)"
    alone = Trial(8, "baseline", {"words": 200.0}, same={"words": 1.0})
    assert closeness(alone) == "words the same for 100.0 % (8 examples, against baseline)"
