"""Training samples: chips of clean scenes, degraded, in model units, on the device that trains."""
