"""The noise of a scene: level, growth with the signal, covariance."""
