"""Study: the plan (book/study.toml) → records, units published as Parquet, the pages that read them.

May import: pipeline and every room below it, analysis, report.
"""
