"""From a job to a written output."""
