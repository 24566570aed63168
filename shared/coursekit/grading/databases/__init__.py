"""A Postgres of its own for graded code: prepared, copied, guarded, one database per submission."""
