"""Show the element combo of a grain and name minerals."""
