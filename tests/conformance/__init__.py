"""The interpreter's own tests of futures and executors, run against Raddle's classes; see README.md."""
