"""NumPyro models as plugins: each folder NAME defines a function NAME that returns a `Problem`."""
