import pytest

from grainsmith.io.maps.filenames import parse_map_name

ELEMENTS = {
    # Oxford AZtec
    "Al Wt%.csv": ("Al", "", "wt%"),
    "Si K series.csv": ("Si", "K series", ""),
    "Ca Ox%.csv": ("Ca", "", "wt%"),
    "Al Ka1": ("Al", "Ka1", ""),
    "Si Kα1.tif": ("Si", "Ka1", ""),
    "S Kα1,2.tiff": ("S", "Ka1,2", ""),
    "Site 1 MnKa1_2.png": ("Mn", "Ka1,2", ""),
    "Map Data 1_O Ka1.tiff": ("O", "Ka1", ""),
    "Project 1 Specimen 1 Area 2 Site 20 Map Data 30 Zr La1.csv": ("Zr", "La1", ""),
    "Mn Kα1 (wt%).tif": ("Mn", "Ka1", "wt%"),
    # Bruker, EDAX, JEOL, Thermo
    "C K": ("C", "K", ""),
    "Ti_K.bmp": ("Ti", "K", ""),
    "CaK.tif": ("Ca", "K", ""),
    "Fe_Kalpha.png": ("Fe", "Ka", ""),
    "Y-La.tif": ("Y", "La", ""),
    "Ka1 Si.tif": ("Si", "Ka1", ""),
    "K Kα1.tif": ("K", "Ka1", ""),
    "Ni-K_counts.txt": ("Ni", "K", ""),
    # microprobes, XMapTools
    "sem-x_32bt_Al.tif": ("Al", "", ""),
    "obj1_8bt_Sul.tif": ("S", "", ""),
    "obj1_32bt_Pho.tif": ("P", "", ""),
    "SiO2.csv": ("Si", "", "wt%"),
    "FeOT.txt": ("Fe", "", "wt%"),
    "P2O5.csv": ("P", "", "wt%"),
    "K2O wt%.csv": ("K", "", "wt%"),
    "Si_at%.csv": ("Si", "", "at%"),
    # by hand
    "1-Si.jpg": ("Si", "", ""),
    "eds-map-Al.jpg": ("Al", "", ""),
    "obj1_Mg_counts.tif": ("Mg", "", ""),
    "Silicon.tif": ("Si", "", ""),
    "sample C-12_Mg.tif": ("Mg", "", ""),
    "In Situ 3_Ca.csv": ("Ca", "", ""),
    "HV15kV_Fe.tif": ("Fe", "", ""),
}


@pytest.mark.parametrize("name", ELEMENTS)
def test_name_of_an_element_map(name):
    found = parse_map_name(name)
    assert (found.what, found.element, found.line, found.unit) == ("element", *ELEMENTS[name])


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("Electron Image 1.tif", "electron"),
        ("obj1_BSE_image.tif", "electron"),
        ("SE2_4.tif", "electron"),
        ("EDS Layered Image 1.tif", "left out"),
        ("Phase map.tif", "left out"),
        ("obj1_object_mask.tif", "left out"),
        ("Al Wt% Sigma.csv", "left out"),
        ("legend.png", "left out"),
        ("readme.txt", "unknown"),
        ("View000_0000003.map", "unknown"),
    ],
)
def test_name_of_anything_else(name, what):
    assert parse_map_name(name).what == what


@pytest.mark.parametrize(
    "name",
    ["Fe bkg.tif", "Si background.tif", "Mg#.tif", "Fe_Mg ratio.tif", "Fe minus Mg.tif",
     "Fe LOD.csv", "Sum peak 3.tif", "Total.tif", "Si+Al.tif", "Fe_bg.tif"],
)  # fmt: skip
def test_backgrounds_and_ratios_are_left_out(name):
    assert parse_map_name(name).what == "left out"


@pytest.mark.parametrize(
    ("name", "element", "line"),
    [("Fe net.tif", "Fe", ""), ("Fe(K).tif", "Fe", "K"), ("img_Fe_K.tif", "Fe", "K"),
     ("Map #1 Si.tif", "Si", "")],
)  # fmt: skip
def test_net_maps_and_lines_in_brackets(name, element, line):
    parsed = parse_map_name(name)
    assert (parsed.what, parsed.element, parsed.line) == ("element", element, line)
