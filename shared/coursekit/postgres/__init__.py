"""The embedded Postgres and what is done on any server: the internals of `coursekit.database`, the one door to both."""
