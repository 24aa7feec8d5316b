"""What moves in a face: the names of the coefficients, and the geometry of 478 points."""
