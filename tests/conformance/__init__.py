"""The interpreter's own tests of threads, queues and futures, run against Raddle's classes; see README.md."""
