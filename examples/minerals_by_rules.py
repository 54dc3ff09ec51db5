"""Name the mineral of every grain by a rules file."""

import grainsmith as gs

table = gs.measure("masks.tif", image="bse.tif", maps=gs.read_maps("maps"))
minerals = gs.classify(table, rules="rules.yaml")
print(minerals["mineral"].value_counts())
minerals.to_csv("minerals.csv")
