from grainsmith.io.images.reader import read_image as read_image
from grainsmith.io.labels.label_image import read_labels as read_labels
from grainsmith.io.labels.label_image import write_labels as write_labels
from grainsmith.io.maps.reader import open_maps as open_maps
from grainsmith.io.maps.reader import read_map as read_map
from grainsmith.io.mosaics.reader import open_mosaic as open_mosaic
from grainsmith.io.tables.grain_table import read_table as read_table
from grainsmith.io.tables.grain_table import write_table as write_table
