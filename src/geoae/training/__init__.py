"""Train models: from chips of real scenes to a finished model folder."""
