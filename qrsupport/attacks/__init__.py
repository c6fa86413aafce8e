"""Attacks: a classifier, words and examples → outcomes.

Enters: a `tasks.Task` and its examples.  Leaves: one record an example (`running.outcomes`), or a target's answers to an
adversarial set (`replaying`).  TextAttack supplies recipes, constraints and searches.  May import: data, quantization, lexicons.
"""
