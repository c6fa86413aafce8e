"""Data: a name or a file → splits of labelled texts.

Enters: the name of a data set, a file or directory of the reader's own, a hub id.  Leaves: `datasets.Dataset`, three splits
with class names.  May import: the ground.
"""
