"""Report: tables of measures → what a page shows: tables, figures with alt text, word differences.

May import: analysis.  Nothing here reads the run directory.
"""
