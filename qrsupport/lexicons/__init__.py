"""Lexicons: the name of a resource set → words that an attack may use, taggers, sentence encoders.

Enters: `embedded`, `local` or `published`, and what the attack needs.  Leaves: `resources.Resources` with a digest.
May import: data.
"""
