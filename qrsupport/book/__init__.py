"""Book: a profile → executed chapters and a site.

Chapters as jobs, the build, the page of errors.  May import: everything but the command line.
"""
