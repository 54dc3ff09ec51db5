import numpy as np
import pandas as pd

from grainsmith.classify.examples import ExampleSettings
from grainsmith.pipeline.field.classify import example_classifier


def test_what_the_examples_tell_is_said_every_time():
    # Grains 1-3 and 4-6 overlap in Si, their only element but for a little Fe.
    si = np.array([5.0, 5.2, 9.0, 9.1, 8.9, 9.2, 5.1])
    table = pd.DataFrame(
        {"Si_mean": si, "Si_error": 0.1, "Fe_mean": 0.1, "Fe_error": 0.1},
        index=pd.RangeIndex(1, 8, name="label"),
    )
    names = dict.fromkeys((1, 2, 3), "albite") | dict.fromkeys((4, 5, 6), "quartz")
    named = example_classifier(names, ExampleSettings())(table)
    assert named.notes[0].endswith("of the examples are named right by the others.")
    assert "albite taken for quartz (1)" in named.notes[1]
    assert named.notes[-1].startswith("Most telling: Si")
    confusion = named.views["Confusion of examples"]
    assert confusion.to_numpy().sum() == 6
    assert confusion.index.tolist() == ["albite", "quartz"]
    assert confusion.columns.tolist() == ["alb", "qua"]
