"""TensorBoard event files to tables: every scalar of a run's log.

    python -m manyseeds scalars LOG_DIR --output scalars.csv

It reads the log of any RSL-RL run, or of another program that logs scalars for TensorBoard. The table has one row per
step and one float32 column per tag. In CSV an empty field was never logged, and `nan` was logged as NaN. pandas reads
both as NaN; `table.read_table` and Parquet keep them apart.

Tags of older RSL-RL releases get today's names: `Loss/value_function` becomes `Loss/value`, `Policy/mean_noise_std`
becomes `Policy/mean_std`, `Perf/collection time` becomes `Perf/collection_time`. `Train/*/time` is left out, because
its steps are clock times, not iterations.

The modules, from bytes to tables: `checksum`, `records` (framing), `messages` and `events` (decoding), `log` (the files
of one run and its resumes), `table`, `export`.
"""
