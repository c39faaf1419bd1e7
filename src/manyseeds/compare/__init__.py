"""Finished runs of other programs, brought in and compared: `manyseeds compare FOLDER...`.

The modules, from logs to a results folder: `formats` (one reader for each kind of log), `names` (variant and seed in a
folder's name), `runs` (which logs are one run), `results` (the folder that tables, figures and pages read), `command`.
"""
