"""Digital numbers to model units and back, nodata, and subtraction of the residual."""
