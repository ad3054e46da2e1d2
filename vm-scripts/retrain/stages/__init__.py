"""The steps of a job in their order. A stage is a function (context, job) -> result."""
