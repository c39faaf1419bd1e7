"""What every other package builds on: errors, files, records and the names of things."""
