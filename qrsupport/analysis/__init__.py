"""Analysis: records → measures, intervals and tests, as tables (pandas).

Enters: lists of `records.Record`, `records.Replay` and clean predictions.  Leaves: data frames.  May import: the ground.
"""
