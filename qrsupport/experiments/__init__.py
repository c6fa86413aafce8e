"""Experiments: what is run for one page or one question, through `pipeline`: every variant of a model, how variants run here,
an audit, a comparison of encoders, what a profile would cost.

May import: pipeline and every room below it, analysis, report.
"""
