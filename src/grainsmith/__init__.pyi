from grainsmith import datasets as datasets
from grainsmith.api import GrainLabels as GrainLabels
from grainsmith.api import align as align
from grainsmith.api import classify as classify
from grainsmith.api import clean as clean
from grainsmith.api import element_combo as element_combo
from grainsmith.api import load_model as load_model
from grainsmith.api import measure as measure
from grainsmith.api import read_image as read_image
from grainsmith.api import read_labels as read_labels
from grainsmith.api import read_maps as read_maps
from grainsmith.api import report as report
from grainsmith.api import score as score
from grainsmith.api import segment as segment
from grainsmith.api import statistics as statistics
from grainsmith.api import train as train

__version__: str
