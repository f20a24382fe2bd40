"""Operating system and process: durable files, locks, forks, memory and warnings."""
