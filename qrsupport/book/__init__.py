"""Book: a profile → its jobs → executed chapters and a site.

Chapters as jobs (`chapters`), running them here or on a queue (`grid`, nbs/Snakefile), the build, the page of errors.  May import: everything but the command line.
"""
