"""The operating system and this process: durable files, locks, forks, memory and warnings."""
