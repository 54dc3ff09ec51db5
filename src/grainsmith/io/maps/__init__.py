"""Read element maps and cubes of spectra."""
