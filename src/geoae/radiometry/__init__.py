"""Digital numbers to model units and back; nodata; the residual."""
