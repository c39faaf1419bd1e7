"""Event files to tables: every scalar of a run's log, and learning curves over the runs of several seeds.

    python -m manyseeds scalars LOG_DIR --output scalars.csv
    python -m manyseeds curves --config results/EXPERIMENT/config.json --output learning_curves.csv

`export` reads the log of any RSL-RL run (or of another program that logs scalars for TensorBoard). The table has a row
per step and a column per tag, float32; in CSV an empty field was never logged, `nan` was logged as NaN. Pandas
reads both as NaN; `manyseeds.eventfiles.table.read_table` and Parquet keep them apart.

Tags of older RSL-RL releases get today's names: `Loss/value_function` is `Loss/value`, `Policy/mean_noise_std` is
`Policy/mean_std`, `Perf/collection time` is `Perf/collection_time`. `Train/*/time`, whose step is the
clock, is left out.

From the bytes up: `checksum`, `records` (framing), `messages` and `events` (decoding), `log` (the files of one run,
resumes), `table`, `export`, and over seeds `aggregate`.
"""
